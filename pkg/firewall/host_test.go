package firewall_test

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// host returns a host on which the test may leave rules of nftables.
func host(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"), nettest.Tool("iptables"))
	h.Allow("nft ")
	return h
}

// inHost calls run with the filters of a host, in its network namespace.
func inHost(t *testing.T, h *nettest.Node, run func(f *firewall.Filters) error) {
	t.Helper()
	var err error
	h.Do(func() {
		var f *firewall.Filters
		if f, err = firewall.Open(); err == nil {
			defer f.Close()
			err = run(f)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// usual returns a bridge that needs every kind of packet.
func usual() firewall.Bridge {
	return firewall.Bridge{Name: "cni0", Uplink: "eth0", IPv4: true, IPv6: true, Routed: true, Published: true, NFCall4: true, NFCall6: true}
}

func drops(t *testing.T, h *nettest.Node, b firewall.Bridge) (all []firewall.Drop) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) (err error) {
		all, err = f.Drops(b)
		return err
	})
	return all
}

// sentences returns the texts of drops.
func sentences(all []firewall.Drop) (texts []string) {
	for _, d := range all {
		texts = append(texts, d.String())
	}
	return texts
}

// load adds rules to a host, in the syntax of nft(8).
func load(t *testing.T, h *nettest.Node, rules string) {
	t.Helper()
	c := h.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, rules)
	}
}

// runFixes runs the commands of the drops.
func runFixes(t *testing.T, h *nettest.Node, all []firewall.Drop) {
	t.Helper()
	for _, command := range firewall.Fixes(all) {
		h.Run(t, "sh", "-c", command)
	}
}
