package nfnl_test

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// The kernel stores user data as it was given, and any program that may write the ruleset may give anything.
//
// Claim: Elements are read as they are written, whatever elements others have added
func TestComment(t *testing.T) {
	for data, want := range map[string]string{
		"": "", "\x00": "", "\x00\x02a\x00": "a", "\x00\x01a": "a", "\x00\x00": "",
		"\x00\xffa": "", "\x07\xff": "", "\x07\x01x\x00\x02a\x00": "a", "\x07\x01x\x00": "",
	} {
		if got := nfnl.Comment([]byte(data)); got != want {
			t.Errorf("Comment(%q) = %q, want %q", data, got, want)
		}
	}
}
