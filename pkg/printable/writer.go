package printable

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// Lines returns a writer for the output of another program: it writes each line as Text
// returns it. Line breaks stay; an incomplete character at the end of a write is kept
// for the next one.
func Lines(to io.Writer) io.Writer { return &lines{to: to} }

type lines struct {
	to   io.Writer
	half []byte
}

// Write implements io.Writer. It always reports success for all of p.
func (l *lines) Write(p []byte) (int, error) {
	text := append(l.half, p...)
	l.half = nil
	if end := lastStart(text); end < len(text) && !utf8.FullRune(text[end:]) {
		text, l.half = text[:end], bytes.Clone(text[end:])
	}
	var out []byte
	for line := range bytes.Lines(text) {
		ended := bytes.HasSuffix(line, []byte("\n"))
		out = append(out, Text(string(bytes.TrimSuffix(line, []byte("\n"))), 0)...)
		if ended {
			out = append(out, '\n')
		}
	}
	_, err := l.to.Write(out)
	return len(p), err
}

// lastStart returns the index of the last character of a text.
func lastStart(text []byte) int {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return len(text)
}
