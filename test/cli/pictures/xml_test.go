package pictures

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// textsOf returns the contents of the elements text of an SVG.
func textsOf(t *testing.T, svg string) []string {
	t.Helper()
	var texts []string
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "text" {
			continue
		}
		var content string
		if err := decoder.DecodeElement(&content, &start); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, spaces(content))
	}
}

// spaces makes the spaces of a text plain: dot writes no-break ones.
func spaces(text string) string { return strings.ReplaceAll(text, "\u00a0", " ") }
