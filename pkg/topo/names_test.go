package topo

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNamesStayApart: whatever the width, no name is longer, and no two are the same.
//
// Claim: Shortened names in the picture and in tables stay different, and keep the part in which pods of one deployment differ
func TestNamesStayApart(t *testing.T) {
	deployment := func(i int) string { return fmt.Sprintf("production/checkout-frontend-7d4b9c8f6d-%05x", i*7919) }
	middle := func(i int) string {
		return fmt.Sprintf("prod/frontend-with-a-long-name-%02d-and-the-same-end-of-all-of-them", i)
	}
	both := func(i int) string {
		return fmt.Sprintf("%02d-a-name-that-is-long-%02d-in-the-middle-%02d-and-at-its-end-%02d", i%2, i%3, i%5, i%7)
	}
	for sort, name := range map[string]func(int) string{
		"end": deployment, "middle": middle, "beginning": func(i int) string { return fmt.Sprintf("%02d", i) + strings.Repeat("x", 60) }, "everywhere": both,
		"length": func(i int) string { return strings.Repeat("x", 40+i) },
	} {
		for _, width := range []int{10, 16, 20, 30} {
			var all []string
			for i := range 14 {
				all = append(all, name(i))
			}
			n, surveyed := NewNames(all), map[string]string{}
			for _, name := range all {
				short := n.Short(name, width)
				if utf8.RuneCountInString(short) > width {
					t.Errorf("%s in %d columns is %q", name, width, short)
				}
				if other, known := surveyed[short]; known {
					t.Errorf("%s: %s and %s are both %q in %d columns", sort, name, other, short, width)
				}
				surveyed[short] = name
			}
		}
	}
}

// TestShortName: the parts that differ stay, as far as the width allows.
//
// Claim: Shortened names in the picture and in tables stay different, and keep the part in which pods of one deployment differ
func TestShortName(t *testing.T) {
	n := NewNames([]string{"default/web-7d4b9c8f6d-abcde", "default/web-7d4b9c8f6d-fghij", "db", "aaaaaaaaaaaa-one-zzzzzzzzzzzz", "aaaaaaaaaaaa-two-zzzzzzzzzzzz"})
	for name, want := range map[string]string{
		"default/web-7d4b9c8f6d-abcde": "defau…9c8f6d-abcde", "default/web-7d4b9c8f6d-fghij": "defau…9c8f6d-fghij", "db": "db",
		"aaaaaaaaaaaa-one-zzzzzzzzzzzz": "aaaa…one-zzzz…zzzz", "aaaaaaaaaaaa-two-zzzzzzzzzzzz": "aaaa…two-zzzz…zzzz",
	} {
		if got := n.Short(name, 18); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
