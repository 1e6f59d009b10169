package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const codeNotReady = 50

// status is the verb as a runtime calls it: with no attachment.
func status(t *testing.T, h *nettest.Node, n conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, nettest.Call{Command: "STATUS", Config: n.bytes(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}})
}

// TestStatusIsGoodBeforeTheFirstAdd, and leaves no trace.
func TestStatusIsGoodBeforeTheFirstAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	answer := status(t, h, everything()).OK(t)
	expect.Equal(t, "stdout", string(answer.Stdout), "")
	status(t, h, network()).OK(t)
	noLeaks(t, h)
}

// TestStatusOfAFullPool: good while addresses are left, 50 when none is; it changes nothing.
func TestStatusOfAFullPool(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(pool("10.1.0.0/30", "fd00:1::/64"))
	status(t, h, n).OK(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, n)
	before := picture(t, h, c)
	e := status(t, h, n).Error(t)
	expect.Equal(t, "code", e.Code, codeNotReady)
	expect.Contains(t, e.Msg, "no IP address is left", "network net")
	expect.Equal(t, "picture", picture(t, h, c), before)
	a.del(t)
	status(t, h, n).OK(t)
}

// TestStatusWhereNoAddCouldPass: the bridge's name is a plain interface's.
func TestStatusWhereNoAddCouldPass(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	e := status(t, h, network(conf{"bridge": "lo"})).Error(t)
	expect.Equal(t, "code", e.Code, codeNotReady)
	expect.Contains(t, e.Msg, "interface lo", "is not a bridge")
}

// TestStatusOfAnAdoptedBridge is good and touches it not.
func TestStatusOfAnAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	adopted(t, h, "52:54:00:00:53:10")
	status(t, h, network(gateway(), conf{"bridge": "br0"}, pool("fd00:1::/64"))).OK(t)
}

// TestStatusOfBadConfig tells what is wrong with it.
func TestStatusOfBadConfig(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	e := status(t, h, network(conf{"mtu": "big"})).Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, "mtu")
}

// TestStatusAsIPAM: another main plugin asks.
func TestStatusAsIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(conf{"type": "macvlan", "master": "eth0"}, pool("10.1.0.0/30"))
	status(t, h, n).OK(t)
	a, _ := attach(t, h, h.Container("c"), n)
	expect.Equal(t, "code", status(t, h, n).Error(t).Code, codeNotReady)
	a.check(t)
}
