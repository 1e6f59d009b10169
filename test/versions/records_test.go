package versions

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// edit changes a record as a version of the future might have written it.
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

// future are forms that a record of tomorrow may have; of some this version knows less than it needs.
func future() map[string]func(map[string]any) {
	return map[string]func(map[string]any){
		"more fields": func(r map[string]any) { r["ports"] = []int{80}; r["pod"] = map[string]any{"name": "p", "node": "n"} },
		"masquerade elsewhere": func(r map[string]any) {
			r["rules"] = r["masquerade"]
			delete(r, "masquerade")
		},
		"addresses elsewhere": func(r map[string]any) {
			r["leases"] = r["addresses"]
			delete(r, "addresses")
			delete(r, "dataDir")
			delete(r, "masquerade")
		},
		"another shape": func(r map[string]any) { r["addresses"] = "10.88.0.2" },
		"nothing known": func(r map[string]any) { clear(r); r["version"] = store.RecordVersion() + 2; r["what"] = "ever" },
		"names moved":   func(r map[string]any) { delete(r, "hostLink"); delete(r, "alias"); delete(r, "bridge") },
		"version alone": func(r map[string]any) { r["version"] = store.RecordVersion() + 2 },
	}
}

// TestNewerRecords: whatever of a newer record is known or not, DEL and GC of the old version leave nothing, and nobody else loses
// anything; its reload takes no rule away that it could not make again.
func TestNewerRecords(t *testing.T) {
	t.Parallel()
	for name, change := range future() {
		for _, verb := range []string{"DEL", "GC"} {
			t.Run(name+", "+verb, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, masq)
				c, stays := s.Container("c"), s.Container("stays")
				s.add(s.next, c)
				s.add(s.next, stays)
				s.edit(c, change)
				s.reloadOrRefuse(c, stays)
				s.take(verb, s.old, c, stays)
				s.masquerades(stays)
				s.del(s.old, stays)
				s.masquerades()
				s.NoLeaks(t)
			})
		}
	}
}

// reloadOrRefuse is the old one's: it keeps every element, either way.
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

// TestReloadRefuses where it has to, and not where it need not.
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]bool{"more fields": false, "version alone": false, "masquerade elsewhere": true, "another shape": true, "nothing known": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, masq)
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

// TestNewerRecordWithoutRulesLetsReload: a network that does not masquerade has nothing to lose.
func TestNewerRecordWithoutRulesLetsReload(t *testing.T) {
	t.Parallel()
	s := newScene(t, "")
	c := s.Container("c")
	s.add(s.next, c)
	s.edit(c, future()["another shape"])
	s.reload(s.old)
	s.del(s.old, c)
	s.NoLeaks(t)
}

// TestAddRefusesNewerRecord of a container that is gone: what it was is not known for certain. DEL helps.
func TestAddRefusesNewerRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t, "")
	c := s.Container("c")
	s.add(s.next, c)
	s.Run(t, "ip", "link", "del", s.hostLink(c))
	s.unchanged("an ADD that is refused", func() {
		e := s.do(s.old, "ADD", c).Error(t)
		want := "written by a newer patchbay: " + tooNew(store.RecordVersion())
		if e.Code != 50 || e.Msg != want || !strings.Contains(e.Details, "DEL that attachment") {
			t.Errorf("code %d, %q, %q; want 50, %q", e.Code, e.Msg, e.Details, want)
		}
	})
	s.del(s.old, c)
	s.add(s.old, c)
	s.del(s.next, c)
	s.NoLeaks(t)
}

// hostLink is the name in the result of ADD.
func (s *scene) hostLink(c *nettest.Container) string {
	s.t.Helper()
	for _, i := range (nettest.Answer{Stdout: s.prev[c.ID()]}).Result(s.t).Interfaces {
		if i.Sandbox == "" && strings.HasPrefix(i.Name, "veth") {
			return i.Name
		}
	}
	s.t.Fatal("no host link")
	return ""
}

// TestSingleAddressesOfTheNewer: routes of the host to the bridge are known from the record, or by the address files.
func TestSingleAddressesOfTheNewer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"more fields", "addresses elsewhere", "another shape"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "")
			s.config = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true,
				"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.88.0.7/32", "gateway": "169.254.1.1"}]]}}`
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
