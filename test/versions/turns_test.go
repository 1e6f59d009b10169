package versions

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// reaches wants an answer from outside, and the outside to see the host.
func (s *scene) reaches(lan *nettest.LAN, all ...*nettest.Container) {
	s.t.Helper()
	for _, c := range all {
		capture := lan.Outside.Capture(s.t, "eth0")
		if r := c.Ping(netip.MustParseAddr(nettest.LANOutside4), nettest.PingOptions{Count: 1}); !r.OK() {
			s.t.Errorf("ping from %s: %s", c.Name(), r)
		}
		seen := capture.Stop(s.t).Of(nettest.EchoRequest)
		if len(seen.From(netip.MustParseAddr(nettest.LANHost4))) == 0 || len(seen.From(s.addresses[c.ID()])) > 0 {
			s.t.Errorf("the outside saw of %s:\n%s", c.Name(), seen)
		}
	}
}

// TestTakingTurns: an upgrade, an ADD of the old one meanwhile, a downgrade, the upgrade again. Nobody loses the way outside.
func TestTakingTurns(t *testing.T) {
	t.Parallel()
	s := newScene(t, masq)
	lan := s.LAN(t)
	s.Baseline()
	a, b, c, d := s.Container("a"), s.Container("b"), s.Container("c"), s.Container("d")
	s.add(s.old, a)
	s.hasSchema(schema())
	s.do(s.next, "CHECK", a).OK(t) // before its first ADD the old rules serve
	s.add(s.next, b)
	s.hasSchema(schema() + 1)
	s.masquerades(a, b)
	s.reaches(lan, a, b)
	s.do(s.old, "CHECK", a).OK(t)
	s.do(s.next, "CHECK", a).OK(t)
	s.do(s.next, "CHECK", b).OK(t)
	e := s.do(s.old, "CHECK", b).Error(t)
	if want := "the record was written by a newer patchbay: " + tooNew(store.RecordVersion()) + "; only what this one knows of it was checked"; e.Msg != want || strings.HasPrefix(e.Details, "also") {
		t.Errorf("CHECK: %q, %q; want %q alone", e.Msg, e.Details, want)
	}

	s.unchanged("an ADD that is refused", func() { s.refused(s.do(s.old, "ADD", c)) })
	if e := s.do(s.old, "ADD", b).Error(t); e.Code != 100 {
		t.Errorf("ADD of one that a newer version has attached: %v", e)
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

// TestRemovalByTheOther: DEL and GC by the version that did not ADD, on the table of either.
func TestRemovalByTheOther(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"DEL", "GC"} {
		for _, tc := range []struct {
			name             string
			adds, has, takes int
		}{
			{"new takes old's, on old's table", 0, 0, 1},
			{"new takes old's, on its own", 0, 1, 1},
			{"old takes new's, on its own table", 1, 0, 0},
			{"old takes new's, on new's", 1, 1, 0},
			{"old takes old's, on new's table", 0, 1, 0},
		} {
			t.Run(verb+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, masq)
				both := []string{s.old, s.next}
				c, stays := s.Container("c"), s.Container("stays")
				s.add(both[tc.adds], c)
				s.add(both[tc.adds], stays)
				s.reload(both[tc.has])
				s.hasSchema(schema() + tc.has)
				s.masquerades(c, stays)
				s.take(verb, both[tc.takes], c, stays)
				s.masquerades(stays)
				s.hasSchema(schema() + tc.has)
				s.del(both[tc.takes], stays)
				s.masquerades()
				s.NoLeaks(t)
			})
		}
	}
}

// take is a DEL, or a GC to which only the other one is valid.
func (s *scene) take(verb, plugin string, c, stays *nettest.Container) {
	s.t.Helper()
	call := s.call(plugin, "DEL", c)
	if verb == "GC" {
		valid := []map[string]string{{"containerID": stays.ID(), "ifname": "eth0"}}
		call = nettest.Call{Plugin: plugin, Command: "GC", Config: s.with("cni.dev/valid-attachments", valid)}
	}
	answer := s.CNI(s.t, call).OK(s.t)
	if told := strings.Contains(string(answer.Stderr), "written by a newer patchbay"); told != (plugin == s.old && s.isNewer(c)) {
		s.t.Errorf("newer record told of: %t: %s", told, answer)
	}
}

func (s *scene) isNewer(c *nettest.Container) bool { return s.newer[c.ID()] }
