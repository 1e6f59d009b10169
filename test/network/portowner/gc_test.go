package portowner

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// gc calls GC with these valid attachments.
func gc(t *testing.T, h *nettest.Node, config cni.Conf, valid ...*attachment) {
	t.Helper()
	list := []cni.Conf{}
	for _, b := range valid {
		list = append(list, cni.Conf{"containerID": b.ID(), "ifname": "eth0"})
	}
	h.CNI(t, nettest.Call{Command: "GC", Config: config.With(cni.Conf{"cni.dev/valid-attachments": list}).JSON(t)}).OK(t)
}

// TestGCTakesPorts: GC removes the ports of invalid attachments: of a live one, of a stale one, and of one of which only elements exist. Ports of
// valid attachments and of other networks stay.
//
// Claim: GC and `patchbay gc` remove the ports of invalid and stale attachments and keep the others'
func TestGCTakesPorts(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0", cni.Conf{"masqAll": true, "markMasqBit": 3})
	kept, far := on(h, "kept", config, mapping(8080)), on(h, "far", elsewhere(), mapping(9090))
	kept.add(t)
	kept.serve(t)
	far.add(t)
	far.serve(t)
	before := rules(t, h)
	goes, stale, lost := on(h, "goes", config, mapping(8081)), on(h, "stale", config, mapping(8082, of(gateway4))), on(h, "lost", config, mapping(8083, cni.Conf{"range": 200}))
	for _, b := range []*attachment{goes, stale, lost} {
		b.add(t)
	}
	stale.Delete()
	awaitGone(t, h, stale.link)
	h.Run(t, "ip", "link", "del", lost.link)
	h.Run(t, "rm", lost.record())
	gc(t, h, config, kept)
	sameRules(t, h, before, "by three ADDs and a GC")
	kept.answers(t, gateway4+":8080", "127.0.0.1:8080")
	far.answers(t, gateway4+":9090", "127.0.0.1:9090")
	kept.do(t, "CHECK").OK(t)
	far.do(t, "CHECK").OK(t)
	for _, b := range []*attachment{goes, lost} {
		b.isRemoved(t)
	}
	gc(t, h, config, kept)
	sameRules(t, h, before, "by a second GC")
	kept.del(t)
	far.del(t)
}

// TestGCReleasesPortsOfStaleAttachments: patchbay gc releases the ports of stale attachments and reports it; live ones keep theirs.
//
// Claim: GC and `patchbay gc` remove the ports of invalid and stale attachments and keep the others'
func TestGCReleasesPortsOfStaleAttachments(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0", cni.Conf{"masqAll": true})
	live := on(h, "live", config, mapping(8080))
	live.add(t)
	live.serve(t)
	before := rules(t, h)
	stale := on(h, "stale", config, mapping(8081), mapping(8082, of(gateway6), cni.Conf{"range": 100}))
	stale.add(t)
	stale.Delete()
	awaitGone(t, h, stale.link)
	if said := h.Run(t, nettest.Patchbay(t), "gc"); !strings.Contains(said, "removed net/"+stale.ID()+"/eth0") {
		t.Errorf("gc says %q", said)
	}
	sameRules(t, h, before, "by an ADD and patchbay gc")
	live.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
	live.do(t, "CHECK").OK(t)
	stale.del(t)
	sameRules(t, h, before, "by the late DEL")
	live.del(t)
}
