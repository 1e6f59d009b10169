package portowner

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// gate is a program that runs patchbay after open: calls through it start together.
type gate struct {
	program, path string
	shut          *os.File
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{path: t.TempDir() + "/gate"}
	g.program = nettest.Script(t, "exec flock -s "+g.path+" "+nettest.Patchbay(t))
	g.close(t)
	return g
}

func (g *gate) close(t *testing.T) {
	t.Helper()
	var err error
	if g.shut, err = os.Create(g.path); err == nil {
		err = unix.Flock(int(g.shut.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open waits until many calls wait, and starts them.
func (g *gate) open(t *testing.T, many int) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(g.shut.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		table, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, "->") && strings.Contains(line, ":"+strconv.FormatUint(stat.Ino, 10)+" ") {
				waiting++
			}
		}
		if waiting == many {
			g.shut.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d calls wait for the gate, want %d", waiting, many)
		}
	}
}

// rounds is the number of races for a port.
func rounds() int { return expect.Rounds(100) }

// TestTwoRaceForAPort: of two concurrent ADDs with conflicting mappings exactly one succeeds each time; the error of the other names the owner, and
// it leaves nothing behind.
//
// Claim: Of two concurrent processes that publish one host port exactly one gets it, a hundred times of a hundred, whether both use the
// same address or one uses the wildcard; the other error has code 102, names the owner, and leaves nothing behind
func TestTwoRaceForAPort(t *testing.T) {
	t.Parallel()
	type side struct {
		mapping cni.Conf
		thing   string
	}
	is := func(hostIP string) side {
		return side{mapping(8080, of(hostIP)), "port 8080/tcp of " + hostIP}
	}
	wildcard := side{mapping(8080), "port 8080/tcp"}
	for name, tc := range map[string]struct {
		one, other side
		at         string
	}{
		"the same":                  {wildcard, wildcard, gateway4 + ":8080"},
		"wildcard and IPv4 address": {wildcard, is(gateway4), gateway4 + ":8080"},
		"wildcard and IPv6 address": {side{mapping(8080, of("::")), "port 8080/tcp"}, is(gateway6), "[" + gateway6 + "]:8080"},
		"overlapping ranges": {
			side{mapping(8061, cni.Conf{"containerPort": 61, "range": 20}), "port 8080/tcp"}, side{mapping(8080, cni.Conf{"range": 20}), "port 8080/tcp"}, gateway4 + ":8080",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			g := newGate(t)
			config := network("net", "cni0")
			first := on(h, "first", config, mapping(1)) // creates bridge and table
			first.add(t)
			both := []*attachment{on(h, "one", config, tc.one.mapping), on(h, "other", config, tc.other.mapping)}
			things := []string{tc.one.thing, tc.other.thing}
			for _, b := range both {
				b.serve(t)
			}
			before, won := rules(t, h), map[string]int{}
			for range rounds() {
				winner, loser := race(t, g, both, things)
				winner.answers(t, tc.at)
				won[winner.Name()]++
				loser.del(t) // as a runtime does after a failed ADD
				winner.answers(t, tc.at)
				winner.do(t, "CHECK").OK(t)
				winner.del(t)
				sameRules(t, h, before, "by a race and a DEL")
				if t.Failed() {
					return
				}
			}
			t.Logf("of %d races %v", rounds(), won)
			first.del(t)
		})
	}
}

// race runs both ADDs concurrently and returns the winner; things are the ports as the errors name them.
func race(t *testing.T, g *gate, both []*attachment, things []string) (winner, loser *attachment) {
	t.Helper()
	var running []*nettest.Running
	for _, b := range both {
		call := b.call(t, "ADD")
		call.Plugin = g.program
		running = append(running, b.h.StartCNI(t, call))
	}
	g.open(t, len(both))
	answers := []nettest.Answer{running[0].Wait(t), running[1].Wait(t)}
	g.close(t)
	won := 0
	if answers[0].Exit != 0 {
		won = 1
	}
	winner, loser = both[won], both[1-won]
	winner.keep(t, answers[won])
	loser.lost(t, answers[1-won], winner, things[won])
	return winner, loser
}

// TestFirstTwoRaceForAPort: the two are the first on their host, so that one of them creates the table and finds the record of the other.
//
// Claim: Of two concurrent processes that publish one host port exactly one gets it, a hundred times of a hundred, whether both use the
// same address or one uses the wildcard; the other error has code 102, names the owner, and leaves nothing behind
func TestFirstTwoRaceForAPort(t *testing.T) {
	t.Parallel()
	for range 10 {
		h := host(t)
		g := newGate(t)
		both := []*attachment{on(h, "one", network("net", "cni0", cni.Masquerade()), mapping(8080)), on(h, "other", network("net", "cni0", cni.Masquerade()), mapping(8080))}
		winner, loser := race(t, g, both, []string{"port 8080/tcp", "port 8080/tcp"})
		winner.serve(t)
		winner.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
		loser.del(t)
		winner.do(t, "CHECK").OK(t)
		winner.del(t)
	}
}

// TestReloadsDoNotMoveAPort: reload, in a loop, rebuilds the table while another ADD requests the port and is refused: the port stays with its
// owner.
//
// Claim: A rebuilt table keeps a port with its owner, whatever other requests for it arrive meanwhile
func TestReloadsDoNotMoveAPort(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0")
	has, wants := on(h, "z-has", config, mapping(8080)), on(h, "a-wants", config, mapping(8080)) // its record is listed first
	has.add(t)
	has.serve(t)
	for range 30 {
		reload := h.Command(nettest.Patchbay(t), "reload")
		if err := reload.Start(); err != nil {
			t.Fatal(err)
		}
		wants.refused(t, has, "port 8080/tcp")
		if err := reload.Wait(); err != nil {
			t.Errorf("reload: %v", err)
		}
		wants.del(t)
		has.answers(t, gateway4+":8080", "["+gateway6+"]:8080")
		has.do(t, "CHECK").OK(t)
	}
	has.del(t)
}
