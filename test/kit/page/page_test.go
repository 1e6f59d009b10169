package page

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestReplace: what is around the part stays, and a page without both lines is an error.
func TestReplace(t *testing.T) {
	const begin, end = "<!-- x:begin -->\n", "<!-- x:end -->\n"
	got, err := Replace("before\n"+begin+"old\n"+end+"after\n", "x", func(old string) string { return old + "new\n" })
	if want := "before\n" + begin + "old\nnew\n" + end + "after\n"; got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"before\n" + begin, "before\n" + end, "", "<!-- y:begin -->\n" + end} {
		if _, err := Replace(text, "x", func(string) string { return "new\n" }); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// TestCompare: another text in the page is an error of the test, and is replaced with PATCHBAY_UPDATE=1.
func TestCompare(t *testing.T) {
	const before, after = "1\n<!-- x:begin -->\nold\n<!-- x:end -->\n2\n", "1\n<!-- x:begin -->\nnew\n<!-- x:end -->\n2\n"
	p := Part{File: filepath.Join(t.TempDir(), "page.md"), Name: "x", From: "this test"}
	write := func(text string) {
		if err := os.WriteFile(p.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	failed := func() bool {
		r := &recorder{TB: t}
		p.Compare(r, "new\n")
		return r.failed
	}
	t.Setenv("PATCHBAY_UPDATE", "")
	write(before)
	expect.Equal(t, "an old page fails", failed(), true)
	write(after)
	expect.Equal(t, "the page fails", failed(), false)
	t.Setenv("PATCHBAY_UPDATE", "1")
	write(before)
	expect.Equal(t, "writing fails", failed(), false)
	text, err := os.ReadFile(p.File)
	expect.Equal(t, "error", err, nil)
	expect.Equal(t, "the page", string(text), after)
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
