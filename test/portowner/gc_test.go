package portowner

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// gc is a GC to which only some are valid.
func gc(t *testing.T, h *nettest.Node, config string, valid ...*box) {
	t.Helper()
	list := []map[string]string{}
	for _, b := range valid {
		list = append(list, map[string]string{"containerID": b.ID(), "ifname": "eth0"})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	with := fmt.Sprintf(`%s, "cni.dev/valid-attachments": %s}`, strings.TrimSuffix(config, "}"), text)
	h.CNI(t, nettest.Call{Command: "GC", Config: []byte(with)}).OK(t)
}

// TestGCTakesPorts of who is not valid: who lives, who is dead, and of whom nothing but elements is
// left; those of who is valid and of another network stay.
func TestGCTakesPorts(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0", `"masqAll": true`, `"markMasqBit": 3`)
	elsewhere := strings.NewReplacer("10.88.", "10.99.", "fd00:88:", "fd00:99:").Replace(network("other", "cni1"))
	kept, far := on(h, "kept", config, mapping(8080)), on(h, "far", elsewhere, mapping(9090))
	kept.add(t)
	kept.serve(t)
	far.add(t)
	far.serve(t)
	before := rules(t, h)
	goes, dead, lost := on(h, "goes", config, mapping(8081)), on(h, "dead", config, mapping(8082, of(gateway4))), on(h, "lost", config, mapping(8083, `"range": 200`))
	for _, b := range []*box{goes, dead, lost} {
		b.add(t)
	}
	dead.Delete()
	awaitGone(t, h, dead.link)
	h.Run(t, "ip", "link", "del", lost.link)
	h.Run(t, "rm", lost.record())
	gc(t, h, config, kept)
	sameRules(t, h, before, "by three ADDs and a GC")
	kept.answers(t, gateway4+":8080", "127.0.0.1:8080")
	far.answers(t, gateway4+":9090", "127.0.0.1:9090")
	kept.do(t, "CHECK").OK(t)
	far.do(t, "CHECK").OK(t)
	for _, b := range []*box{goes, lost} {
		b.isNowhere(t)
	}
	gc(t, h, config, kept)
	sameRules(t, h, before, "by a second GC")
	kept.del(t)
	far.del(t)
}

// TestBuryTakesPortsOfTheDead: patchbay gc takes those of who is dead, and says so; the living keep theirs.
func TestBuryTakesPortsOfTheDead(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0", `"masqAll": true`)
	living := on(h, "living", config, mapping(8080))
	living.add(t)
	living.serve(t)
	before := rules(t, h)
	dead := on(h, "dead", config, mapping(8081), mapping(8082, of(gateway6), `"range": 100`))
	dead.add(t)
	dead.Delete()
	awaitGone(t, h, dead.link)
	if said := h.Run(t, nettest.Patchbay(t), "gc"); !strings.Contains(said, "removed net/"+dead.ID()+"/eth0") {
		t.Errorf("gc says %q", said)
	}
	sameRules(t, h, before, "by an ADD and patchbay gc")
	living.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
	living.do(t, "CHECK").OK(t)
	dead.del(t)
	sameRules(t, h, before, "by the late DEL")
	living.del(t)
}
