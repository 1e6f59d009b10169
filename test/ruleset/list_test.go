package ruleset

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// family makes networks of one kind of addresses.
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

// keys are the settings of masquerading, by name.
func settings() map[string]string {
	return map[string]string{
		"off":     "",
		"masq":    `"ipMasq": true,`,
		"exclude": `"ipMasq": true, "masqExclude": ["192.0.2.0/24", "10.0.0.0/8", "198.51.100.7/32", "2001:db8:ff00::/40"],`,
	}
}

// layouts are the bridges of the host's networks, by name.
func layouts() map[string][]string {
	return map[string][]string{
		"one network": {"br1"}, "two networks on one bridge": {"br1", "br1"}, "two bridges": {"br1", "br2"},
	}
}

// TestListing shows the table of each kind of host, after two ADDs for each network, and that each
// DEL leaves what was there before its ADD; the first of a network leaves its chains as well.
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

// listing is what two containers on each network are in the ruleset; it takes them away again.
func listing(t *testing.T, f family, keys string, bridges []string) string {
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

// inAndOut is the ruleset with all attached. They are taken away again, the last first, and of each
// of them goes what it had, and nothing else.
func inAndOut(t *testing.T, h *nettest.Node, all []attachment) string {
	t.Helper()
	seen := []string{list(t, h)}
	for _, a := range all {
		h.CNI(t, a.call("ADD")).OK(t)
		seen = append(seen, list(t, h))
	}
	now := seen[len(all)]
	for i, a := range slices.Backward(all) {
		after := now
		h.CNI(t, a.call("DEL")).OK(t)
		now = list(t, h)
		if diff := cmp.Diff(without(after, a.container.Name()), now); diff != "" {
			t.Errorf("DEL of %s took more or less than its elements (-its elements gone +now):\n%s", a.container.Name(), diff)
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

// TestListingLoads: each listing is a text that nft(8) reads, and what it makes of it lists the same.
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
