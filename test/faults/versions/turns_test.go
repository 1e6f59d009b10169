package versions

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// reaches checks that the containers reach a remote host, which sees the address of the host only.
func (s *scene) reaches(lan *nettest.LAN, all ...*nettest.Container) {
	s.t.Helper()
	for _, c := range all {
		capture := lan.Outside.Capture(s.t, "eth0")
		if r := c.Ping(netip.MustParseAddr(nettest.LANOutside4), nettest.PingOptions{Count: 1}); !r.OK() {
			s.t.Errorf("ping from %s: %s", c.Name(), r)
		}
		seen := capture.Stop(s.t).Of(nettest.EchoRequest)
		if len(seen.From(netip.MustParseAddr(nettest.LANHost4))) == 0 || len(seen.From(s.addresses[c.ID()])) > 0 {
			s.t.Errorf("packets of %s at the remote host:\n%s", c.Name(), seen)
		}
	}
}

// TestTakingTurns: an upgrade, an ADD of the old version, a downgrade, the upgrade again. No container loses its connectivity.
//
// Claim: Two versions work on one host in turns: each removes what the other added, no rule is lost over upgrade, reload and downgrade,
// and an ADD of an older version on a newer table is refused with a message and changes nothing
func TestTakingTurns(t *testing.T) {
	t.Parallel()
	s := newScene(t, cni.Masquerade())
	lan := s.LAN(t)
	s.Baseline()
	a, b, c, d := s.Container("a"), s.Container("b"), s.Container("c"), s.Container("d")
	s.add(s.old, a)
	s.hasSchema(schema())
	s.do(s.next, "CHECK", a).OK(t) // the old rules are sufficient before its first ADD
	s.add(s.next, b)
	s.hasSchema(schema() + 1)
	s.masquerades(a, b)
	s.reaches(lan, a, b)
	s.do(s.old, "CHECK", a).OK(t)
	s.do(s.next, "CHECK", a).OK(t)
	s.do(s.next, "CHECK", b).OK(t)
	e := s.do(s.old, "CHECK", b).Error(t)
	if want := "the record was written by a newer patchbay: " + tooNew(store.RecordVersion()) + "; only the fields that this version knows were checked"; e.Msg != want || strings.HasPrefix(e.Details, "also") {
		t.Errorf("CHECK: %q, %q; want %q alone", e.Msg, e.Details, want)
	}

	s.unchanged("an ADD that is refused", func() { s.refused(s.do(s.old, "ADD", c)) })
	if e := s.do(s.old, "ADD", b).Error(t); e.Code != 100 {
		t.Errorf("ADD of a container that a newer version has attached: %v", e)
	}
	s.reload(s.old)
	s.hasSchema(schema())
	s.masquerades(a, b)
	s.reaches(lan, a, b)
	s.add(s.old, c)
	s.hasSchema(schema())
	s.add(s.next, d)
	s.hasSchema(schema() + 1)
	s.masquerades(a, b, c, d)
	s.reaches(lan, a, b, c, d)

	s.del(s.next, a)
	s.del(s.old, b)
	s.masquerades(c, d)
	s.del(s.next, c)
	s.del(s.old, d)
	s.masquerades()
	s.NoLeaks(t)
}

// TestRemovalByTheOther: DEL and GC of the version that did not ADD, on the table of either version.
//
// Claim: Two versions work on one host in turns: each removes what the other added, no rule is lost over upgrade, reload and downgrade,
// and an ADD of an older version on a newer table is refused with a message and changes nothing
func TestRemovalByTheOther(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"DEL", "GC"} {
		for _, tc := range []struct {
			name                 string
			adds, table, removes int
		}{
			{"new removes old, old table", 0, 0, 1},
			{"new removes old, new table", 0, 1, 1},
			{"old removes new, old table", 1, 0, 0},
			{"old removes new, new table", 1, 1, 0},
			{"old removes old, new table", 0, 1, 0},
		} {
			t.Run(verb+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, cni.Masquerade())
				both := []string{s.old, s.next}
				c, stays := s.Container("c"), s.Container("stays")
				s.add(both[tc.adds], c)
				s.add(both[tc.adds], stays)
				s.reload(both[tc.table])
				s.hasSchema(schema() + tc.table)
				s.masquerades(c, stays)
				s.removeBy(verb, both[tc.removes], c, stays)
				s.masquerades(stays)
				s.hasSchema(schema() + tc.table)
				s.del(both[tc.removes], stays)
				s.masquerades()
				s.NoLeaks(t)
			})
		}
	}
}

// removeBy calls DEL for c, or a GC with stays as the only valid attachment. The old version must warn about a newer record.
func (s *scene) removeBy(verb, plugin string, c, stays *nettest.Container) {
	s.t.Helper()
	call := s.call(plugin, "DEL", c)
	if verb == "GC" {
		valid := cni.Conf{"cni.dev/valid-attachments": []cni.Conf{{"containerID": stays.ID(), "ifname": "eth0"}}}
		call = nettest.Call{Plugin: plugin, Command: "GC", Config: s.config.With(valid).JSON(s.t)}
	}
	answer := s.CNI(s.t, call).OK(s.t)
	if warned := strings.Contains(string(answer.Stderr), "written by a newer patchbay"); warned != (plugin == s.old && s.isNewer(c)) {
		s.t.Errorf("warned about a newer record: %t: %s", warned, answer)
	}
}

func (s *scene) isNewer(c *nettest.Container) bool { return s.newer[c.ID()] }
