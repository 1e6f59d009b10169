package nat

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// lockRuleset takes the ruleset lock: LOCK_EX as a process that rebuilds the ruleset, LOCK_SH as a DEL.
func lockRuleset(t *testing.T, h *nettest.Node, how int) *os.File {
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

// TestDelWaitsForTheBuilder: a DEL deletes neither interface nor elements while another process rebuilds the ruleset: having listed the
// attachment as live, that process would add its elements again.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestDelWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
	c := h.Container("web")
	hostIf := h.CNI(t, cni.Call(t, "ADD", c, config)).Result(t).Interfaces[1].Name
	lock := lockRuleset(t, h, unix.LOCK_EX)
	running := h.StartCNI(t, cni.Call(t, "DEL", c, config))
	nettest.AwaitWaiter(t, lock)
	h.Run(t, "ip", "link", "show", hostIf)
	if rules := h.Run(t, "nft", "list", "map", "inet", "patchbay", "masq4"); !strings.Contains(rules, c.ID()) {
		t.Errorf("the element was deleted during the rebuild:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
}

// TestAddWaitsForTheBuilder: an ADD publishes nothing while another process rebuilds the ruleset from a list without it.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestAddWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
	first, c := h.Container("first"), h.Container("web")
	add(t, h, first, config)
	lock := lockRuleset(t, h, unix.LOCK_EX)
	running := h.StartCNI(t, cni.Call(t, "ADD", c, config))
	nettest.AwaitWaiter(t, lock)
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, c.ID()) {
		t.Errorf("elements were added during the rebuild:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
	cni.Del(t, h, c, config)
	cni.Del(t, h, first, config)
}

// TestBuilderWaitsForDel: an ADD that creates the ruleset waits for a DEL that holds the lock.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestBuilderWaitsForDel(t *testing.T) {
	h := nettest.Host(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
	c := h.Container("web")
	lock := lockRuleset(t, h, unix.LOCK_SH)
	running := h.StartCNI(t, cni.Call(t, "ADD", c, config))
	nettest.AwaitWaiter(t, lock)
	if rules := h.Run(t, "nft", "list", "ruleset"); rules != "" {
		t.Errorf("the ruleset was created during the DEL:\n%s", rules)
	}
	lock.Close()
	running.Wait(t).OK(t)
	cni.Del(t, h, c, config)
}

// TestFailedAddWaitsForTheBuilder: the undo of a failed ADD deletes the elements under the lock too, after the veth pair. The ADD fails because
// a neighbour has its address, which it gets once the test holds the lock: until then duplicate address detection goes on, for 20 s.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestFailedAddWaitsForTheBuilder(t *testing.T) {
	h := nettest.Host(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Conf{"enabledad": true}, cni.Pool(subnet6))
	first, c := h.Container("first"), h.Container("web")
	add(t, h, first, config)
	c.SetSysctl("net/ipv6/conf/default/dad_transmits", "20")
	running := h.StartCNI(t, cni.Call(t, "ADD", c, config))
	for end := time.Now().Add(10 * time.Second); !strings.Contains(h.Run(t, "nft", "list", "ruleset"), c.ID()); {
		if time.Now().After(end) {
			t.Fatal("the ADD has published nothing")
		}
	}
	lock := lockRuleset(t, h, unix.LOCK_EX)
	first.Run(t, "ip", "address", "add", "fd00:88::3/64", "dev", "eth0", "nodad")
	nettest.AwaitWaiter(t, lock)
	if links := h.Run(t, "ip", "-o", "link", "show", "master", "cni0"); strings.Count(links, "\n") != 1 {
		t.Errorf("the host interface still exists:\n%s", links)
	}
	lock.Close()
	if e := running.Wait(t).Error(t); !strings.Contains(e.Msg, "fd00:88::3") {
		t.Errorf("got %+v", e)
	}
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, c.ID()) {
		t.Errorf("elements of the failed ADD:\n%s", rules)
	}
	first.Run(t, "ip", "address", "del", "fd00:88::3/64", "dev", "eth0")
	cni.Del(t, h, first, config)
}
