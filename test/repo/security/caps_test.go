package security

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	netAdmin = "CAP_NET_ADMIN"
	sysAdmin = "CAP_SYS_ADMIN"
	netRaw   = "CAP_NET_RAW"
)

// need is a verb, the capabilities that it needs, and its error without each of them.
type need struct {
	verb  string
	six   bool              // on a network with IPv6
	masq  bool              // on a network with ipMasq
	words map[string]string // by capability
}

// needs returns the smallest sets: each is sufficient, and without any one of its capabilities the verb fails.
func needs() []need {
	const enter = "enter network namespace /run/netns/web: operation not permitted"
	const missing = "missing: "
	const lacks = "no container can be attached: " + missing
	return []need{
		{verb: "VERSION"},
		{verb: "STATUS", words: map[string]string{netAdmin: lacks + netAdmin, sysAdmin: lacks + sysAdmin}},
		{verb: "STATUS", six: true, masq: true, words: map[string]string{netAdmin: lacks + netAdmin, sysAdmin: lacks + sysAdmin, netRaw: lacks + netRaw}},
		{verb: "ADD", masq: true, words: map[string]string{netAdmin: missing + netAdmin, sysAdmin: missing + sysAdmin}},
		{verb: "ADD", six: true, words: map[string]string{netAdmin: missing + netAdmin, sysAdmin: missing + sysAdmin, netRaw: missing + netRaw}},
		{verb: "CHECK", six: true, words: map[string]string{sysAdmin: enter}},
		{verb: "CHECK", masq: true, words: map[string]string{netAdmin: "get generation of nftables: ", sysAdmin: enter}},
		{verb: "DEL", six: true, masq: true, words: map[string]string{netAdmin: "delete veth "}},
		{verb: "GC", six: true, masq: true, words: map[string]string{netAdmin: "collect net/web/eth0: delete veth "}},
	}
}

func (n need) capabilities() []string {
	var all []string
	for _, c := range []string{netAdmin, sysAdmin, netRaw} {
		if n.words[c] != "" {
			all = append(all, c)
		}
	}
	return all
}

func (n need) name() string {
	if n.masq && n.verb == "CHECK" { // the others need as much without
		return n.verb + " with ipMasq"
	}
	if n.six && (n.verb == "ADD" || n.verb == "STATUS") {
		return n.verb + " with IPv6"
	}
	return n.verb
}

// TestCapabilitiesPage: docs/security.md has a line for each row.
//
// Claim: Each verb works with its smallest set of capabilities; without one of them the error names the step and the remedy, and nothing
// is left behind
func TestCapabilitiesPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/security.md")
	must(t, err)
	for _, n := range needs() {
		all := strings.Join(n.capabilities(), " ")
		if all == "" {
			all = "none"
		}
		expect.Contains(t, string(page), fmt.Sprintf("\n%-17s %s\n", n.name(), all))
	}
}

// user is a user with capabilities.
type user struct{ name, uid, setpriv string }

// users returns root without other capabilities, and a user that is not root and owns the state directory. CAPS is a list such as
// -all,+net_admin.
func users() []user {
	return []user{
		{"root", "0", "setpriv --bounding-set=CAPS --inh-caps=-all"},
		{"nobody", "65534", "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=CAPS --inh-caps=CAPS --ambient-caps=CAPS"},
	}
}

// with returns a program that runs the plugin as this user with these capabilities.
func (u user) with(t *testing.T, h *nettest.Node, capabilities []string) string {
	t.Helper()
	list := "-all"
	for _, c := range capabilities {
		list += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	return nettest.Script(t, "exec "+strings.ReplaceAll(u.setpriv, "CAPS", list)+" "+installed(t, h))
}

// TestCapabilities: each verb succeeds with the capabilities of its row only. Without any one of them its error names the step and the remedy, and it
// leaves nothing behind.
//
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
// Claim: Each verb works with its smallest set of capabilities; without one of them the error names the step and the remedy, and nothing
// is left behind
func TestCapabilities(t *testing.T) {
	nettest.Need(t, nettest.Tool("setpriv"))
	t.Parallel()
	for _, u := range users() {
		for _, n := range needs() {
			t.Run(u.name+"/"+n.name(), func(t *testing.T) {
				t.Parallel()
				n.enough(t, u)
				for _, c := range n.capabilities() {
					n.tooLittle(t, u, c)
				}
			})
		}
	}
}

// ready returns an attachment on a new host whose state belongs to u, prepared for the verb.
func (n need) ready(t *testing.T, u user) *attachment {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("cni0", "10.1.2.1/24", "fd00:1:2::1/64")
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	ranges := [][]cni.Conf{{{"subnet": "10.1.2.0/24"}}}
	if n.six {
		ranges = append(ranges, []cni.Conf{{"subnet": "fd00:1:2::/64"}})
	}
	h.Run(t, "install", "-d", "-m", "0700", "-o", u.uid, "-g", u.uid, "/run/patchbay")
	h.Baseline()
	a := on(t, h, h.Container("web"), network(cni.Conf{"ipMasq": n.masq, "ipam": cni.Conf{"type": "patchbay", "ranges": ranges}}))
	if slices.Contains([]string{"CHECK", "DEL", "GC"}, n.verb) {
		a.call.Plugin = u.with(t, h, []string{netAdmin, sysAdmin, netRaw})
		a.run(t, "ADD").OK(t)
	}
	return a
}

func (n need) enough(t *testing.T, u user) {
	t.Helper()
	a := n.ready(t, u)
	a.call.Plugin = u.with(t, a.h, n.capabilities())
	a.run(t, n.verb).OK(t)
	a.call.Plugin = u.with(t, a.h, []string{netAdmin, sysAdmin, netRaw}) // root does not use the state of another user
	a.run(t, "DEL").OK(t)
}

func (n need) tooLittle(t *testing.T, u user, without string) {
	t.Helper()
	a := n.ready(t, u)
	a.call.Plugin = u.with(t, a.h, slices.DeleteFunc([]string{netAdmin, sysAdmin, netRaw}, func(c string) bool { return c == without }))
	e := a.run(t, n.verb).Error(t)
	expect.Contains(t, e.Msg, n.words[without], "operation not permitted")
	expect.Contains(t, e.Details, "run as root, or with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW")
	if n.verb == "ADD" {
		a.h.NoLeaks(t)
		return
	}
	a.call.Plugin = u.with(t, a.h, []string{netAdmin, sysAdmin, netRaw})
	a.run(t, "DEL").OK(t)
}
