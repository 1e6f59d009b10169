package attacks

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// onSTP is a host with a bridge that another program created, with spanning tree, and the containers on it.
func onSTP(t *testing.T, keys map[string]any) *Scene {
	t.Helper()
	s := NewHost(t)
	s.Bridge(Bridge)
	s.Run(t, "ip", "link", "set", Bridge, "type", "bridge", "stp_state", "1", "forward_delay", "200")
	s.Baseline()
	t.Cleanup(func() {
		s.Run(t, "ip", "link", "set", Bridge, "type", "bridge", "stp_state", "0", "ageing_time", "30000")
	}) // a topology change shortens it
	s.Attach(keys)
	return s
}

// details are what `ip -d link` prints for a bridge or a port of one.
func (s *Scene) details(link string) (rootPort int, state string) {
	s.T.Helper()
	var all []struct {
		LinkInfo struct {
			Bridge struct {
				RootPort int `json:"root_port"`
			} `json:"info_data"`
			Port struct{ State string } `json:"info_slave_data"`
		}
	}
	decode(s.T, s.Run(s.T, "ip", "-j", "-d", "link", "show", link), &all)
	return all[0].LinkInfo.Bridge.RootPort, all[0].LinkInfo.Port.State
}

// isRoot reports whether the host's bridge is the root of its tree: then no port leads there.
func (s *Scene) isRoot() bool {
	port, _ := s.details(Bridge)
	return port == 0
}

func (s *Scene) stateOf(b *Box) string {
	_, state := s.details(b.Port)
	return state
}

// A container that wants to be the root of a bridge's spanning tree loses its port, which CHECK and doctor say; with stpGuard false
// it becomes the root.
//
// Claim: A BPDU from a container disables its port and moves no root, on a bridge with STP; CHECK and doctor report it, reload keeps the
// guard; with `stpGuard` false the container can become the root
func TestBPDUs(t *testing.T) {
	const disabled = "disabled"
	t.Run("guarded", func(t *testing.T) {
		t.Parallel()
		s := onSTP(t, nil)
		if !s.isRoot() {
			t.Fatal("the host is not the root to begin with")
		}
		s.Check(s.Attacker).OK(t)
		Send(t, s.Attacker.Netns, "eth0", BPDU(s.Attacker.MAC))
		if !Until(Patience, func() bool { return s.stateOf(s.Attacker) == disabled }) {
			t.Errorf("the port of the attacker has state %s", s.stateOf(s.Attacker))
		}
		if !s.isRoot() {
			t.Error("the attacker is the root")
		}
		e := s.Check(s.Attacker).Error(t)
		expect.Contains(t, e.Msg+" "+e.Details, s.Attacker.Port, "BPDU")
		s.Check(s.Victim).OK(t)
		out, err := s.Command(nettest.Patchbay(t), "doctor").CombinedOutput()
		if err == nil {
			t.Error("doctor finds nothing")
		}
		expect.Contains(t, string(out), "attacker", "has disabled its port", "bridge link set dev "+s.Attacker.Port+" state 3")
	})
	t.Run("opted out", func(t *testing.T) {
		t.Parallel()
		s := onSTP(t, map[string]any{"stpGuard": false})
		succeeded := Until(Patience, func() bool {
			Send(t, s.Attacker.Netns, "eth0", BPDU(s.Attacker.MAC))
			return !s.isRoot()
		})
		if !succeeded {
			t.Error("the attacker is not the root: the other test could not fail")
		}
		s.Check(s.Attacker).OK(t)
	})
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		s := onSTP(t, nil)
		s.Run(t, "ip", "link", "set", s.Attacker.Port, "nomaster")
		s.Run(t, nettest.Patchbay(t), "reload")
		Send(t, s.Attacker.Netns, "eth0", BPDU(s.Attacker.MAC))
		if !Until(Patience, func() bool { return s.stateOf(s.Attacker) == disabled }) {
			t.Errorf("the port of the attacker has state %s", s.stateOf(s.Attacker))
		}
		s.Run(t, "bridge", "link", "set", "dev", s.Attacker.Port, "guard", "off", "root_block", "off")
		e := s.Check(s.Attacker).Error(t)
		expect.Contains(t, e.Msg+" "+e.Details, "BPDU guard of "+s.Attacker.Port+" is off")
	})
}
