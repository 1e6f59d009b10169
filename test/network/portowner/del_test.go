package portowner

import (
	"net"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestPortAfterReboot: the DEL of the old container comes when a new one has its address and port. The cached result and port mappings that the
// runtime passes must not make it remove anything of the new container.
//
// Claim/state_lost,state_kept: After a reboot the late DEL of the old container, with its cached result and ports, removes nothing of the
// new container that has its address and port
func TestPortAfterReboot(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"state lost": "/run/patchbay", "state kept": "/var/lib/state"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			config := network("net", "cni0", cni.Masquerade(), cni.Conf{"stateDir": state})
			old := on(h, "old", config, mapping(8080), mapping(53, cni.Conf{"protocol": "udp"}))
			old.add(t)
			h.Run(t, "nft", "flush", "ruleset")
			h.Reboot()
			next := on(h, "next", config, old.mappings...)
			next.args = "IP=10.88.0.2,fd00:88::2"
			next.add(t)
			next.serve(t)
			before := rules(t, h)
			if n := strings.Count(before, next.ID()+"/eth0"); n != 10 || strings.Contains(before, old.ID()) {
				t.Errorf("%d elements, want 10: four ports, two of self, and four of masquerading:\n%s", n, before)
			}
			for range 2 {
				old.del(t)
				sameRules(t, h, before, "by the late DEL")
				next.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
				next.do(t, "CHECK").OK(t)
			}
			next.del(t)
			silent(t, h, gateway4+":8080")
			if text := rules(t, h); strings.Contains(text, `comment "patchbay:`) {
				t.Errorf("elements are left:\n%s", text)
			}
		})
	}
}

// sendUDP sends one datagram from the host.
func sendUDP(t *testing.T, h *nettest.Node, address string) {
	t.Helper()
	var err error
	h.Do(func() {
		var c net.Conn
		if c, err = net.Dial("udp", address); err == nil {
			_, err = c.Write([]byte("x"))
			c.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDelTakesItsOwnPorts: DEL, called twice, removes its own ports, with its record, without it, or with a torn one; those of others stay.
//
// Claim: DEL removes its own ports, whether the runtime passes them or not, with its record, without it, or with a torn one; those of
// others stay
func TestDelTakesItsOwnPorts(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]string{
		"intact": "true", "record removed": "rm RECORD", "record torn": "truncate -s 40 RECORD", "record empty": "truncate -s 0 RECORD",
		"an element deleted": "nft delete element inet patchbay publish4 { tcp . 8081 }", "veth pair deleted": "ip link del LINK", "no port mappings passed": "true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			config := network("net", "cni0", cni.Conf{"markMasqBit": 20, "masqAll": true})
			stays, goes := on(h, "stays", config, mapping(9090)), on(h, "goes", config, mapping(8080, cni.Conf{"range": 3}), mapping(8080, cni.Conf{"protocol": "sctp"}, of("192.0.2.1")),
				mapping(8090, cni.Conf{"protocol": "udp"}))
			stays.add(t)
			stays.serve(t)
			before := rules(t, h)
			goes.add(t)
			if rules(t, h) == before {
				t.Error("the ADD has published nothing")
			}
			sendUDP(t, h, gateway4+":8090") // a flow that the DEL must end: the leak oracle reports it otherwise
			h.Run(t, "sh", "-c", strings.NewReplacer("RECORD", goes.record(), "LINK", goes.link).Replace(harm))
			if name == "no port mappings passed" {
				goes.mappings = nil
			}
			for range 2 {
				goes.del(t)
				goes.isRemoved(t)
				sameRules(t, h, before, "by ADD and DEL")
			}
			stays.answers(t, gateway4+":9090", "["+gateway6+"]:9090", "127.0.0.1:9090")
			stays.do(t, "CHECK").OK(t)
			stays.del(t)
			h.NoLeaks(t)
		})
	}
}

// TestLateDelLeavesTheNextOwner: record and veth pair of an attachment are deleted, and another attachment has its port. Two late DELs remove
// nothing of that.
//
// Claim: After a reboot the late DEL of the old container, with its cached result and ports, removes nothing of the new container that has
// its address and port
func TestLateDelLeavesTheNextOwner(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0")
	old, next := on(h, "old", config, mapping(8080)), on(h, "next", config, mapping(8080))
	old.add(t)
	h.Run(t, "ip", "link", "del", old.link)
	h.Run(t, "rm", old.record())
	next.add(t)
	next.serve(t)
	before := rules(t, h)
	for range 2 {
		old.del(t)
		sameRules(t, h, before, "by the late DEL")
		next.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
	}
	next.do(t, "CHECK").OK(t)
	next.del(t)
}
