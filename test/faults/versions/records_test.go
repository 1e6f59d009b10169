package versions

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// edit changes a record into a form that a later version might write.
func (s *scene) edit(c *nettest.Container, change func(record map[string]any)) {
	s.t.Helper()
	s.Do(func() {
		data, err := os.ReadFile(record(c))
		var fields map[string]any
		if err == nil {
			err = json.Unmarshal(data, &fields)
		}
		if err == nil {
			change(fields)
			data, err = json.Marshal(fields)
		}
		if err == nil {
			err = os.WriteFile(record(c), data, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	})
}

// future returns changes that a later version may make to records. Some of them leave this version without what it needs.
func future() map[string]func(map[string]any) {
	return map[string]func(map[string]any){
		"more fields": func(r map[string]any) { r["ports"] = []int{80}; r["pod"] = map[string]any{"name": "p", "node": "n"} },
		"masquerade renamed": func(r map[string]any) {
			r["rules"] = r["masquerade"]
			delete(r, "masquerade")
		},
		"addresses renamed": func(r map[string]any) {
			r["leases"] = r["addresses"]
			delete(r, "addresses")
			delete(r, "dataDir")
			delete(r, "masquerade")
		},
		"addresses of another type": func(r map[string]any) { r["addresses"] = "10.88.0.2" },
		"unknown fields only":       func(r map[string]any) { clear(r); r["version"] = store.RecordVersion() + 2; r["what"] = "ever" },
		"names removed":             func(r map[string]any) { delete(r, "hostLink"); delete(r, "alias"); delete(r, "bridge") },
		"newer version only":        func(r map[string]any) { r["version"] = store.RecordVersion() + 2 },
	}
}

// TestNewerRecords: however much of a newer record the old version understands, its DEL and GC leave nothing behind and change no other
// attachment, and its reload removes no rule that it cannot rebuild.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestNewerRecords(t *testing.T) {
	t.Parallel()
	for name, change := range future() {
		for _, verb := range []string{"DEL", "GC"} {
			t.Run(name+", "+verb, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, cni.Masquerade())
				c, stays := s.Container("c"), s.Container("stays")
				s.add(s.next, c)
				s.add(s.next, stays)
				s.edit(c, change)
				s.reloadOrRefuse(c, stays)
				s.removeBy(verb, s.old, c, stays)
				s.masquerades(stays)
				s.del(s.old, stays)
				s.masquerades()
				s.NoLeaks(t)
			})
		}
	}
}

// reloadOrRefuse runs reload of the old version, which succeeds or fails. Every element stays either way.
func (s *scene) reloadOrRefuse(all ...*nettest.Container) {
	s.t.Helper()
	before := s.table()
	out, err := s.Command(s.old, "reload").CombinedOutput()
	s.masquerades(all...)
	if err == nil {
		s.hasSchema(schema())
		return
	}
	if s.table() != before {
		s.t.Errorf("a refused reload changed the table:\n%s", s.table())
	}
	for _, word := range []string{"table inet patchbay of nftables stays as it is", "net/" + all[0].ID() + "/eth0", "it has version ", fmt.Sprintf("knows versions up to %d", store.RecordVersion())} {
		if !strings.Contains(string(out), word) {
			s.t.Errorf("reload said %q, want %q in it", out, word)
		}
	}
}

// TestReloadRefuses: reload fails if it does not understand the rules in a record, and only then.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]bool{"more fields": false, "newer version only": false, "masquerade renamed": true, "addresses of another type": true, "unknown fields only": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, cni.Masquerade())
			c := s.Container("c")
			s.add(s.next, c)
			s.edit(c, future()[name])
			_, err := s.Command(s.old, "reload").CombinedOutput()
			if (err != nil) != refuses {
				t.Errorf("reload: %v, want an error: %t", err, refuses)
			}
			s.del(s.old, c)
		})
	}
}

// TestNewerRecordWithoutRulesLetsReload: a network without masquerading has no rules to lose.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestNewerRecordWithoutRulesLetsReload(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.Container("c")
	s.add(s.next, c)
	s.edit(c, future()["addresses of another type"])
	s.reload(s.old)
	s.del(s.old, c)
	s.NoLeaks(t)
}

// TestAddRefusesNewerRecord: ADD does not replace the newer record of a stale attachment, whose state it may not understand. DEL removes it.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestAddRefusesNewerRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.Container("c")
	s.add(s.next, c)
	s.Run(t, "ip", "link", "del", s.hostLink(c))
	s.unchanged("an ADD that is refused", func() {
		e := s.do(s.old, "ADD", c).Error(t)
		want := "written by a newer patchbay: " + tooNew(store.RecordVersion())
		if e.Code != 50 || e.Msg != want || !strings.Contains(e.Details, "call DEL for that attachment") {
			t.Errorf("code %d, %q, %q; want 50, %q", e.Code, e.Msg, e.Details, want)
		}
	})
	s.del(s.old, c)
	s.add(s.old, c)
	s.del(s.next, c)
	s.NoLeaks(t)
}

// hostLink returns the name of the host interface in the result of ADD.
func (s *scene) hostLink(c *nettest.Container) string {
	s.t.Helper()
	for _, i := range (nettest.Answer{Stdout: s.prev[c.ID()]}).Result(s.t).Interfaces {
		if i.Sandbox == "" && strings.HasPrefix(i.Name, "veth") {
			return i.Name
		}
	}
	s.t.Fatal("no host interface")
	return ""
}

// TestSingleAddressesOfTheNewer: DEL finds the host routes to /32 addresses in the record, or by the address files.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestSingleAddressesOfTheNewer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"more fields", "addresses renamed", "addresses of another type"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.config = s.config.With(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.88.0.7/32", "gateway": "169.254.1.1"}}}}))
			c := s.Container("c")
			s.add(s.next, c)
			s.edit(c, future()[name])
			s.edit(c, func(r map[string]any) {
				if name != "more fields" {
					delete(r, "hostRoutes")
				}
			})
			s.del(s.old, c)
			if left := s.Run(t, "ip", "route", "show", "10.88.0.7"); left != "" {
				t.Errorf("route left: %s", left)
			}
			s.NoLeaks(t)
		})
	}
}
