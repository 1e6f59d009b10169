package firewall_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// dockers is a host with docker's chains, as far as they matter, in both tables.
func dockers(t *testing.T) *nettest.Node {
	t.Helper()
	h := host(t)
	for _, program := range []string{"iptables", "ip6tables"} {
		h.Run(t, program, "-N", "DOCKER-USER")
		h.Run(t, program, "-A", "DOCKER-USER", "-s", map[string]string{"iptables": "192.0.2.7", "ip6tables": "2001:db8::7"}[program], "-j", "DROP")
		h.Run(t, program, "-A", "DOCKER-USER", "-j", "RETURN")
		h.Run(t, program, "-A", "FORWARD", "-j", "DOCKER-USER")
		h.Run(t, program, "-P", "FORWARD", "DROP")
	}
	return h
}

// byHand returns the arguments of iptables for the rules that Allow adds.
func byHand(bridge string) [][]string {
	comment := []string{"-m", "comment", "--comment", "patchbay:" + bridge, "-j", "ACCEPT"}
	return [][]string{
		append([]string{"-i", bridge}, comment...),
		append([]string{"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT"}, comment...),
	}
}

func allow(t *testing.T, h *nettest.Node, bridge string) (changed bool) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) (err error) { changed, err = f.Allow(bridge); return err })
	return changed
}

func disallow(t *testing.T, h *nettest.Node, bridge string) (changed bool) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) (err error) { changed, err = f.Disallow(bridge); return err })
	return changed
}

func allowed(t *testing.T, h *nettest.Node) (bridges []string) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) (err error) { bridges, err = f.Allowed(); return err })
	return bridges
}

// chainOf lists a chain as iptables does.
func chainOf(t *testing.T, h *nettest.Node, program, name string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(h.Run(t, program, "-S", name)), "\n")[1:]
}

// isReadable checks that iptables and ip6tables can list and restore their tables.
func isReadable(t *testing.T, h *nettest.Node) {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		h.Run(t, program, "-S")
		c := h.Command(program+"-restore", "--test")
		c.Stdin = strings.NewReader(h.Run(t, program+"-save"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s-save | %s-restore --test: %v: %s", program, program, err, out)
		}
	}
}

// Allow adds the rules of a bridge once, at the start of the chain, and keeps other rules. Disallow restores
// the tables.
//
// Claim: Two rules for a bridge in DOCKER-USER are written as iptables writes them, once, and removed completely; no other chain is
// touched
func TestAllow(t *testing.T) {
	h := dockers(t)
	before := map[string][]string{"iptables": chainOf(t, h, "iptables", "DOCKER-USER"), "ip6tables": chainOf(t, h, "ip6tables", "DOCKER-USER")}
	saved := h.Run(t, "iptables-save", "-t", "filter")
	if got := allowed(t, h); len(got) > 0 {
		t.Errorf("allowed before: %q", got)
	}
	for i, bridge := range []string{"cni0", "cni0", "fifteen-letters", "cni0"} {
		if changed := allow(t, h, bridge); changed != (i == 0 || i == 2) {
			t.Errorf("Allow(%s) says changed: %v", bridge, changed)
		}
	}
	for program, was := range before {
		want := slices.Concat(listedRules("fifteen-letters"), listedRules("cni0"), was)
		if diff := cmp.Diff(want, chainOf(t, h, program, "DOCKER-USER")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", program, diff)
		}
	}
	isReadable(t, h)
	if diff := cmp.Diff([]string{"cni0", "fifteen-letters"}, allowed(t, h)); diff != "" {
		t.Errorf("Allowed (-want +got):\n%s", diff)
	}
	if disallow(t, h, "cni") || !disallow(t, h, "cni0") || disallow(t, h, "cni0") || !disallow(t, h, "fifteen-letters") {
		t.Error("Disallow does not say what it changed")
	}
	for program, was := range before {
		if diff := cmp.Diff(was, chainOf(t, h, program, "DOCKER-USER")); diff != "" {
			t.Errorf("%s afterwards (-before +after):\n%s", program, diff)
		}
	}
	if got := h.Run(t, "iptables-save", "-t", "filter"); uncommented(got) != uncommented(saved) {
		t.Errorf("before:\n%s\nafter:\n%s", saved, got)
	}
}

// listedRules returns the lines of iptables -S for the rules of a bridge.
func listedRules(bridge string) []string {
	return []string{
		`-A DOCKER-USER -i ` + bridge + ` -m comment --comment "patchbay:` + bridge + `" -j ACCEPT`,
		`-A DOCKER-USER -o ` + bridge + ` -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment "patchbay:` + bridge + `" -j ACCEPT`,
	}
}

// uncommented returns the output of iptables-save without comment lines, which have the time.
func uncommented(saved string) string {
	lines := strings.Split(saved, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") }), "\n")
}

// Without docker's chain Allow changes nothing and returns no error.
//
// Claim: Two rules for a bridge in DOCKER-USER are written as iptables writes them, once, and removed completely; no other chain is
// touched
func TestAllowWithoutDocker(t *testing.T) {
	h := host(t)
	for _, rules := range []string{"", "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }", "table inet filter { chain DOCKER-USER { }; }"} {
		load(t, h, rules)
		before := h.Run(t, "nft", "list", "ruleset")
		if allow(t, h, "cni0") || disallow(t, h, "cni0") || len(allowed(t, h)) > 0 {
			t.Errorf("rules were changed or found in\n%s", before)
		}
		if diff := cmp.Diff(before, h.Run(t, "nft", "list", "ruleset")); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	}
}

// Docker without IPv6 has its chain in one table only.
//
// Claim: Two rules for a bridge in DOCKER-USER are written as iptables writes them, once, and removed completely; no other chain is
// touched
func TestAllowInOneTable(t *testing.T) {
	h := dockers(t)
	h.Run(t, "ip6tables", "-D", "FORWARD", "-j", "DOCKER-USER")
	h.Run(t, "ip6tables", "-F", "DOCKER-USER")
	h.Run(t, "ip6tables", "-X", "DOCKER-USER")
	if !allow(t, h, "cni0") || allow(t, h, "cni0") {
		t.Error("Allow does not say what it changed")
	}
	if got := h.Run(t, "ip6tables", "-S"); strings.Contains(got, "DOCKER-USER") {
		t.Errorf("ip6tables has\n%s", got)
	}
	if diff := cmp.Diff([]string{"cni0"}, allowed(t, h)); diff != "" {
		t.Errorf("Allowed (-want +got):\n%s", diff)
	}
}

// expressions returns the encoded expressions of each rule of a chain of table filter, as the kernel sends them.
func expressions(t *testing.T, h *nettest.Node, family byte, chain string) (rules [][]byte) {
	t.Helper()
	inHost(t, h, func(*firewall.Filters) error {
		conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		body, err := netlink.MarshalAttributes([]netlink.Attribute{
			{Type: unix.NFTA_RULE_TABLE, Data: []byte("filter\x00")}, {Type: unix.NFTA_RULE_CHAIN, Data: []byte(chain + "\x00")},
		})
		if err != nil {
			return err
		}
		answers, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | unix.NLM_F_DUMP},
			Data:   append([]byte{family, 0, 0, 0}, body...),
		})
		for _, a := range answers {
			attributes, err := netlink.UnmarshalAttributes(a.Data[4:])
			if err != nil {
				return err
			}
			for _, one := range attributes {
				if one.Type&^unix.NLA_F_NESTED == unix.NFTA_RULE_EXPRESSIONS {
					rules = append(rules, one.Data)
				}
			}
		}
		return err
	})
	return rules
}

// The expressions are those that iptables encodes, byte for byte: `iptables -D` finds the rules.
//
// Claim: Two rules for a bridge in DOCKER-USER are written as iptables writes them, once, and removed completely; no other chain is
// touched
func TestAllowWritesAsIptables(t *testing.T) {
	for program, family := range map[string]byte{"iptables": unix.NFPROTO_IPV4, "ip6tables": unix.NFPROTO_IPV6} {
		for _, bridge := range []string{"cni0", "b", "br0", "seven77", "eight888", "fifteen-letters", "br.1-2_3"} {
			t.Run(program+" "+bridge, func(t *testing.T) {
				t.Parallel()
				h := dockers(t)
				h.Run(t, program, "-N", "BY-HAND")
				for _, arguments := range byHand(bridge) {
					h.Run(t, program, append([]string{"-A", "BY-HAND"}, arguments...)...)
				}
				allow(t, h, bridge)
				want, got := expressions(t, h, family, "BY-HAND"), expressions(t, h, family, "DOCKER-USER")
				if len(want) != 2 || len(got) != 4 {
					t.Fatalf("%d rules by hand, %d in DOCKER-USER", len(want), len(got))
				}
				if diff := cmp.Diff(want, got[:2]); diff != "" {
					t.Errorf("(-iptables +ours):\n%s", diff)
				}
				for _, arguments := range byHand(bridge) {
					h.Run(t, program, append([]string{"-C", "DOCKER-USER"}, arguments...)...)
					h.Run(t, program, append([]string{"-D", "DOCKER-USER"}, arguments...)...)
				}
				if n := len(chainOf(t, h, program, "DOCKER-USER")); n != 2 {
					t.Errorf("%d rules, want the 2 of other programs", n)
				}
			})
		}
	}
}

// A rule with our comment and other content is replaced. Similar rules of other programs are kept. A rule whose
// counter is not zero, or that iptables-restore loaded, is recognised.
//
// Claim: Two rules for a bridge in DOCKER-USER are written as iptables writes them, once, and removed completely; no other chain is
// touched
func TestAllowKnowsItsOwn(t *testing.T) {
	h := dockers(t)
	h.Run(t, "iptables", "-I", "DOCKER-USER", "-i", "cni0", "-j", "ACCEPT")
	h.Run(t, "iptables", "-I", "DOCKER-USER", "-i", "cni0", "-m", "comment", "--comment", "not patchbay:cni0", "-j", "DROP")
	others := chainOf(t, h, "iptables", "DOCKER-USER")
	h.Run(t, "iptables", "-I", "DOCKER-USER", "-o", "cni0", "-m", "comment", "--comment", "patchbay:cni0", "-j", "ACCEPT")
	if !allow(t, h, "cni0") {
		t.Error("a rule that admits everything stayed")
	}
	want := append(listedRules("cni0"), others...)
	if diff := cmp.Diff(want, chainOf(t, h, "iptables", "DOCKER-USER")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	saved := strings.ReplaceAll(h.Run(t, "iptables-save", "-c"), "[0:0] -A DOCKER-USER", "[12:3456] -A DOCKER-USER")
	c := h.Command("iptables-restore", "-c")
	c.Stdin = strings.NewReader(saved)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("iptables-restore: %v: %s", err, out)
	}
	if allow(t, h, "cni0") {
		t.Errorf("rules with a counter that is not zero are not recognised:\n%s", saved)
	}
	h.Run(t, "iptables", append([]string{"-A", "DOCKER-USER"}, byHand("cni0")[0]...)...)
	if !allow(t, h, "cni0") {
		t.Error("a rule that is there twice stayed")
	}
	disallow(t, h, "cni0")
	if diff := cmp.Diff(others, chainOf(t, h, "iptables", "DOCKER-USER")); diff != "" {
		t.Errorf("after Disallow (-want +got):\n%s", diff)
	}
}
