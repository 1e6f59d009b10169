package pictures

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// keep writes a picture to a file of its own.
func keep(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// misplaced has a browser measure the boxes and texts of a picture: it returns pairs of boxes that overlap, and texts outside of their box.
const misplaced = `(() => {
	const wrong = []
	const area = e => e.getBoundingClientRect()
	const name = g => g.querySelector(":scope > text")?.textContent
	const boxes = [...document.querySelectorAll("svg.patchbay g.box")]
	for (const g of boxes) {
		const r = area(g.querySelector(":scope > rect"))
		for (const t of g.querySelectorAll(":scope > text")) {
			const b = area(t)
			if (b.left < r.left || b.right > r.right || b.top < r.top || b.bottom > r.bottom + 1) wrong.push("text " + t.textContent)
		}
		for (const h of g.parentNode.querySelectorAll(":scope > g.box")) {
			if (h === g) break
			const s = area(h.querySelector(":scope > rect"))
			if (r.left < s.right && s.left < r.right && r.top < s.bottom && s.top < r.bottom) wrong.push(name(g) + " overlaps " + name(h))
		}
	}
	return {boxes: boxes.length, wrong}
})()`

// measured is the result of misplaced.
type measured struct {
	Boxes int
	Wrong []string
}

// TestSVGInBrowser: a browser draws the picture of each host, with its own and with hostile names, as it was computed: no box overlaps
// another one, and no text leaves its box. It is dark on a dark desktop.
//
// Claim: `show -o svg` is one document without scripts and references, in which no two boxes overlap and no text leaves its box
func TestSVGInBrowser(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *scene) {
		v := s.view()
		pictures := []string{s.show("-o", "svg")}
		makeHostile(v)
		var out strings.Builder
		if err := diagram.SVG(&out, diagram.Of(v)); err != nil {
			t.Fatal(err)
		}
		for _, picture := range append(pictures, out.String()) {
			b := browse(t, keep(t, "picture.svg", picture))
			var got measured
			b.eval(misplaced, &got)
			if got.Boxes < 3 || len(got.Wrong) > 0 {
				t.Errorf("%d boxes; misplaced: %q", got.Boxes, got.Wrong)
			}
			for scheme, want := range map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"} {
				b.scheme(scheme)
				var fill string
				b.eval(`getComputedStyle(document.querySelector(".page")).fill`, &fill)
				expect.Equal(t, "background on a "+scheme+" desktop", fill, want)
				if b.screenshot(strings.ReplaceAll(t.Name(), "/", "-")+"-"+scheme) < 1000 {
					t.Error("the screenshot is empty")
				}
			}
			expect.Equal(t, "complaints of the browser", b.complaints(), nil)
			expect.Equal(t, "requests", len(b.requests()), 1)
		}
	})
}
