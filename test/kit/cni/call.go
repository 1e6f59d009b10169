package cni

import (
	"encoding/json"
	"net/netip"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Call returns a call for eth0 of a container.
func Call(t testing.TB, verb string, c *nettest.Container, config Conf) nettest.Call {
	t.Helper()
	return nettest.Call{Command: verb, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: config.JSON(t)}
}

// Add attaches eth0 of a container.
func Add(t testing.TB, h *nettest.Node, c *nettest.Container, config Conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, Call(t, "ADD", c, config)).OK(t)
}

// Del detaches eth0 of a container.
func Del(t testing.TB, h *nettest.Node, c *nettest.Container, config Conf) {
	t.Helper()
	h.CNI(t, Call(t, "DEL", c, config)).OK(t)
}

// Prev returns the key prevResult with the result that ADD printed.
func Prev(result json.RawMessage) Conf { return Conf{"prevResult": result} }

// Check calls CHECK for eth0 of a container; the configuration has the result of ADD.
//
//	cni.Check(t, h, c, config.With(cni.Prev(result)))
func Check(t testing.TB, h *nettest.Node, c *nettest.Container, config Conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, Call(t, "CHECK", c, config))
}

// Addresses returns the addresses of a result, without prefix lengths.
func Addresses(r *types100.Result) []netip.Addr {
	addrs := make([]netip.Addr, len(r.IPs))
	for i, ip := range r.IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		addrs[i] = addr.Unmap()
	}
	return addrs
}
