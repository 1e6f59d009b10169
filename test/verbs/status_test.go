package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const codeNotReady = 50

// status calls STATUS as a runtime does, without an attachment.
func status(t *testing.T, h *nettest.Node, n cni.Conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, nettest.Call{Command: "STATUS", Path: cniPath(t, n), Config: n.JSON(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}})
}

// TestStatusBeforeTheFirstAdd: STATUS succeeds and creates nothing.
//
// Claim: STATUS and GC report the state that exists
func TestStatusBeforeTheFirstAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	answer := status(t, h, everything()).OK(t)
	expect.Equal(t, "stdout", string(answer.Stdout), "")
	status(t, h, cni.Network()).OK(t)
	noLeaks(t, h)
}

// TestStatusOfAFullPool: STATUS succeeds while addresses are left and returns 50 when none is; it changes nothing.
//
// Claim: STATUS and GC report the state that exists
func TestStatusOfAFullPool(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Pool("10.1.0.0/30", "fd00:1::/64"))
	status(t, h, n).OK(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, n)
	before := picture(t, h, c)
	e := status(t, h, n).Error(t)
	expect.Equal(t, "code", e.Code, codeNotReady)
	expect.Contains(t, e.Msg, "no container can be attached: no IP addresses available in range set: 10.1.0.1-10.1.0.2")
	expect.Equal(t, "picture", picture(t, h, c), before)
	a.del(t)
	status(t, h, n).OK(t)
}

// TestStatusIfBridgeNameIsTaken: an interface that is no bridge has the name of the bridge.
//
// Claim: STATUS and GC report the state that exists
func TestStatusIfBridgeNameIsTaken(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	e := status(t, h, cni.Network(cni.Conf{"bridge": "lo"})).Error(t)
	expect.Equal(t, "code", e.Code, codeNotReady)
	expect.Contains(t, e.Msg, "interface lo", "not a bridge")
}

// TestStatusOfAnAdoptedBridge: STATUS succeeds and does not change the bridge.
func TestStatusOfAnAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	adopted(t, h, "52:54:00:00:53:10")
	status(t, h, cni.Network(cni.Gateway(), cni.Conf{"bridge": "br0"}, cni.Pool("fd00:1::/64"))).OK(t)
}

// TestStatusWithInvalidConfig: STATUS reports the invalid key.
func TestStatusWithInvalidConfig(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	e := status(t, h, cni.Network(cni.Conf{"mtu": "big"})).Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, "mtu")
}

// TestStatusAsIPAM: another main plugin calls it.
func TestStatusAsIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Conf{"type": "macvlan", "master": "eth0"}, cni.Pool("10.1.0.0/30"))
	status(t, h, n).OK(t)
	a, _ := attach(t, h, h.Container("c"), n)
	expect.Equal(t, "code", status(t, h, n).Error(t).Code, codeNotReady)
	a.check(t)
}

// TestReadyFile: without the file of readyFile nothing is attached, and what is attached is checked, garbage-collected and deleted as ever.
//
// Claim: While the file of `readyFile` does not exist, ADD fails with code 11 and STATUS with code 50; CHECK, GC and DEL do not look at it
func TestReadyFile(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"), cni.Conf{"readyFile": "/run/ready"})
	c := h.Container("c")
	a := on(h, c, n)
	before := picture(t, h, c)
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "code", e.Code, codeTryAgain)
	expect.Contains(t, e.Msg, "ready file /run/ready does not exist")
	expect.Equal(t, "code of STATUS", status(t, h, n).Error(t).Code, codeNotReady)
	expect.Equal(t, "picture", picture(t, h, c), before)

	writeFile(t, h, "/run/ready", "")
	status(t, h, n).OK(t)
	a.add(t)
	h.Run(t, "rm", "/run/ready")
	a.check(t)
	gc(t, h, n, valid(listed(a))).OK(t)
	a.check(t)
	a.del(t)
}
