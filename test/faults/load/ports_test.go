package load

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// publishers is the number of containers that publish a port at the same time.
const publishers = 100

// TestStormOfPorts: 100 concurrent ADDs with one host port each. All succeed, and after DEL nothing is left behind.
//
// Claim: Of 100 concurrent ADDs with one port each all succeed; of 100 on the same port one succeeds, and each other error names the owner
func TestStormOfPorts(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := newBatch(t, h, publishers, network("net", "cni0", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	for i, m := range c.members {
		m.more = publishing(8000+i, "")
	}
	add := c.all(t, "ADD")
	add.allOK(t)
	c.checkPorts(t, func(i int) int { return 8000 + i })
	check := c.all(t, "CHECK")
	check.allOK(t)
	del := c.all(t, "DEL")
	del.allOK(t)
	h.NoLeaks(t)
	readState(t, h, c.containers()).equal(t, newState())
	t.Logf("patchbay:  %s\npatchbay:  %s\npatchbay:  %s", add, check, del)
}

// TestStormOnOnePort: 100 concurrent ADDs with the same host port. One succeeds; the errors of the others name the owner at that moment,
// and they leave nothing behind.
//
// Claim: Of 100 concurrent ADDs with one port each all succeed; of 100 on the same port one succeeds, and each other error names the owner
func TestStormOnOnePort(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := newBatch(t, h, publishers, network("net", "cni0", cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	for _, m := range c.members {
		m.more = publishing(8080, "")
	}
	r := c.all(t, "ADD")
	if r.ok() != 1 {
		t.Errorf("%d ADDs succeeded, want 1", r.ok())
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, codeTaken)
			namesOwner(t, a, c)
		}
	}
	c.checkPorts(t, func(int) int { return 8080 })
	c.all(t, "DEL").allOK(t)
	h.NoLeaks(t)
	readState(t, h, c.containers()).equal(t, newState())
}

// namesOwner checks that the error names a member of the batch and the port.
func namesOwner(t *testing.T, a nettest.Answer, c *batch) {
	t.Helper()
	msg := a.Error(t).Msg
	for _, m := range c.members {
		if strings.Contains(msg, "net/"+m.ID()+"/eth0") && strings.Contains(msg, "port 8080") {
			return
		}
	}
	t.Errorf("the error does not name the owner of port 8080: %s", msg)
}

// checkPorts checks that the ports of the attached members, and no others, are published.
func (c *batch) checkPorts(t *testing.T, portOf func(int) int) {
	t.Helper()
	want, seen := newState(), newState()
	for i, m := range c.members {
		if m.prev != nil {
			want.publish(key{"net", m.ID(), "eth0"}, portOf(i), "", withoutLengths(addressesOf(t, m.prev)))
		}
	}
	seen.readRules(t, c.h)
	if got, wanted := fmt.Sprint(seen.Ports), fmt.Sprint(want.Ports); got != wanted {
		t.Errorf("published: %s, want %s", got, wanted)
	}
}
