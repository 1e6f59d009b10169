package topo

import (
	"strings"
	"testing"
	"time"
)

// frameOf returns what a screen writes for a view.
func frameOf(t *testing.T, s *Screen, v *View, style Style, rows int, now time.Time) (string, time.Time) {
	t.Helper()
	var out strings.Builder
	until, err := s.Draw(&out, v, style, Moment{"title", rows, now})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), until
}

// TestScreen: lines that the picture before did not have are highlighted for three seconds, with colours and without; those of the first
// picture are not.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestScreen(t *testing.T) {
	for _, style := range []Style{{Color: true}, {}, {ASCII: true}} {
		var s Screen
		now := time.Unix(1000, 0)
		first, until := frameOf(t, &s, withVethPair(), style, 0, now)
		if strings.Contains(first, reverse) || !until.IsZero() {
			t.Errorf("the first picture is highlighted until %v:\n%q", until, first)
		}
		second, until := frameOf(t, &s, withAddresses(), style, 0, now.Add(time.Second))
		if want := now.Add(4 * time.Second); until != want {
			t.Errorf("highlighted until %v, want %v", until, want)
		}
		for line := range strings.SplitSeq(second, "\n") {
			if want := strings.Contains(line, "192.0.2.100/24") || strings.Contains(line, "2001:db8:0:1::100/64"); want != strings.Contains(line, reverse) {
				t.Errorf("highlighted: %t, want %t: %q", !want, want, line)
			}
		}
		if !strings.Contains(second, "title, 2 lines new") {
			t.Errorf("the title does not say how many lines are new: %q", second)
		}
		third, until := frameOf(t, &s, withAddresses(), style, 0, now.Add(2*time.Second))
		if !strings.Contains(third, reverse) || until != now.Add(4*time.Second) {
			t.Errorf("the same picture after a second has no highlight, or until %v", until)
		}
		fourth, until := frameOf(t, &s, withAddresses(), style, 0, now.Add(4*time.Second))
		if strings.Contains(fourth, reverse) || !until.IsZero() {
			t.Errorf("highlighted after three seconds, until %v", until)
		}
	}
}

// TestScreenSize: a picture that is too tall is cut, so that the terminal does not scroll, and says so.
func TestScreenSize(t *testing.T) {
	for rows := 3; rows < 40; rows++ {
		var s Screen
		out, _ := frameOf(t, &s, withSecond(), Style{Width: 80}, rows, time.Unix(1, 0))
		if n := strings.Count(out, "\n"); n > rows-1 {
			t.Errorf("%d lines on a terminal of %d", n, rows)
		}
		tall := strings.Count(draw(t, withSecond(), Style{Width: 80}), "\n") + 2
		if cut := tall > rows-1; cut != strings.Contains(out, "more lines (--bridge, --network)") {
			t.Errorf("%d rows: cut %t:\n%s", rows, cut, out)
		}
	}
}
