package portowner

import (
	"net"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPortAfterReboot: the old container's DEL comes when a new one has its address and its port.
// What the runtime's cache tells, addresses and ports, is no reason to touch what is the new one's.
func TestPortAfterReboot(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"state lost": "/run/patchbay", "state kept": "/var/lib/state"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			config := network("net", "cni0", `"ipMasq": true`, `"stateDir": "`+state+`"`)
			old := on(h, "old", config, mapping(8080), mapping(53, `"protocol": "udp"`))
			old.add(t)
			h.Run(t, "nft", "flush", "ruleset")
			h.Reboot()
			next := on(h, "next", config, old.mappings...)
			next.args = "IP=10.88.0.2,fd00:88::2"
			next.add(t)
			next.serve(t)
			before := rules(t, h)
			if n := strings.Count(before, next.ID()+"/eth0"); n != 10 || strings.Contains(before, old.ID()) {
				t.Errorf("%d elements, want 10: four ports, self of two addresses, and four that masquerade:\n%s", n, before)
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

// sendUDP sends one datagram from the host, and waits for no answer.
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

// TestDelTakesItsOwnPorts, once and again, with its record, without it, with one that was cut, and
// when the port is another's by then; those of others stay.
func TestDelTakesItsOwnPorts(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]string{
		"as it should be": "true", "record removed": "rm RECORD", "record torn": "truncate -s 40 RECORD", "record empty": "truncate -s 0 RECORD",
		"an element is gone": "nft delete element inet patchbay publish4 { tcp . 8081 }", "cable cut": "ip link del LINK", "told no ports": "true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			config := network("net", "cni0", `"markMasqBit": 20`, `"masqAll": true`)
			stays, goes := on(h, "stays", config, mapping(9090)), on(h, "goes", config, mapping(8080, `"range": 3`), mapping(8080, `"protocol": "sctp"`, of("192.0.2.1")),
				mapping(8090, `"protocol": "udp"`))
			stays.add(t)
			stays.serve(t)
			before := rules(t, h)
			goes.add(t)
			if rules(t, h) == before {
				t.Error("an ADD has published nothing")
			}
			sendUDP(t, h, gateway4+":8090") // a flow that the DEL has to end: the oracle looks for it
			h.Run(t, "sh", "-c", strings.NewReplacer("RECORD", goes.record(), "LINK", goes.link).Replace(harm))
			if name == "told no ports" {
				goes.mappings = nil
			}
			for range 2 {
				goes.del(t)
				goes.isNowhere(t)
				sameRules(t, h, before, "by ADD and DEL")
			}
			stays.answers(t, gateway4+":9090", "["+gateway6+"]:9090", "127.0.0.1:9090")
			stays.do(t, "CHECK").OK(t)
			stays.del(t)
			h.NoLeaks(t)
		})
	}
}

// TestLateDelLeavesTheNextOwner: the record is gone, the cable too, and another one has the port. The
// DEL that comes then, and one more, take nothing of it.
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
