package nat

import (
	"os"
	"strings"
	"testing"

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

// A failed ADD's elements too go under the lock, when its cable is gone.
func TestFailedAddWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq, subnet4)
	first, c := h.Container("first"), h.Container("web")
	add(t, h, first, config)
	lock := builder(t, h, unix.LOCK_EX)
	// The kernel takes no gateway for what is on the host itself, and that shows when all else is there.
	bad := []byte(strings.Replace(string(config), `"ranges"`, `"routes": [{"dst": "192.0.2.0/24", "gw": "10.88.0.1", "scope": 254}], "ranges"`, 1))
	running := h.StartCNI(t, call("ADD", c, bad))
	nettest.AwaitWaiter(t, lock)
	if links := h.Run(t, "ip", "-o", "link", "show", "master", "cni0"); strings.Count(links, "\n") != 1 {
		t.Errorf("its cable should be gone by now:\n%s", links)
	}
	lock.Close()
	if e := running.Wait(t).Error(t); !strings.Contains(e.Msg, "192.0.2.0/24") {
		t.Errorf("got %+v", e)
	}
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, c.ID()) {
		t.Errorf("its elements are there:\n%s", rules)
	}
	del(t, h, first, config)
}
