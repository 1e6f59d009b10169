// Package page compares the generated part of a page with what a test has found, or writes it. What the part says is for the test to say.
package page

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Part is a generated part of a page: what is between the lines <!-- NAME:begin --> and <!-- NAME:end -->.
type Part struct {
	File string // path of the page
	Name string
	From string // what it is generated from, for the message: "this run"
}

// Updating reports whether tests write pages instead of comparing them.
func Updating() bool { return os.Getenv("PATCHBAY_UPDATE") != "" }

// Compare requires that the part has this text or, with PATCHBAY_UPDATE=1, writes it.
func (p Part) Compare(t testing.TB, text string) {
	t.Helper()
	got, err := os.ReadFile(p.File)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Replace(string(got), p.Name, func(string) string { return text })
	if err != nil {
		t.Fatalf("%s: %v", p.File, err)
	}
	if Updating() {
		if err := os.WriteFile(p.File, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("docs/%s differs from %s; %s writes it with PATCHBAY_UPDATE=1 (-want +got):\n%s", filepath.Base(p.File), p.From, t.Name(), diff)
	}
}

// Replace returns a page whose part of this name is what generate makes of the old one.
func Replace(page, name string, generate func(old string) string) (string, error) {
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
	before, rest, begins := strings.Cut(page, begin)
	old, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return "", fmt.Errorf("the page has no lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + generate(old) + end + after, nil
}
