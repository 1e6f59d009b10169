package portowner

import (
	"strings"
	"testing"
)

// TestPortOfTheDead is free at once: its namespace went, and no DEL came, whether the record is still
// there or not, for who wants the same and for who wants the one where the dead had any, or any where
// it had one. What else it had goes too, and its DEL, late, takes nothing.
func TestPortOfTheDead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ dead, next, keys string }{
		"the same":                     {mapping(8080), mapping(8080), ""},
		"one of IPv4 where it had any": {mapping(8080), mapping(8080, of(gateway4)), ""},
		"any where it had one of IPv4": {mapping(8080, of(gateway4)), mapping(8080), ""},
		"any where it had one of IPv6": {mapping(8080, of(gateway6)), mapping(8080), ""},
		"a network that comes first":   {mapping(8080), mapping(8080), `"ipMasq": true, "markMasqBit": 7`},
	} {
		for record, harm := range map[string]string{"with its record": "true", "without": "rm "} {
			t.Run(name+", "+record, func(t *testing.T) {
				t.Parallel()
				h := host(t)
				dead := on(h, "dead", network("net", "cni0"), tc.dead, mapping(7070))
				dead.add(t)
				dead.Delete()
				awaitGone(t, h, dead.link)
				h.Run(t, "sh", "-c", harm+map[bool]string{true: dead.record()}[harm != "true"])
				config := network("net", "cni0")
				if tc.keys != "" {
					config = strings.ReplaceAll(network("other", "cni1", tc.keys), "10.88.", "10.99.")
					config = strings.ReplaceAll(config, "fd00:88:", "fd00:99:")
				}
				next := on(h, "next", config, tc.next)
				next.add(t)
				next.serve(t)
				next.answers(t, gateway4+":8080")
				before := rules(t, h)
				if strings.Contains(before, dead.ID()) {
					t.Errorf("something of the dead is left:\n%s", before)
				}
				next.do(t, "CHECK").OK(t)
				for range 2 {
					dead.del(t)
					sameRules(t, h, before, "by the late DEL")
					next.answers(t, gateway4+":8080")
				}
				next.do(t, "CHECK").OK(t)
				next.del(t)
				h.Run(t, "find", "/run/patchbay/ipam", "-name", "10.88.0.2", "-delete") // without its record nobody tells whose it was
				h.Run(t, "find", "/run/patchbay/ipam", "-name", "fd00:88::2", "-delete")
			})
		}
	}
}

// TestPortOfTheLiving is not taken, also not where its record is gone and its cable tells, where the
// record tells of a cable that another one pulled, or where what it had was in another network.
func TestPortOfTheLiving(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]string{"as it should be": "true", "record gone": "mv RECORD /run/away", "record torn": "cp RECORD /run/away; truncate -s 30 RECORD"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			living, next := on(h, "living", network("net", "cni0"), mapping(8080)), on(h, "next", network("net", "cni0"), mapping(8080))
			living.add(t)
			living.serve(t)
			h.Run(t, "sh", "-c", strings.ReplaceAll(harm, "RECORD", living.record()))
			before := rules(t, h)
			next.refused(t, living, "port 8080/tcp")
			sameRules(t, h, before, "by what was refused")
			next.del(t)
			sameRules(t, h, before, "by its DEL")
			next.mappings = []string{mapping(8080, of(gateway4))}
			next.refused(t, living, "port 8080/tcp")
			next.del(t)
			living.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
			h.Run(t, "sh", "-c", "test ! -e /run/away || mv /run/away "+living.record())
			living.do(t, "CHECK").OK(t)
			living.del(t)
			next.add(t)
			next.serve(t)
			next.answers(t, gateway4+":8080")
			next.del(t)
		})
	}
}
