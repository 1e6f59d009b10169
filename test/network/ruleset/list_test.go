package ruleset

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// family has the subnets of networks with one or both address families.
type family struct{ name, v4, v6 string } // %d is the number of the network

func families() []family {
	return []family{{"v4", "10.%d.0.0/16", ""}, {"v6", "", "2001:db8:%d::/64"}, {"dual", "10.%d.0.0/16", "2001:db8:%d::/64"}}
}

func (f family) network(n int, bridge string) network {
	subnet := func(format string) string {
		if format == "" {
			return ""
		}
		return fmt.Sprintf(format, n)
	}
	return network{fmt.Sprintf("net%d", n), bridge, subnet(f.v4), subnet(f.v6)}
}

// settings returns settings of masquerading, by name.
func settings() map[string]cni.Conf {
	return map[string]cni.Conf{
		"off":     {},
		"masq":    {"ipMasq": true},
		"exclude": {"ipMasq": true, "masqExclude": []string{"192.0.2.0/24", "10.0.0.0/8", "198.51.100.7/32", "2001:db8:ff00::/40"}},
	}
}

// layouts returns the bridges of the host's networks, by name.
func layouts() map[string][]string {
	return map[string][]string{
		"one network": {"br1"}, "two networks on one bridge": {"br1", "br1"}, "two bridges": {"br1", "br2"},
	}
}

// TestListing compares the table of each kind of host after two ADDs for each network, and checks that each DEL restores the state before its
// ADD, except for the chains of the network, which stay.
//
// Claim: nft(8) lists the ruleset of each kind of host as expected: families, masquerading with and without exclusions, one network, two
// on one bridge, two bridges; a DEL removes its own elements and nothing else
func TestListing(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		for setting, keys := range settings() {
			t.Run(f.name+" "+setting, func(t *testing.T) {
				t.Parallel()
				var text strings.Builder
				for _, layout := range []string{"one network", "two networks on one bridge", "two bridges"} {
					fmt.Fprintf(&text, "# %s, %s, %s\n%s\n", f.name, setting, layout, listing(t, f, keys, layouts()[layout]))
				}
				golden(t, "testdata/"+f.name+"-"+setting+".nft", text.String())
			})
		}
	}
}

// listing returns the ruleset with two containers on each network, and deletes them again.
func listing(t *testing.T, f family, keys cni.Conf, bridges []string) string {
	t.Helper()
	h := host(t)
	var all []attachment
	for i, bridge := range bridges {
		for _, name := range []string{"first", "second"} {
			c := h.Container(fmt.Sprintf("%s-of-net%d", name, i+1))
			all = append(all, attachment{c, f.network(i+1, bridge).config(keys)})
		}
	}
	return inAndOut(t, h, all)
}

// inAndOut returns the ruleset with all attached. It deletes them in reverse order and checks that each DEL removes the elements of its
// attachment and nothing else.
func inAndOut(t *testing.T, h *nettest.Node, all []attachment) string {
	t.Helper()
	seen := []string{list(t, h)}
	for _, a := range all {
		h.CNI(t, a.call(t, "ADD")).OK(t)
		seen = append(seen, list(t, h))
	}
	now := seen[len(all)]
	for i, a := range slices.Backward(all) {
		after := now
		h.CNI(t, a.call(t, "DEL")).OK(t)
		now = list(t, h)
		if diff := cmp.Diff(without(after, a.container.Name()), now); diff != "" {
			t.Errorf("DEL of %s removed more or less than its elements (-want +now):\n%s", a.container.Name(), diff)
		}
		if diff := cmp.Diff(elements(seen[i]), elements(now)); diff != "" {
			t.Errorf("elements after DEL of %s (-before ADD +now):\n%s", a.container.Name(), diff)
		}
		if i == len(all)-1 && now != seen[i] {
			t.Errorf("after DEL of %s, second of its network (-before ADD +now):\n%s", a.container.Name(), cmp.Diff(seen[i], now))
		}
	}
	return seen[len(all)]
}

// TestListingLoads: nft(8) can load each listing, and then lists the same.
//
// Claim: nft(8) lists the ruleset of each kind of host as expected: families, masquerading with and without exclusions, one network, two
// on one bridge, two bridges; a DEL removes its own elements and nothing else
func TestListingLoads(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	h.Allow("nft ")
	loaded := 0
	for _, f := range families() {
		for setting := range settings() {
			for _, section := range strings.Split(read(t, "testdata/"+f.name+"-"+setting+".nft"), "# ")[1:] {
				title, text, _ := strings.Cut(section, "\n")
				h.Run(t, "nft", "flush ruleset; "+text)
				if diff := cmp.Diff(strings.TrimSpace(text), strings.TrimSpace(list(t, h))); diff != "" {
					t.Errorf("%s, loaded and listed (-text +listed):\n%s", title, diff)
				}
				loaded++
			}
		}
	}
	if want := len(families()) * len(settings()) * len(layouts()); loaded != want {
		t.Errorf("%d listings, want %d", loaded, want)
	}
}
