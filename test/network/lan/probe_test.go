package lan

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// report is a part of the output of `doctor -o json`.
type report struct {
	Looked, Unchecked []string
	Findings          []struct {
		About, Says, Seen string
		Fix               []string
	}
}

func doctor(t *testing.T, h *nettest.Node, args ...string) (r report) {
	t.Helper()
	cmd := h.Command(nettest.Patchbay(t), append([]string{"doctor", "-o", "json"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return r
}

// isProbe matches the probes of one of some addresses: without a source, from the bridge.
func isProbe(mac string) func(nettest.Frame) bool {
	return func(f nettest.Frame) bool {
		return (f.Kind == nettest.ARPRequest || f.Kind == nettest.Solicit) && f.SrcMAC == mac && (!f.Src.IsValid() || f.Src.IsUnspecified())
	}
}

// TestDoctorProbes: another host of the LAN has the addresses of a container. doctor --probe names its MAC; without --probe doctor sends nothing.
//
// Claim: `patchbay doctor --probe` finds a host of the LAN with the address of a container, in both families, and a container with that of its gateway; without --probe nothing is sent
func TestDoctorProbes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	lan := h.LAN(t)
	c := h.Container("web")
	_, addrs := attach(t, h, c)
	if r := doctor(t, h, "--probe"); len(r.Findings) > 0 || r.Looked[len(r.Looked)-1] != "probe" {
		t.Errorf("on a correct host: %+v", r)
	}
	thief := lan.Neighbour("thief")
	thief.Run(t, "sh", "-ec", "ip address add "+addrs[0].String()+"/24 dev eth0; ip address add "+addrs[1].String()+"/64 dev eth0 nodad")
	thief.Settle("eth0")
	h.Settle("br0") // its own link-local address is checked for duplicates
	atRouter := lan.Router.Capture(t, "lan")
	if r := doctor(t, h); len(r.Findings) > 0 {
		t.Errorf("without --probe: %+v", r)
	}
	if frames := atRouter.Stop(t).Where(isProbe(h.MAC("br0"))); len(frames) > 0 {
		t.Errorf("doctor sends without --probe: %v", frames)
	}
	r := doctor(t, h, "--probe")
	expect.Equal(t, "findings", len(r.Findings), 2)
	for i, addr := range addrs {
		expect.Equal(t, "about", r.Findings[i].About, "probe")
		expect.Contains(t, r.Findings[i].Says, "duplicate address "+addr.String()+" of web", ": also answered by "+thief.MAC("eth0")+" on bridge br0")
		expect.Contains(t, strings.Join(r.Findings[i].Fix, "\n"), "# remove "+addr.String()+" from the interface with MAC "+thief.MAC("eth0"))
	}
	thief.Run(t, "ip", "address", "flush", "dev", "eth0")
	if r := doctor(t, h, "--probe"); len(r.Findings) > 0 {
		t.Errorf("after the fix: %+v", r)
	}
	detach(t, h, c)
}

// TestDoctorProbesGateways: a container takes the address of its gateway, on a bridge without an uplink.
//
// Claim: `patchbay doctor --probe` finds a host of the LAN with the address of a container, in both families, and a container with that of its gateway; without --probe nothing is sent
func TestDoctorProbesGateways(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	web, db := h.Container("web"), h.Container("db")
	network := cni.Network(cni.DefaultGateway(), cni.Pool("10.88.0.0/16", "fd00:88::/64"))
	for _, c := range []*nettest.Container{web, db} {
		cni.Add(t, h, c, network)
	}
	if r := doctor(t, h, "--probe"); len(r.Findings) > 0 {
		t.Errorf("on a correct host: %+v", r)
	}
	db.Run(t, "ip", "address", "add", "10.88.0.1/32", "dev", "lo")
	r := doctor(t, h, "--probe")
	if len(r.Findings) != 1 {
		t.Fatalf("%+v", r)
	}
	expect.Equal(t, "says", r.Findings[0].Says, "duplicate address 10.88.0.1, the gateway on bridge cni0: also answered by "+db.MAC("eth0"))
	expect.Contains(t, r.Findings[0].Seen, "an answer to a probe (ARP, neighbour discovery), of db-")
	db.Run(t, "ip", "address", "del", "10.88.0.1/32", "dev", "lo")
	if r := doctor(t, h, "--probe"); len(r.Findings) > 0 {
		t.Errorf("after the fix: %+v", r)
	}
	for _, c := range []*nettest.Container{web, db} {
		cni.Del(t, h, c, network)
	}
}
