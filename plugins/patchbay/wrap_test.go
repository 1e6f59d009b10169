package main

import (
	"slices"
	"strings"
	"testing"
)

// TestWrapped: no line is longer than the width, words are whole where they fit, and all of them stay in their order.
func TestWrapped(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                       "",
		"\nshort\n":                              "\nshort\n",
		"! a: 2345678901234567890123456 end\n":   "! a: 2345678901234567890123456\n  end\n",
		"! a: 23456789012345678901234567 end\n":  "! a:\n  23456789012345678901234567\n  end\n",
		"  name  via 192.0.2.1  pods 10.0.0.0/8": "  name  via 192.0.2.1  pods\n    10.0.0.0/8\n",
		strings.Repeat("é", 59) + " x\n":         strings.Repeat("é", 30) + "\n  " + strings.Repeat("é", 28) + "\n  é x\n",
	} {
		if got := wrapped(text, 1); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	const sentence = "! node-4: the node has no podCIDR: run kube-controller-manager with --allocate-node-cidrs; if it does, its range is full (event CIDRNotAvailable)\n"
	for width := 30; width < 200; width++ {
		got := wrapped(sentence+"\n  "+sentence, width)
		for line := range strings.Lines(got) {
			if len(line) > width+1 {
				t.Errorf("%d columns of %d: %q", len(line)-1, width, line)
			}
		}
		if words := strings.Fields(got); !slices.Equal(words, strings.Fields(sentence+sentence)) {
			t.Errorf("words at %d columns: %q", width, words)
		}
	}
}
