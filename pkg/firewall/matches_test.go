package firewall_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestAllowNeedsMatches: where iptables itself can write a comment, Allow writes its rules; where it cannot, because the kernel lacks x_tables, Allow
// names what is missing, and the ruleset stays as it is.
//
// Claim: On a kernel without the matches of iptables `firewall: auto` names the modules, and changes nothing
func TestAllowNeedsMatches(t *testing.T) {
	h := host(t)
	load(t, h, "table ip filter { chain DOCKER-USER { return; }; chain try { }; }")
	works := h.Command("iptables", "-A", "try", "-m", "comment", "--comment", "x", "-m", "conntrack", "--ctstate", "NEW", "-j", "RETURN").Run() == nil
	before := h.Run(t, "nft", "list", "ruleset")
	var changed bool
	var err error
	inHost(t, h, func(f *firewall.Filters) error { changed, err = f.Allow("cni0"); return nil })
	after := h.Run(t, "nft", "list", "ruleset")
	if works {
		if err != nil || !changed || before == after {
			t.Errorf("iptables works here: changed %v, %v\n%s", changed, err, after)
		}
		return
	}
	t.Log("iptables has no matches here")
	want := "allow cni0 in DOCKER-USER of table ip filter: the kernel lacks matches of iptables: comment, conntrack; " +
		"load the modules (modprobe -a nft_compat xt_comment xt_conntrack), or open the bridge in that firewall with rules of nft"
	if !errors.Is(err, firewall.ErrNoMatches) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if diff := cmp.Diff(before, after); changed || diff != "" {
		t.Errorf("changed: %v (-before +after)\n%s", changed, diff)
	}
}

// TestRequireMatches: a match, or a revision of one, that no kernel has is named; one that iptables uses is found where the kernel has it.
//
// Claim: On a kernel without the matches of iptables `firewall: auto` names the modules, and changes nothing
func TestRequireMatches(t *testing.T) {
	h := host(t)
	load(t, h, "table ip filter { chain try { }; }")
	has := h.Command("iptables", "-A", "try", "-m", "comment", "--comment", "x").Run() == nil
	for _, tc := range []struct {
		name     string
		revision uint32
		is       bool
	}{{"comment", 0, has}, {"comment", 77, false}, {"nosuchmatch", 0, false}} {
		err := errorOf(t, h, tc.name, tc.revision)
		if tc.is && err != nil {
			t.Errorf("match %s revision %d: %v", tc.name, tc.revision, err)
		}
		if !tc.is && (!errors.Is(err, firewall.ErrNoMatches) || !strings.Contains(err.Error(), "(modprobe -a nft_compat xt_"+tc.name+"),")) {
			t.Errorf("match %s revision %d is found: %v", tc.name, tc.revision, err)
		}
	}
}

// errorOf returns the error of a required match.
func errorOf(t *testing.T, h *nettest.Node, name string, revision uint32) (err error) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) error { err = firewall.RequireMatch(f, name, revision); return nil })
	return err
}
