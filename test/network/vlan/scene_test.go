package vlan

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 4) }

// filters reports whether the kernel can keep VLANs apart. If it cannot, it requires ADD and STATUS of the configuration to say so, and
// to change nothing.
func filters(t *testing.T, h *nettest.Node, config cni.Conf) bool {
	t.Helper()
	if nettest.Has(nettest.VLANFiltering) {
		return true
	}
	c := h.Container("refused")
	before := h.Run(t, "ip", "-o", "link")
	add := h.CNI(t, cni.Call(t, "ADD", c, config)).Error(t)
	if add.Code != 2 || !strings.HasSuffix(add.Msg, "cannot be had: no VLAN filtering in this kernel") || !strings.Contains(add.Details, "CONFIG_BRIDGE_VLAN_FILTERING") {
		t.Errorf("ADD: %+v", add)
	}
	status := h.CNI(t, cni.Call(t, "STATUS", c, config)).Error(t)
	if status.Code != 50 || !strings.HasSuffix(status.Msg, add.Msg) {
		t.Errorf("STATUS: %+v", status)
	}
	if after := h.Run(t, "ip", "-o", "link"); after != before {
		t.Errorf("links before:\n%s\nafter:\n%s", before, after)
	}
	cni.Del(t, h, c, config)
	h.NoLeaks(t)
	return false
}

// network returns a network of bridge cni0 with addresses of 10.1.0.0/24: all networks share that subnet, so that only VLANs keep their
// containers apart.
func network(name, first, last string, keys ...cni.Conf) cni.Conf {
	pool := cni.Conf{"subnet": "10.1.0.0/24", "rangeStart": first, "rangeEnd": last, "gateway": "10.1.0.1"}
	return cni.Network(cni.Conf{"name": name}, cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{pool}}})).With(keys...)
}

func vlan(id int) cni.Conf { return cni.Conf{"vlan": id} }

// attached is a container with its configuration and result.
type attached struct {
	*nettest.Container

	h      *nettest.Node
	config cni.Conf
	result nettest.Answer
	addr   netip.Addr
	port   string // host interface
}

func attach(t *testing.T, h *nettest.Node, name string, config cni.Conf) *attached {
	t.Helper()
	a := &attached{Container: h.Container(name), h: h, config: config}
	a.result = cni.Add(t, h, a.Container, config)
	r := a.result.Result(t)
	if addrs := cni.Addresses(r); len(addrs) > 0 {
		a.addr = addrs[0]
	}
	a.port = r.Interfaces[1].Name
	a.check(t)
	return a
}

// call returns a call with prevResult.
func (a *attached) call(t *testing.T, verb string) nettest.Answer {
	t.Helper()
	return a.h.CNI(t, cni.Call(t, verb, a.Container, a.config.With(cni.Prev(a.result.Stdout))))
}

func (a *attached) check(t *testing.T) {
	t.Helper()
	a.call(t, "CHECK").OK(t)
}

// drifted requires CHECK to fail with a text, and reload to repair it.
func (a *attached) drifted(t *testing.T, says string) {
	t.Helper()
	e := a.call(t, "CHECK").Error(t)
	if text := e.Msg + "; " + e.Details; e.Code != 106 || !strings.Contains(text, says) || !strings.Contains(text, "patchbay reload") {
		t.Errorf("CHECK: %+v, want %q and the way to repair it", e, says)
	}
	a.h.Run(t, nettest.Patchbay(t), "reload")
	a.check(t)
}

// doctor returns what `patchbay doctor` prints.
func doctor(t *testing.T, h *nettest.Node) string {
	t.Helper()
	out, _ := h.Command(nettest.Patchbay(t), "doctor").CombinedOutput() // it fails if it finds something
	return string(out)
}

func (a *attached) del(t *testing.T) {
	t.Helper()
	a.call(t, "DEL").OK(t)
}

// reaches requires that pings pass, or that none does.
func (a *attached) reaches(t *testing.T, what string, addr netip.Addr, want bool) {
	t.Helper()
	wait := 5 * time.Second
	if !want {
		wait = 500 * time.Millisecond
	}
	result := a.Ping(addr, nettest.PingOptions{Count: 1, Timeout: wait})
	if (result.Received > 0) != want {
		t.Errorf("%s pings %s (%s): %s, want replies: %t", a.Name(), what, addr, result, want)
	}
}

// both requires that two containers reach each other, or that neither does.
func both(t *testing.T, a, b *attached, want bool) {
	t.Helper()
	a.reaches(t, b.Name(), b.addr, want)
	b.reaches(t, a.Name(), a.addr, want)
}

// vlansOf returns the VLANs of a port with the flags that bridge(8) prints, consecutive ones with the same flags as a range: "100 PVID
// Egress Untagged", "10-12".
func vlansOf(t *testing.T, h *nettest.Node, port string) (found []string) {
	t.Helper()
	var ports []struct {
		VLANs []struct {
			VLAN  int
			Flags []string
		}
	}
	if err := json.Unmarshal([]byte(h.Run(t, "bridge", "-j", "vlan", "show", "dev", port)), &ports); err != nil {
		t.Fatal(err)
	}
	for _, p := range ports {
		for i, v := range p.VLANs {
			if i > 0 && p.VLANs[i-1].VLAN == v.VLAN-1 && slices.Equal(p.VLANs[i-1].Flags, v.Flags) {
				first, _, _ := strings.Cut(found[len(found)-1], "-") // ranges are of VLANs without flags here
				found[len(found)-1] = first + "-" + strconv.Itoa(v.VLAN)
				continue
			}
			found = append(found, strings.TrimSpace(strconv.Itoa(v.VLAN)+" "+strings.Join(v.Flags, " ")))
		}
	}
	return found
}
