package cluster

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// reboot takes from the first host what a reboot takes: routes, interfaces, and the files below /run. The network configuration stays.
func (p *pair) reboot(t *testing.T) {
	t.Helper()
	p.first.stopAgent()
	p.first.call("DEL", p.from.Container).OK(t)
	for _, family := range []string{"-4", "-6"} {
		p.first.Run(t, "ip", family, "route", "flush", "proto", "112")
	}
	p.first.Run(t, "ip", "link", "del", "cni0")
	p.first.Run(t, "sh", "-c", "rm -rf /run/patchbay /run/patchbay-agent")
}

// TestReboot: after a boot the network configuration of the boot before is there before the agent runs. Until its first whole pass no pod is
// attached, and the first one that is reaches the other node.
//
// Claim: After a boot no pod is attached before patchbay-agent has written the routes: ADD fails with code 11 and STATUS with code 50, also if the
// API server does not answer, and doctor reports it
func TestReboot(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first
	p.reboot(t)

	refused := func(when string) {
		t.Helper()
		e := n.call("ADD", p.from.Container).Error(t)
		expect.Equal(t, "code of ADD "+when, e.Code, 11)
		expect.Contains(t, e.Msg, "ready file /run/patchbay-agent/ready does not exist")
		expect.Equal(t, "code of STATUS "+when, n.call("STATUS", p.from.Container).Error(t).Code, 50)
		n.call("DEL", p.from.Container).OK(t)
		expect.Contains(t, n.patchbay("doctor"), "network pods is not ready: every ADD fails until patchbay-agent has written the routes to other nodes")
	}
	refused("without the agent")
	p.api.Stop()
	n.startAgent()
	eventually(t, "the status says that the API server does not answer", func() error {
		if s := n.status(); s.APIError == "" {
			return fmt.Errorf("status: %s", n.read(statusFile))
		}
		return nil
	})
	refused("without the API server")
	p.api.Resume()
	eventually(t, "a pod is attached", func() error {
		answer := n.call("ADD", p.from.Container)
		if answer.Exit != 0 {
			return fmt.Errorf("ADD: %s", answer.Stdout)
		}
		p.from.addresses = nil
		for _, ip := range answer.Result(t).IPs {
			addr, _ := netip.AddrFromSlice(ip.Address.IP)
			p.from.addresses = append(p.from.addresses, addr.Unmap())
		}
		return nil
	})
	mesh(t, []pod{p.from, p.to})
	if out := n.patchbay("doctor"); strings.Contains(out, "not ready") {
		t.Errorf("doctor: %s", out)
	}
}
