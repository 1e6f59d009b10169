package reported

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// Configurations before and after the change of a subnet.
func movedConfs() (before, after string) {
	return brConf("10.1.0.0/24", "fd00:1::/64"), brConf("10.2.0.0/24", "fd00:2::/64")
}

const (
	movedFrom = "10.1.0.1/24 fd00:1::1/64"
	movedTo   = "10.2.0.1/24 fd00:2::1/64"
	movedBoth = "10.1.0.1/24 10.2.0.1/24 fd00:1::1/64 fd00:2::1/64"
)

func movedEmpty(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.adds(t, before, "web")
	n.dels(t, before, "web")
	n.bridgeHas(t, "cni0", movedFrom) // the bridge keeps it
	n.status(t, after).OK(t)
	n.adds(t, after, "db")
	n.bridgeHas(t, "cni0", movedTo)
	n.reaches(t, "db", "10.2.0.1", "fd00:2::1")
	n.dels(t, after, "db")
	n.adds(t, brConf("10.3.0.0/24"), "mq") // and without one family
	n.bridgeHas(t, "cni0", "10.3.0.1/24")
	n.dels(t, after, "mq")
}

func movedBesideIdle(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	idle := addrWith(brConf("10.3.0.0/24"), `"name": "idle"`)
	n.adds(t, idle, "mq")
	n.dels(t, idle, "mq")
	n.adds(t, before, "web")
	n.bridgeHas(t, "cni0", "10.1.0.1/24 10.3.0.1/24 fd00:1::1/64")
	n.dels(t, before, "web")
	n.adds(t, after, "web")
	n.bridgeHas(t, "cni0", "10.2.0.1/24 10.3.0.1/24 fd00:2::1/64")
	n.dels(t, after, "web")
	n.gc(t, after)
	n.bridgeHas(t, "cni0", "10.2.0.1/24 10.3.0.1/24 fd00:2::1/64")
}

// movedTwoNames: a process that locks one directory through two descriptors would wait for itself.
func movedTwoNames(t *testing.T) {
	n := newAddrNode(t)
	n.Run(t, "mkdir", "-m", "0700", "/run/patchbay")
	n.Run(t, "ln", "-s", "/run/patchbay", "/run/pb")
	before, after := movedConfs()
	before, after = addrWith(before, `"stateDir": "/run/pb"`), addrWith(after, `"stateDir": "/run/pb"`)
	n.adds(t, before, "web", "db")
	n.adds(t, after, "mq")
	n.bridgeHas(t, "cni0", movedBoth)
	n.dels(t, before, "web", "db")
	n.bridgeHas(t, "cni0", movedTo)
	n.dels(t, after, "mq")
}

func movedLive(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	before, after := movedConfs()
	before, after = addrWith(before, `"ipMasq": true`), addrWith(after, `"ipMasq": true`)
	n.adds(t, before, "old1", "old2")
	outside := []string{nettest.LANOutside4, nettest.LANOutside6}
	n.reaches(t, "old1", outside...)
	n.adds(t, after, "new1")
	n.bridgeHas(t, "cni0", movedBoth)
	n.reaches(t, "old1", outside...)
	n.reaches(t, "new1", outside...)
	n.reaches(t, "old1", "10.1.0.1", "fd00:1::1", "10.1.0.3", "10.2.0.2", "fd00:2::2")
	n.dels(t, after, "old1")
	n.bridgeHas(t, "cni0", movedBoth)
	n.reaches(t, "old2", outside...)
	n.adds(t, after, "new2")
	n.bridgeHas(t, "cni0", movedBoth)
	n.dels(t, after, "new2") // a new one removes no gateway
	n.bridgeHas(t, "cni0", movedBoth)
	n.dels(t, after, "old2")
	n.bridgeHas(t, "cni0", movedTo)
	n.reaches(t, "new1", outside...)
	n.check(t, "new1", after).OK(t)
	n.dels(t, after, "new1")
	n.bridgeHas(t, "cni0", movedTo)
}

func movedLive6(t *testing.T) {
	n := newAddrNode(t)
	before, after := brConf("fd00:1::/64"), brConf("fd00:2::/64")
	n.adds(t, before, "old1", "old2")
	n.adds(t, after, "new1")
	n.dels(t, before, "old1")
	n.bridgeHas(t, "cni0", "fd00:1::1/64 fd00:2::1/64")
	n.reaches(t, "old2", "fd00:1::1", "fd00:2::2")
	n.dels(t, before, "old2")
	n.bridgeHas(t, "cni0", "fd00:2::1/64")
	n.reaches(t, "new1", "fd00:2::1")
	n.adds(t, before, "back") // the runtime still uses the old configuration
	n.bridgeHas(t, "cni0", "fd00:1::1/64 fd00:2::1/64")
	n.dels(t, after, "new1") // the last one with the new configuration: the other has the older configuration, but the later ADD
	n.reaches(t, "back", "fd00:1::1")
	n.dels(t, before, "back")
	n.adds(t, after, "new2")
	n.bridgeHas(t, "cni0", "fd00:2::1/64")
	n.dels(t, `{"name": "net"`, "new2") // the configuration cannot be parsed
	n.bridgeHas(t, "cni0", "fd00:2::1/64")
}

func movedPrefix(t *testing.T) {
	n := newAddrNode(t)
	narrow := brSets(`[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]`)
	wide := brSets(`[{"subnet": "10.1.0.0/16", "rangeStart": "10.1.7.2"}], [{"subnet": "fd00:1::/48", "rangeStart": "fd00:1::7:2"}]`)
	n.adds(t, narrow, "old")
	n.adds(t, wide, "new")
	n.bridgeHas(t, "cni0", "10.1.0.1/16 10.1.0.1/24 fd00:1::1/48") // Linux adds an IPv6 address only once
	n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
	n.reaches(t, "new", "10.1.0.1", "fd00:1::1", "fd00:1::2")
	n.check(t, "old", narrow).OK(t)
	n.dels(t, wide, "old")
	n.bridgeHas(t, "cni0", "10.1.0.1/16 fd00:1::1/48")
	n.adds(t, narrow, "old")
	n.bridgeHas(t, "cni0", "10.1.0.1/16 10.1.0.1/24 fd00:1::1/48")
	n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
	n.dels(t, narrow, "new", "old")
	n.adds(t, narrow, "old") // without attachments it has exactly its own address
	n.bridgeHas(t, "cni0", "10.1.0.1/24 fd00:1::1/64")
	n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
	n.dels(t, narrow, "old")
}

func movedGateway(t *testing.T) {
	n := newAddrNode(t)
	sets := func(host string) string {
		return brSets(`[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.` + host + `"}], [{"subnet": "fd00:1::/64", "gateway": "fd00:1::` + host + `"}]`)
	}
	n.SetSysctl("net/ipv4/conf/all/promote_secondaries", "0")
	n.Baseline()
	before, after := sets("1"), sets("99")
	n.adds(t, before, "old")
	n.adds(t, after, "new")
	n.bridgeHas(t, "cni0", "10.1.0.1/24 10.1.0.99/24 fd00:1::1/64 fd00:1::99/64")
	n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
	n.reaches(t, "new", "10.1.0.99", "fd00:1::99")
	n.dels(t, after, "old")
	n.bridgeHas(t, "cni0", "10.1.0.99/24 fd00:1::99/64")
	n.reaches(t, "new", "10.1.0.99", "fd00:1::99")
	n.dels(t, after, "new")
	n.adds(t, before, "old")
	n.bridgeHas(t, "cni0", "10.1.0.1/24 fd00:1::1/64")
	n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
	n.dels(t, before, "old")
}

func movedByHand(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.adds(t, before, "old")
	n.AddAddress("cni0", "10.1.0.5/24", "172.16.5.4/16", "fd00:1::5/64")
	const byHand = "10.1.0.5/24 172.16.5.4/16 fd00:1::5/64"
	n.adds(t, after, "new")
	n.dels(t, before, "old")
	n.bridgeHas(t, "cni0", "10.1.0.5/24 10.2.0.1/24 172.16.5.4/16 fd00:1::5/64 fd00:2::1/64")
	n.dels(t, after, "new")
	n.adds(t, before, "old")
	n.bridgeHas(t, "cni0", "10.1.0.1/24 "+strings.Replace(byHand, "fd00", "fd00:1::1/64 fd00", 1))
	n.reaches(t, "old", "10.1.0.1", "10.1.0.5", "fd00:1::1", "fd00:1::5")
	n.gc(t, after, "old")
	n.bridgeHas(t, "cni0", "10.1.0.1/24 "+strings.Replace(byHand, "fd00", "fd00:1::1/64 fd00", 1))
	n.dels(t, before, "old")
}

func movedAtOnce(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.container("old")
	n.container("new")
	for range 6 {
		old, now := n.StartCNI(t, n.call(t, "ADD", "old", before)), n.StartCNI(t, n.call(t, "ADD", "new", after))
		a, b := old.Wait(t), now.Wait(t)
		a.Result(t)
		b.Result(t)
		n.prev["old"], n.prev["new"] = a.Stdout, b.Stdout
		n.bridgeHas(t, "cni0", movedBoth)
		n.check(t, "old", before).OK(t)
		n.check(t, "new", after).OK(t)
		n.reaches(t, "old", "10.1.0.1", "fd00:1::1")
		n.reaches(t, "new", "10.2.0.1", "fd00:2::1")
		n.dels(t, after, "old", "new")
		n.bridgeHas(t, "cni0", movedTo)
	}
}

func movedBack(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.adds(t, before, "old")
	n.adds(t, after, "new")
	last, next := "old", "back"
	n.container(next)
	for range 12 {
		del, add := n.StartCNI(t, n.call(t, "DEL", last, after)), n.StartCNI(t, n.call(t, "ADD", next, before))
		del.Wait(t).OK(t)
		a := add.Wait(t)
		a.Result(t)
		n.prev[next] = a.Stdout
		n.bridgeHas(t, "cni0", movedBoth)
		n.check(t, next, before).OK(t)
		last, next = next, last
	}
	n.reaches(t, last, "10.1.0.1", "fd00:1::1")
	n.dels(t, after, last)
	n.bridgeHas(t, "cni0", movedTo)
	n.dels(t, after, "new")
}

func movedAfterCrash(t *testing.T) {
	before, after := movedConfs()
	repairs := map[string]func(*testing.T, *addrNode){
		"ADD without a record": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", false)
			n.adds(t, after, "next")
			n.dels(t, after, "next")
		},
		"GC without a record": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", false)
			n.gc(t, after, "new")
		},
		"GC with a record": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", true)
			n.gc(t, after, "new")
		},
		"ADD with a stale record": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", true)
			n.adds(t, after, "next")
			n.bridgeHas(t, "cni0", movedTo)
			n.dels(t, after, "next")
			n.gc(t, after, "new")
		},
		"DEL with a record": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", true)
			call := nettest.Call{Command: "DEL", ContainerID: "old", IfName: "eth0", Config: []byte(before)}
			n.CNI(t, call).OK(t)
		},
		"patchbay gc": func(t *testing.T, n *addrNode) {
			n.lose(t, "old", true)
			if a := n.patchbay(t, "gc"); a.Exit != 0 {
				t.Error(a)
			}
		},
	}
	for name, repair := range repairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newAddrNode(t)
			n.adds(t, before, "old")
			n.adds(t, after, "new")
			n.bridgeHas(t, "cni0", movedBoth)
			repair(t, n)
			n.bridgeHas(t, "cni0", movedTo)
			n.reaches(t, "new", "10.2.0.1", "fd00:2::1")
			n.dels(t, after, "new")
			if strings.Contains(name, "without") { // nothing else releases the address
				n.gc(t, after)
			}
		})
	}
}

// movedLocked holds the lock of the state directory: a verb that would remove a gateway checks again after it got the lock,
// and a verb that needs the gateway waits for one that removes it.
func movedLocked(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.adds(t, before, "old")
	n.adds(t, after, "new")
	lock, unlock := n.lockState(t, unix.LOCK_SH)
	del := n.StartCNI(t, n.call(t, "DEL", "old", after))
	nettest.AwaitWaiter(t, lock) // it found no other user of the old gateway
	n.adds(t, before, "back")
	unlock()
	del.Wait(t).OK(t)
	n.bridgeHas(t, "cni0", movedBoth)
	n.check(t, "back", before).OK(t)
	n.reaches(t, "back", "10.1.0.1", "fd00:1::1")

	lock, unlock = n.lockState(t, unix.LOCK_EX)
	add := n.StartCNI(t, n.call(t, "ADD", "late", before))
	nettest.AwaitWaiter(t, lock)
	n.ip(t, "address del 10.1.0.1/24 dev cni0") // as the holder of the lock may
	unlock()
	add.Wait(t).Result(t)
	n.bridgeHas(t, "cni0", movedBoth)
	n.reaches(t, "late", "10.1.0.1")
	n.dels(t, after, "late", "back")
	n.bridgeHas(t, "cni0", movedTo)
	n.dels(t, after, "new")
}

// lockState locks the state directory of a host as its verbs do, until unlock is called.
func (n *addrNode) lockState(t *testing.T, how int) (lock *os.File, unlock func()) {
	t.Helper()
	n.Do(func() {
		var err error
		if lock, err = os.Open("/run/patchbay"); err == nil {
			err = unix.Flock(int(lock.Fd()), how)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return lock, func() { lock.Close() }
}

// movedKilled kills verbs that replace a gateway, and the DEL that removes the old one, before each of their changes.
func movedKilled(t *testing.T) {
	before, after := movedConfs()
	changes := func(s stepper.Step) bool { return s.Changing && !s.After }
	killed := stepper.Signal(syscall.SIGKILL)
	t.Run("ADD on an empty bridge", func(t *testing.T) {
		t.Parallel()
		n := newAddrNode(t)
		for at, finished := 1, false; !finished; at++ {
			n.adds(t, before, "old")
			n.dels(t, before, "old")
			finished = n.stepped(t, n.call(t, "ADD", "new", after), changes, at, killed).Exit == 0
			n.del(t, "new", after)
			n.adds(t, after, "next")
			n.bridgeHas(t, "cni0", movedTo)
			n.reachesSoon(t, "next", "10.2.0.1", "fd00:2::1")
			n.dels(t, after, "next")
		}
	})
	t.Run("DEL of the last", func(t *testing.T) {
		t.Parallel()
		n := newAddrNode(t)
		n.adds(t, after, "new")
		for at, finished := 1, false; !finished; at++ {
			n.adds(t, before, "old")
			n.bridgeHas(t, "cni0", movedBoth)
			finished = n.stepped(t, n.call(t, "DEL", "old", after), changes, at, killed).Exit == 0
			n.del(t, "old", after)
			n.bridgeHas(t, "cni0", movedTo)
			n.reachesSoon(t, "new", "10.2.0.1", "fd00:2::1")
		}
		n.dels(t, after, "new")
	})
}

func movedForeign(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	before, after := movedConfs()
	before, after = brOn("br0", before), brOn("br0", after)
	n.adds(t, before, "web")
	n.bridgeHas(t, "br0", movedFrom)
	n.refused(t, "db", after, "", 105, "bridge br0: conflicting addresses: present is 10.1.0.1/24, required is 10.2.0.1/24")
	n.dels(t, after, "web")
	n.bridgeHas(t, "br0", movedFrom)
	n.Baseline()
	n.everyFails(t, after, 105, "bridge br0: conflicting addresses: present is 10.1.0.1/24, required is 10.2.0.1/24")
}

func movedUnknownPort(t *testing.T) {
	n := newAddrNode(t)
	before, after := movedConfs()
	n.adds(t, before, "old")
	n.dels(t, before, "old")
	guest := n.container("guest")
	n.Veth("tap0", guest.Netns, "eth0")
	n.Plug("tap0", "cni0")
	guest.AddAddress("eth0", "10.1.0.77/24")
	n.adds(t, after, "new")
	n.bridgeHas(t, "cni0", movedBoth)
	n.reaches(t, "guest", "10.1.0.1")
	n.ip(t, "link del tap0")
	n.adds(t, after, "next")
	n.bridgeHas(t, "cni0", movedTo)
	n.dels(t, after, "new", "next")
}
