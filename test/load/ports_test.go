package load

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// publishers are so many that a bridge has room for them, and ports.
const publishers = 100

// TestStormOfPorts: everybody at once, each with a port of the host. All get theirs, and nothing is
// left of them.
func TestStormOfPorts(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := gather(t, h, publishers, network("net", "cni0", defaultGateway, masquerade, pool("10.1.0.0/24", "fd00:1::/64")))
	for i, m := range c.members {
		m.more = publishing(8000+i, "")
	}
	add := c.all(t, "ADD")
	add.allOK(t)
	c.judgePorts(t, func(i int) int { return 8000 + i })
	check := c.all(t, "CHECK")
	check.allOK(t)
	del := c.all(t, "DEL")
	del.allOK(t)
	h.NoLeaks(t)
	look(t, h, c.containers()).equal(t, newState())
	t.Logf("patchbay:  %s\npatchbay:  %s\npatchbay:  %s", add, check, del)
}

// TestStormOnOnePort: everybody wants the same port. One gets it; the others are told whose it is,
// or was at that moment, and leave nothing.
func TestStormOnOnePort(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := gather(t, h, publishers, network("net", "cni0", defaultGateway, pool("10.1.0.0/24", "fd00:1::/64")))
	for _, m := range c.members {
		m.more = publishing(8080, "")
	}
	r := c.all(t, "ADD")
	if r.ok() != 1 {
		t.Errorf("%d ADDs have the port, not one", r.ok())
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, codeTaken)
			named(t, a, c)
		}
	}
	c.judgePorts(t, func(int) int { return 8080 })
	c.all(t, "DEL").allOK(t)
	h.NoLeaks(t)
	look(t, h, c.containers()).equal(t, newState())
}

// named wants the error to name one of the crowd and the port.
func named(t *testing.T, a nettest.Answer, c *crowd) {
	t.Helper()
	msg := a.Error(t).Msg
	for _, m := range c.members {
		if strings.Contains(msg, "net/"+m.ID()+"/eth0") && strings.Contains(msg, "port 8080") {
			return
		}
	}
	t.Errorf("the error does not tell whose port 8080 is: %s", msg)
}

// judgePorts wants what those have who are attached, and nothing else, to be published.
func (c *crowd) judgePorts(t *testing.T, portOf func(int) int) {
	t.Helper()
	want, seen := newState(), newState()
	for i, m := range c.members {
		if m.prev != nil {
			want.publish(key{"net", m.ID(), "eth0"}, portOf(i), "", withoutLengths(addressesOf(t, m.prev)))
		}
	}
	seen.lookAtRules(t, c.h)
	if got, wanted := fmt.Sprint(seen.Ports), fmt.Sprint(want.Ports); got != wanted {
		t.Errorf("published is %s, not %s", got, wanted)
	}
}
