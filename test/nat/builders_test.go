package nat

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// builder holds the lock of the ruleset as LOCK_EX, which who builds it has, or LOCK_SH, which a DEL has.
func builder(t *testing.T, h *nettest.Node, how int) *os.File {
	t.Helper()
	var f *os.File
	var err error
	h.Do(func() {
		if err = os.MkdirAll("/run/patchbay", 0o700); err == nil {
			f, err = os.OpenFile("/run/patchbay/.ruleset", os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err == nil {
			err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A DEL takes neither cable nor elements while somebody builds the ruleset anew: who listed the
// attachment as living would put back what it took.
func TestDelWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq, subnet4)
	c := h.Container("web")
	cable := h.CNI(t, call("ADD", c, config)).Result(t).Interfaces[1].Name
	lock := builder(t, h, unix.LOCK_EX)
	running := h.StartCNI(t, call("DEL", c, config))
	nettest.AwaitWaiter(t, lock)
	h.Run(t, "ip", "link", "show", cable)
	if rules := h.Run(t, "nft", "list", "map", "inet", "patchbay", "masq4"); !strings.Contains(rules, c.ID()) {
		t.Errorf("the element is gone while somebody builds:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
}

// An ADD publishes nothing while somebody builds, who has listed the living without it.
func TestAddWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq, subnet4)
	first, c := h.Container("first"), h.Container("web")
	add(t, h, first, config)
	lock := builder(t, h, unix.LOCK_EX)
	running := h.StartCNI(t, call("ADD", c, config))
	nettest.AwaitWaiter(t, lock)
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, c.ID()) {
		t.Errorf("its elements are there while somebody builds:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
	del(t, h, c, config)
	del(t, h, first, config)
}

// The other way round: who builds waits for a DEL that is between the two.
func TestBuilderWaitsForDel(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq, subnet4)
	c := h.Container("web")
	lock := builder(t, h, unix.LOCK_SH)
	running := h.StartCNI(t, call("ADD", c, config))
	nettest.AwaitWaiter(t, lock)
	if rules := h.Run(t, "nft", "list", "ruleset"); rules != "" {
		t.Errorf("somebody has built:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
	del(t, h, c, config)
}

// A failed ADD's elements too go under the lock, when its cable is gone. It fails because a neighbour
// has its address, which takes it a second to find out: time enough for a builder to begin.
func TestFailedAddWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq+`"enabledad": true,`, subnet6)
	first, c := h.Container("first"), h.Container("web")
	add(t, h, first, config)
	first.Run(t, "ip", "address", "add", "fd00:88::3/64", "dev", "eth0", "nodad")
	running := h.StartCNI(t, call("ADD", c, config))
	for end := time.Now().Add(10 * time.Second); !strings.Contains(h.Run(t, "nft", "list", "ruleset"), c.ID()); {
		if time.Now().After(end) {
			t.Fatal("the ADD has published nothing")
		}
	}
	lock := builder(t, h, unix.LOCK_EX)
	nettest.AwaitWaiter(t, lock)
	if links := h.Run(t, "ip", "-o", "link", "show", "master", "cni0"); strings.Count(links, "\n") != 1 {
		t.Errorf("its cable should be gone by now:\n%s", links)
	}
	lock.Close()
	if e := running.Wait(t).Error(t); !strings.Contains(e.Msg, "fd00:88::3") {
		t.Errorf("got %+v", e)
	}
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, c.ID()) {
		t.Errorf("its elements are there:\n%s", rules)
	}
	first.Run(t, "ip", "address", "del", "fd00:88::3/64", "dev", "eth0")
	del(t, h, first, config)
}
