package security

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const (
	netAdmin = "CAP_NET_ADMIN"
	sysAdmin = "CAP_SYS_ADMIN"
	netRaw   = "CAP_NET_RAW"
)

// need is a verb, the capabilities that it takes, and what it says without each of them.
type need struct {
	verb  string
	six   bool              // on a network with IPv6
	masq  bool              // on a network with ipMasq
	words map[string]string // by capability
}

// needs are the smallest sets: of each the whole is enough, and each one less is not.
func needs() []need {
	const enter = "enter network namespace /run/netns/web: operation not permitted"
	const lacks = "no container can be attached: missing: "
	return []need{
		{verb: "VERSION"},
		{verb: "STATUS", words: map[string]string{netAdmin: lacks + netAdmin, sysAdmin: lacks + sysAdmin}},
		{verb: "STATUS", six: true, masq: true, words: map[string]string{netAdmin: lacks + netAdmin, sysAdmin: lacks + sysAdmin, netRaw: lacks + netRaw}},
		{verb: "ADD", masq: true, words: map[string]string{netAdmin: "ask for the generation of nftables: ", sysAdmin: enter}},
		{verb: "ADD", six: true, words: map[string]string{netAdmin: "create veth ", sysAdmin: enter, netRaw: "announce IPv6 addresses of eth0: open raw socket: operation not permitted"}},
		{verb: "CHECK", six: true, words: map[string]string{sysAdmin: enter}},
		{verb: "CHECK", masq: true, words: map[string]string{netAdmin: "ask for the generation of nftables: ", sysAdmin: enter}},
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

// TestReadmeTellsTheCapabilities: README has a line for each row.
func TestReadmeTellsTheCapabilities(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	for _, n := range needs() {
		all := strings.Join(n.capabilities(), " ")
		if all == "" {
			all = "none"
		}
		expect.Contains(t, string(readme), fmt.Sprintf("\n%-17s %s\n", n.name(), all))
	}
}

// user is somebody who has capabilities.
type user struct{ name, uid, setpriv string }

// users are root without its other rights, and somebody who is not root and owns the state
// directory. CAPS is a list such as -all,+net_admin.
func users() []user {
	return []user{
		{"root", "0", "setpriv --bounding-set=CAPS --inh-caps=-all"},
		{"nobody", "65534", "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=CAPS --inh-caps=CAPS --ambient-caps=CAPS"},
	}
}

// with is the plugin, run as this user with some capabilities.
func (u user) with(t *testing.T, h *nettest.Node, capabilities []string) string {
	t.Helper()
	list := "-all"
	for _, c := range capabilities {
		list += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	return nettest.Script(t, "exec "+strings.ReplaceAll(u.setpriv, "CAPS", list)+" "+installed(t, h))
}

// TestCapabilities: each verb passes with the capabilities of its row alone, and without any one
// of them says which step failed and what to do, and leaves nothing.
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

// ready is an attachment on a host of its own whose state belongs to u, as far as the verb needs it.
func (n need) ready(t *testing.T, u user) *attachment {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("cni0", "10.1.2.1/24", "fd00:1:2::1/64")
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	ranges := [][]conf{{{"subnet": "10.1.2.0/24"}}}
	if n.six {
		ranges = append(ranges, []conf{{"subnet": "fd00:1:2::/64"}})
	}
	h.Run(t, "install", "-d", "-m", "0700", "-o", u.uid, "-g", u.uid, "/run/patchbay")
	h.Baseline()
	a := on(t, h, h.Container("web"), network(conf{"ipMasq": n.masq, "ipam": conf{"type": "patchbay", "ranges": ranges}}))
	if slices.Contains([]string{"CHECK", "DEL", "GC"}, n.verb) {
		a.run(t, "ADD").OK(t)
		h.Run(t, "chown", "-R", u.uid+":"+u.uid, "/run/patchbay")
	}
	return a
}

func (n need) enough(t *testing.T, u user) {
	t.Helper()
	a := n.ready(t, u)
	plain := a.call.Plugin
	a.call.Plugin = u.with(t, a.h, n.capabilities())
	a.run(t, n.verb).OK(t)
	a.call.Plugin = plain
	a.run(t, "DEL").OK(t)
}

func (n need) tooLittle(t *testing.T, u user, without string) {
	t.Helper()
	a := n.ready(t, u)
	plain := a.call.Plugin
	a.call.Plugin = u.with(t, a.h, slices.DeleteFunc([]string{netAdmin, sysAdmin, netRaw}, func(c string) bool { return c == without }))
	e := a.run(t, n.verb).Error(t)
	expect.Contains(t, e.Msg, n.words[without], "operation not permitted")
	expect.Contains(t, e.Details, "run as root, or with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW")
	if n.verb == "ADD" {
		a.h.NoLeaks(t)
		return
	}
	a.call.Plugin = plain
	a.run(t, "DEL").OK(t)
}
