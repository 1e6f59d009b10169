package diagram

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// The style and the script of a page.
var (
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// HTML writes a diagram as a page: the picture, the details of the box that is clicked, and a search. It is one file that loads nothing:
// its content security policy allows its own style and its own script, by their hashes, and nothing else. The details are elements of
// the page, so the script handles no names. Errors are those of w.
func HTML(w io.Writer, d *Diagram) error {
	s := &svg{l: arrange(d), page: true}
	style := styleSheet + pageStyle
	s.printf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	s.printf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'">`+"\n", hashOf(style), hashOf(pageScript))
	s.printf("<meta name=\"viewport\" content=\"width=device-width\">\n<title>patchbay show: %s</title>\n<style>%s</style>\n</head>\n<body>\n", escapeXML(d.Host.Title), style)
	s.printf("<header><h1>%s</h1><label>Search <input id=\"search\" type=\"search\" autocomplete=\"off\"></label><output id=\"found\"></output>", escapeXML(d.Host.Title))
	s.printf("<button id=\"scale\">whole picture</button><button id=\"theme\" value=\"auto\">theme: auto</button></header>\n<main>\n<div id=\"picture\">\n")
	s.open()
	s.draw(d)
	s.printf("</div>\n<aside id=\"details\" aria-live=\"polite\">\n<p id=\"hint\">Click a box for its details.</p>\n")
	for _, b := range d.All() {
		s.details(d, b)
	}
	s.printf("</aside>\n</main>\n<script>%s</script>\n</body>\n</html>\n", pageScript)
	_, err := io.WriteString(w, s.text.String())
	return err
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// details writes the details of a box.
func (s *svg) details(d *Diagram, b *Box) {
	s.printf("<section data-box=\"%s\" hidden>\n<h2>%s</h2>\n<p class=\"kind\">%s</p>\n", b.ID, escapeXML(b.Title), escapeXML(strings.TrimSpace(string(b.Kind)+" "+b.Remark)))
	if len(b.Text) > 0 {
		s.printf("<ul>\n")
		for _, t := range b.Text {
			s.printf("<li%s>%s</li>\n", wrongClass(t.Wrong), escapeXML(t.Text))
		}
		s.printf("</ul>\n")
	}
	s.printf("<dl>\n")
	for i, f := range b.Facts {
		if i == 0 || b.Facts[i-1].Name != f.Name {
			s.printf("<dt>%s</dt>\n", escapeXML(f.Name))
		}
		s.printf("<dd%s>%s</dd>\n", wrongClass(f.Wrong), escapeXML(f.Value))
	}
	for _, l := range d.Lines {
		switch b {
		case l.From:
			s.connected(l.To, l)
		case l.To:
			s.connected(l.From, l)
		}
	}
	s.printf("</dl>\n</section>\n")
}

// connected writes a button that leads to the other end of a line.
func (s *svg) connected(far *Box, l *Line) {
	s.printf("<dt>connected with</dt>\n<dd><button data-go=\"%s\">%s</button></dd>\n", far.ID, escapeXML(far.Title))
	if l.Label != "" {
		s.printf("<dd class=\"wrong\">%s</dd>\n", escapeXML(l.Label))
	}
}

func wrongClass(wrong bool) string {
	if wrong {
		return ` class="wrong"`
	}
	return ""
}

// forReaders are the attributes with which the box of a page can be clicked and reached by the keyboard.
func (s *svg) forReaders(p *placed) string {
	if !s.page || p.ID == "" || p.Kind == kindNotes {
		return ""
	}
	return fmt.Sprintf(` tabindex="0" role="button" aria-label="%s"`, escapeXML(string(p.Kind)+" "+p.Title))
}
