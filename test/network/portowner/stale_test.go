package portowner

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestPortOfAStaleAttachment: the port of a container whose namespace was deleted without a DEL is free at once, with or without its record, for
// a mapping of the same address and for one that overlaps it as wildcard. Its other elements are removed too, and its late DEL removes nothing.
//
// Claim: The port of a container that ended without a DEL is free at once, with all its other elements; that of a live one is kept, also
// without its record
func TestPortOfAStaleAttachment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stale, next cni.Conf
		keys        cni.Conf // of another network, which next uses; nil for the same network
	}{
		"the same":                    {mapping(8080), mapping(8080), nil},
		"IPv4 address after wildcard": {mapping(8080), mapping(8080, of(gateway4)), nil},
		"wildcard after IPv4 address": {mapping(8080, of(gateway4)), mapping(8080), nil},
		"wildcard after IPv6 address": {mapping(8080, of(gateway6)), mapping(8080), nil},
		"new network":                 {mapping(8080), mapping(8080), cni.Conf{"ipMasq": true, "markMasqBit": 7}},
	} {
		for record, harm := range map[string]string{"with its record": "true", "without": "rm "} {
			t.Run(name+", "+record, func(t *testing.T) {
				t.Parallel()
				h := host(t)
				stale := on(h, "stale", network("net", "cni0"), tc.stale, mapping(7070))
				stale.add(t)
				stale.Delete()
				awaitGone(t, h, stale.link)
				h.Run(t, "sh", "-c", harm+map[bool]string{true: stale.record()}[harm != "true"])
				config := network("net", "cni0")
				if tc.keys != nil {
					config = elsewhere(tc.keys)
				}
				next := on(h, "next", config, tc.next)
				next.add(t)
				next.serve(t)
				next.answers(t, gateway4+":8080")
				before := rules(t, h)
				if strings.Contains(before, stale.ID()) {
					t.Errorf("rules of the stale attachment are left:\n%s", before)
				}
				next.do(t, "CHECK").OK(t)
				for range 2 {
					stale.del(t)
					sameRules(t, h, before, "by the late DEL")
					next.answers(t, gateway4+":8080")
				}
				next.do(t, "CHECK").OK(t)
				next.del(t)
				h.Run(t, "find", "/run/patchbay/ipam", "-name", "10.88.0.2", "-delete") // without its record DEL does not know its addresses
				h.Run(t, "find", "/run/patchbay/ipam", "-name", "fd00:88::2", "-delete")
			})
		}
	}
}

// TestPortOfALiveAttachment: the port of a live attachment stays published, also without its record, when only its host interface names it, and
// with a torn record.
//
// Claim: The port of a container that ended without a DEL is free at once, with all its other elements; that of a live one is kept, also
// without its record
func TestPortOfALiveAttachment(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]string{"intact": "true", "record moved": "mv RECORD /run/away", "record torn": "cp RECORD /run/away; truncate -s 30 RECORD"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			live, next := on(h, "live", network("net", "cni0"), mapping(8080)), on(h, "next", network("net", "cni0"), mapping(8080))
			live.add(t)
			live.serve(t)
			h.Run(t, "sh", "-c", strings.ReplaceAll(harm, "RECORD", live.record()))
			before := rules(t, h)
			next.refused(t, live, "port 8080/tcp")
			sameRules(t, h, before, "by the refused ADD")
			next.del(t)
			sameRules(t, h, before, "by its DEL")
			next.mappings = []cni.Conf{mapping(8080, of(gateway4))}
			next.refused(t, live, "port 8080/tcp")
			next.del(t)
			live.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
			h.Run(t, "sh", "-c", "test ! -e /run/away || mv /run/away "+live.record())
			live.do(t, "CHECK").OK(t)
			live.del(t)
			next.add(t)
			next.serve(t)
			next.answers(t, gateway4+":8080")
			next.del(t)
		})
	}
}
