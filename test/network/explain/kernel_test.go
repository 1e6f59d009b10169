package explain

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// kernel returns the network state of a host and of its namespace c1: links with the flags of bridge ports, addresses, routes, rules, qdiscs,
// VLANs, all sysctls of IP and of its interfaces, and the ruleset. The MAC of a bridge that was created is random, and stands as BRIDGE.
func kernel(t *testing.T, h *nettest.Node, bridge string) []string {
	t.Helper()
	var all []string
	names := withoutMAC(t, h, bridge) // before lines are sorted
	for _, c := range []struct {
		where   string
		command []string
	}{
		{"host", []string{"ip", "-d", "-j", "link"}},
		{"host", []string{"ip", "-d", "-j", "address"}},
		{"host", []string{"ip", "-d", "-j", "-4", "route", "show", "table", "all"}},
		{"host", []string{"ip", "-d", "-j", "-6", "route", "show", "table", "all"}},
		{"host", []string{"ip", "-d", "-j", "rule"}},
		{"host", []string{"ip", "-d", "-j", "-6", "rule"}},
		{"host", []string{"bridge", "-d", "-j", "link"}},
		{"host", []string{"bridge", "-j", "vlan"}},
		{"host", []string{"tc", "-j", "qdisc"}},
		{"c1", []string{"ip", "-d", "-j", "link"}},
		{"c1", []string{"ip", "-d", "-j", "address"}},
		{"c1", []string{"ip", "-d", "-j", "-4", "route", "show", "table", "all"}},
		{"c1", []string{"ip", "-d", "-j", "-6", "route", "show", "table", "all"}},
		{"c1", []string{"ip", "-d", "-j", "rule"}},
		{"c1", []string{"tc", "-j", "qdisc"}},
	} {
		command := c.command
		if c.where == "c1" {
			command = append([]string{"ip", "netns", "exec", "c1"}, command...)
		}
		for _, line := range objects(t, names.Replace(h.Run(t, command[0], command[1:]...))) {
			all = append(all, c.where+": "+strings.Join(c.command, " ")+": "+line)
		}
	}
	for _, where := range [][]string{nil, {"ip", "netns", "exec", "c1"}} {
		command := append(slices.Clone(where), "sh", "-c", "cd /proc/sys/net && grep -s . ipv4/ip_forward ipv[46]/conf/*/*; true")
		for line := range strings.Lines(h.Run(t, command[0], command[1:]...)) {
			all = append(all, fmt.Sprintf("%v: %s", where, strings.TrimSpace(line)))
		}
	}
	filters := "for i in $(ip -o link show | cut -d: -f2 | cut -d@ -f1); do tc filter show dev $i ingress; tc filter show dev $i; tc class show dev $i; done"
	for _, c := range []struct{ what, command string }{{"nft", "nft list ruleset"}, {"tc filter", filters}} {
		for line := range strings.Lines(h.Run(t, "sh", "-c", c.command)) {
			all = append(all, c.what+": "+strings.TrimRight(line, "\n"))
		}
	}
	return all
}

// objects returns the objects of a JSON array, each as its fields, sorted, without those that differ between any two hosts.
func objects(t *testing.T, text string) (lines []string) {
	t.Helper()
	var all []map[string]any
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	for _, o := range all {
		if info, is := o["linkinfo"].(map[string]any); is && info["info_kind"] == "ifb" {
			delete(o, "address") // random, as the kernel chose it
		}
		var fields []string
		flatten("", o, &fields)
		slices.Sort(fields)
		lines = append(lines, strings.Join(fields, " "))
	}
	slices.Sort(lines)
	return lines
}

// flatten lists the fields of an object by their paths.
func flatten(path string, value any, fields *[]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, one := range v {
			// Numbers of this run, timers, and what follows from the time since a change.
			if slices.Contains([]string{"ifindex", "link_index", "link_netnsid", "stats", "stats64", "gc_timer", "hello_timer", "tcn_timer", "topology_change_timer", "message_age_timer", "forward_delay_timer", "hold_timer", "id", "no", "multicast_router", "expires"}, key) {
				continue
			}
			flatten(path+"."+key, one, fields)
		}
	case []any:
		for _, one := range v {
			flatten(path, one, fields)
		}
	default:
		*fields = append(*fields, fmt.Sprintf("%s=%v", strings.TrimPrefix(path, "."), v))
	}
}

// withoutMAC returns what replaces the MAC of a bridge, and the addresses and IDs that follow from it.
func withoutMAC(t *testing.T, h *nettest.Node, bridge string) *strings.Replacer {
	t.Helper()
	mac, err := net.ParseMAC(h.MAC(bridge))
	if err != nil {
		t.Fatal(err)
	}
	local := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}).String()
	short := strings.ReplaceAll(":"+mac.String(), ":0", ":")[1:]
	return strings.NewReplacer(mac.String(), "BRIDGE", local, "LOCAL", "8000."+strings.TrimPrefix(short, "0"), "BRIDGE-ID")
}

// settle waits until the kernel has finished duplicate address detection for the addresses of the LAN.
func settle(t *testing.T, h *nettest.Node) {
	t.Helper()
	changes, done := make(chan netlink.AddrUpdate, 100), make(chan struct{})
	defer close(done)
	tentative := func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 }
	h.Do(func() {
		if err := netlink.AddrSubscribe(changes, done); err != nil {
			t.Error(err)
		}
	})
	for {
		all, err := h.Netlink().AddrList(nil, netlink.FAMILY_V6)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(all, tentative) {
			return
		}
		select {
		case <-changes:
		case <-time.After(time.Minute):
			t.Fatalf("addresses are still tentative: %v", all)
		}
	}
}

// requireSame compares two hosts. The kernel reports that a port has carrier a moment after the last command: so a difference must last
// while the state is read some more times.
func requireSame(t *testing.T, bridge, what string, added, other *nettest.Node) {
	t.Helper()
	const tries = 20
	diff := ""
	for range tries {
		want, got := kernel(t, added, bridge), kernel(t, other, bridge)
		if diff = cmp.Diff(want, got); diff == "" {
			return
		}
	}
	t.Errorf("after %s (-ADD +commands):\n%s", what, diff)
}

// script runs a script that explain printed.
func script(t *testing.T, h *nettest.Node, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "explain.sh")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Command("sh", file).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s\n%s", err, out, text)
	}
}
