package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s on one line. It escapes control characters, line breaks, invalid UTF-8
// and characters that are invisible or change the text direction, as Go does ("\x1b",
// "\n", "\u202e"). Text of more than most characters is cut and ends in an ellipsis;
// most <= 0 does not cut.
func Text(s string, most int) string {
	if isPlainText(s) && (most <= 0 || len(s) <= most) {
		return s
	}
	var out strings.Builder
	cut, length := 0, 0 // cut is the length in bytes that leaves one character for the ellipsis
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		shown := s[i : i+size]
		if r == utf8.RuneError && size == 1 || !isVisible(r) {
			shown = escaped(shown)
		}
		i += size
		length += utf8.RuneCountInString(shown)
		out.WriteString(shown)
		if most > 0 && length < most {
			cut = out.Len()
		}
		if most > 0 && length > most {
			return out.String()[:cut] + "…"
		}
	}
	return out.String()
}

// isPlainText reports whether a text needs no escapes, as most texts do.
func isPlainText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isVisible reports whether a terminal shows a character: letters, marks, numbers,
// punctuation, symbols and the space, without those that Unicode lets it ignore.
func isVisible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && r != '\u2800'
}

// escaped returns a character, or an invalid byte, as strconv.Quote writes it.
func escaped(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}
