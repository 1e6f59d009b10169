package sbr

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestCheck: CHECK reports a rule or default route that is lost, and a configuration that has changed.
//
// Claim: CHECK reports a lost rule or default route of `sbr`
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	conf := s.both(t, second())
	drifts := func(conf cni.Conf, want string) {
		t.Helper()
		e := s.CNI(t, s.call(t, "CHECK", "eth1", conf)).Error(t)
		expect.Equal(t, "code", e.Code, codeDrift)
		expect.Equal(t, "message", e.Msg, want)
	}
	for _, change := range []struct{ do, undo, says string }{
		{"ip rule del from 10.2.0.2", "ip rule add from 10.2.0.2 lookup 100", "the container has lost the rule from 10.2.0.2 lookup 100"},
		{"ip -6 rule del from fd00:2::2", "ip -6 rule add from fd00:2::2 lookup 101", "the container has lost the rule from fd00:2::2 lookup 101"},
		{"ip -6 route del default table 101", "ip -6 route add default via fd00:2::1 table 101", "eth1 in the container has lost the route ::/0 via fd00:2::1"},
	} {
		s.c.Run(t, "sh", "-c", change.do)
		drifts(conf, change.says)
		s.c.Run(t, "sh", "-c", change.undo)
		s.CNI(t, s.call(t, "CHECK", "eth1", conf)).OK(t)
	}
	drifts(conf.With(cni.Conf{"sbr": nil}), "the attachment has source-based routing, the configuration no longer does (sbr)")
	drifts(conf.With(cni.Conf{"sbr": cni.Conf{"table": 7}}), "the attachment was made with another routing table than the configuration has (sbr.table)")
	s.detach(t)
}

// TestDelWithoutNamespace: an empty or missing CNI_NETNS, and a path where another namespace or a file is now, are a success and create no
// file; where the namespace still exists the rules are removed by the record.
//
// Claim: DEL removes the rules of `sbr` by the record, also with an empty, missing or reused CNI_NETNS, and creates no file there
func TestDelWithoutNamespace(t *testing.T) {
	t.Parallel()
	for name, netns := range map[string]string{"empty": "", "missing": "/run/netns/nowhere", "another": "other", "a file": "/run/file"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if netns == "other" {
				netns = s.outside.Path()
			}
			s.Run(t, "touch", "/run/file")
			s.Baseline()
			s.both(t, second())
			call := s.call(t, "DEL", "eth1", second())
			call.Netns = netns
			s.CNI(t, call).OK(t)
			expect.Equal(t, "rules after DEL", s.rules(t), nil)
			s.CNI(t, call).OK(t)
			s.CNI(t, s.call(t, "DEL", "eth0", first())).OK(t)
			s.NoLeaks(t)
			if _, err := os.Lstat("/run/netns/nowhere"); err == nil {
				t.Error("DEL created a file in place of the namespace")
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.both(t, second())
		call, other := s.call(t, "DEL", "eth1", second()), s.call(t, "DEL", "eth0", first())
		s.c.Delete()
		s.CNI(t, call).OK(t)
		s.CNI(t, other).OK(t)
		s.NoLeaks(t)
	})
}

// TestDelLeavesAnother: DEL of one network leaves the rules of the container's others.
func TestDelLeavesAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.both(t, second())
	third := second(cni.Conf{"name": "third", "bridge": "cni3"}, cni.Pool("10.3.0.0/24"))
	s.add(t, "eth2", third)
	expect.Equal(t, "rules", s.rules(t), []string{"from 10.3.0.2 lookup 102", "from 10.2.0.2 lookup 100", "from fd00:2::2 lookup 101"})
	s.CNI(t, s.call(t, "DEL", "eth1", second())).OK(t)
	expect.Equal(t, "rules", s.rules(t), []string{"from 10.3.0.2 lookup 102"})
	s.CNI(t, s.call(t, "DEL", "eth2", third)).OK(t)
	s.CNI(t, s.call(t, "DEL", "eth0", first())).OK(t)
}

// TestAtTheSameTime: networks of one container that are attached at the same time get different tables.
//
// Claim: Networks of one container that are attached at the same time get different tables of `sbr`
func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const networks = 8
	of := func(i int) cni.Conf {
		return second(cni.Conf{"name": fmt.Sprintf("net%d", i), "bridge": fmt.Sprintf("br%d", i)}, cni.Pool(fmt.Sprintf("10.%d.0.0/24", i+10), fmt.Sprintf("fd00:%d::/64", i+10)))
	}
	var all sync.WaitGroup
	for i := range networks {
		all.Go(func() { s.CNI(t, s.call(t, "ADD", fmt.Sprintf("eth%d", i), of(i))).OK(t) })
	}
	all.Wait()
	tables := map[string]bool{}
	for _, rule := range s.rules(t) {
		tables[rule[len(rule)-3:]] = true
	}
	expect.Equal(t, "different tables", len(tables), 2*networks)
	for i := range networks {
		s.CNI(t, s.call(t, "DEL", fmt.Sprintf("eth%d", i), of(i))).OK(t)
	}
	expect.Equal(t, "rules after DEL", s.rules(t), nil)
}

// TestLockOfTheNamespace: ADD waits for the lock that the reference plugin takes on the file of the namespace.
func TestLockOfTheNamespace(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(t, "eth0", first())
	fd := -1
	s.Do(func() {
		var err error
		if fd, err = unix.Open(s.c.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			err = unix.Flock(fd, unix.LOCK_EX)
		}
		if err != nil {
			t.Error(err)
		}
	})
	defer unix.Close(fd)
	running := s.StartCNI(t, s.call(t, "ADD", "eth1", second()))
	time.Sleep(300 * time.Millisecond)
	expect.Equal(t, "rules while the lock is held", s.rules(t), nil)
	if err := unix.Flock(fd, unix.LOCK_UN); err != nil {
		t.Error(err)
	}
	running.Wait(t).OK(t)
	s.detach(t)
}

// TestFailedAdd: an ADD that fails after the rules were made removes them.
func TestFailedAdd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(t, "eth0", first())
	network := second(cni.Conf{"sysctl": cni.Conf{"net.nosuch.thing": "1"}})
	expect.Equal(t, "code", s.CNI(t, s.call(t, "ADD", "eth1", network)).Error(t).Code, codeConfig)
	expect.Equal(t, "rules", s.rules(t), nil)
	s.CNI(t, s.call(t, "DEL", "eth0", first())).OK(t)
}

// TestKeptInterface: DEL removes rules, tables and addresses from an interface that an earlier plugin of the list made.
func TestKeptInterface(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Veth("theirs", s.c.Netns, "eth1")
	s.Baseline()
	prev := cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{
		{"name": "theirs", "mac": s.MAC("theirs")}, {"name": "eth1", "mac": s.c.MAC("eth1"), "sandbox": s.c.Path()},
	}}}
	s.add(t, "eth1", second(prev))
	expect.Equal(t, "rules", s.rules(t), []string{"from 10.2.0.2 lookup 100", "from fd00:2::2 lookup 101"})
	s.CNI(t, nettest.Call{Command: "DEL", ContainerID: s.c.ID(), IfName: "eth1", Config: second().JSON(t)}).OK(t)
	expect.Equal(t, "rules after DEL", s.rules(t), nil)
	expect.Equal(t, "table after DEL", s.routes(t, "-4", "100"), nil)
	s.NoLeaks(t)
}
