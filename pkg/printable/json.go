package printable

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns JSON text of which a terminal shows every character. It escapes what Text
// escapes as \u1234, which decodes to the same value. White space between values stays.
func JSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		part := text[i : i+size]
		i += size
		if r < utf8.RuneSelf && r != 0x7f || r >= utf8.RuneSelf && isVisible(r) {
			out = append(out, part...) // encoding/json has escaped ASCII control characters
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
