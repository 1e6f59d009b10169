package topo

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	stateDir = "/run/patchbay"
	lanConf  = `{
  "cniVersion": "1.0.0", "name": "lan", "type": "patchbay", "bridge": "br0",
  "ipam": {
    "type": "patchbay",
    "ranges": [
      [{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "gateway": "192.0.2.1"}],
      [{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::100", "gateway": "2001:db8:0:1::1"}]
    ],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
  }
}`
)

// gather is Gather on a test's host, in its namespaces.
func gather(t *testing.T, h *nettest.Node, o Options) *View {
	t.Helper()
	var v *View
	var err error
	h.Do(func() { v, err = Gather(inventory.New(stateDir), o) })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func call(verb string, c *nettest.Container) nettest.Call {
	return nettest.Call{Command: verb, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(lanConf)}
}

// attached is a host with br0 and a container that the plugin has patched into it.
func attached(t *testing.T) (*nettest.Node, *nettest.Container) {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24", "2001:db8:0:1::10/64")
	c := h.Container("web")
	h.CNI(t, call("ADD", c)).OK(t)
	t.Cleanup(func() { h.CNI(t, call("DEL", c)).OK(t) })
	return h, c
}

// TestGatherAttachment: kernel and record of one attachment find each other.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestGatherAttachment(t *testing.T) {
	t.Parallel()
	h, c := attached(t)
	v := gather(t, h, Options{})
	if len(v.Attachments) != 1 || len(v.Problems)+len(v.Unseen) != 0 {
		t.Fatalf("%d attachments, problems %v, unseen %v", len(v.Attachments), v.Problems, v.Unseen)
	}
	a := v.Attachments[0]
	if !a.Ours || a.Record == nil || a.Network != "lan" || a.ContainerID != c.ID() || a.IfName != "eth0" || a.Bridge != "br0" || a.Netns != c.Path() {
		t.Errorf("attachment: %+v", a)
	}
	if a.HostLink == nil || a.Link == nil || a.Link.MAC != c.MAC("eth0") || len(a.Routes) != 2 || a.Routes[0].Gateway != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("kernel side: %+v, %+v, %+v", a.HostLink, a.Link, a.Routes)
	}
	picture := draw(t, v, Style{})
	for _, want := range []string{a.HostLink.Name + " ●─┼────────● eth0  192.0.2.100/24", "┌─ web ─", "2001:db8:0:1::100/64", "default via 2001:db8:0:1::1"} {
		if !strings.Contains(picture, want) {
			t.Errorf("no %q in\n%s", want, picture)
		}
	}
}

// TestGatherDrift: each change by hand is reported, and drawn with a mark.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestGatherDrift(t *testing.T) {
	record := func(c *nettest.Container) string { return filepath.Join(stateDir, "lan", c.ID()+"@eth0.json") }
	run := func(line string) func(*testing.T, *nettest.Node, *nettest.Container) {
		return func(t *testing.T, h *nettest.Node, c *nettest.Container) {
			t.Helper()
			host := gather(t, h, Options{}).Attachments[0].HostLink.Name
			h.Run(t, "sh", "-c", strings.NewReplacer("HOST", host, "RECORD", record(c)).Replace(line))
		}
	}
	tests := []struct {
		name  string
		do    func(*testing.T, *nettest.Node, *nettest.Container)
		want  string
		about string // "" for the attachment itself
	}{
		{"link gone", run("ip link del HOST"), " does not exist; its record has bridge br0", ""},
		{"namespace gone", dieOut, " does not exist; its record has bridge br0", ""},
		{"another boot", run("sed -i 's/\"bootID\": \"[^\"]*/&x/' RECORD; ip link del HOST"), "from the previous boot", ""},
		{"pin gone", run("umount /run/netns/web"), "network namespace /run/netns/web no longer exists", ""},
		{"another namespace", run("umount /run/netns/web; rm /run/netns/web; ip netns add web"), "/run/netns/web is another network namespace than at the ADD", ""},
		{"unplugged", run("ip link set HOST nomaster"), "is not a bridge port; its record has bridge br0", ""},
		{"other bridge", run("ip link add br9 type bridge; ip link set HOST master br9"), "is a port of bridge br9; its record has br0", ""},
		{"host end down", run("ip link set HOST down"), " is down", ""},
		{"alias", run("ip link set HOST alias mine"), `has the alias "mine" instead of patchbay's`, ""},
		{"address gone", run("ip -n web address del 192.0.2.100/24 dev eth0"), "eth0 has lost 192.0.2.100/24", ""},
		{"address more", run("ip -n web address add 192.0.2.77/24 dev eth0"), "eth0 has 192.0.2.77/24, which is not in its record", ""},
		{"end down", run("ip -n web link set eth0 down"), "eth0 is down", ""},
		{"MAC", run("ip -n web link set eth0 address 02:00:00:00:00:77"), "eth0 has MAC 02:00:00:00:00:77", ""},
		{"renamed", run("ip -n web link set eth0 down; ip -n web link set eth0 name lan0; ip -n web link set lan0 up"), "eth0 was renamed to lan0", ""},
		{"no record", run("rm RECORD"), "has patchbay's alias, but no record", ""},
		{"torn record", run("echo '{' >RECORD"), "unreadable record", "RECORD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, c := attached(t)
			h.NoOracle("what was done by hand is not the plugin's to undo")
			tt.do(t, h, c)
			v := gather(t, h, Options{})
			about := "lan/" + c.ID() + "/eth0"
			if tt.about != "" {
				about = record(c)
			}
			found := slices.ContainsFunc(v.Problems, func(p Problem) bool { return strings.Contains(p.Text, tt.want) && p.About == about })
			if picture := draw(t, v, Style{}); !found || !strings.ContainsAny(picture, "!╳") {
				t.Errorf("want %q about %s, found %q in\n%s", tt.want, about, v.Problems, picture)
			}
		})
	}
}

// dieOut deletes the namespace and waits until the kernel has deleted the veth pair.
func dieOut(t *testing.T, h *nettest.Node, c *nettest.Container) {
	t.Helper()
	c.Delete()
	for end := time.Now().Add(10 * time.Second); gather(t, h, Options{}).Attachments[0].HostLink != nil; {
		if time.Now().After(end) {
			t.Fatal("the veth pair still exists after its namespace")
		}
	}
}

// TestGatherByHand: the origin's own steps, without any plugin, grow step by step too.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestGatherByHand(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	has := func(step string, want ...string) {
		t.Helper()
		picture := draw(t, gather(t, h, Options{}), Style{})
		for _, w := range want {
			if !strings.Contains(picture, w) {
				t.Errorf("%s: no %q in\n%s", step, w, picture)
			}
		}
	}
	has("a host", "forwarding off")
	h.Bridge("br0", "192.0.2.10/24")
	has("a bridge", "┌─ br0 ─", "192.0.2.10/24")
	c := h.Container("c1")
	has("a namespace", "┌─ c1 ─", "(not attached)")
	h.Veth("patch", c.Netns, "eth0")
	has("a veth pair made by hand", "patch ●─┼────────● eth0  ")
	h.Plug("patch", "br0")
	has("plugged in", "│ │                            patch ●─┼")
	c.AddAddress("eth0", "192.0.2.100/24")
	has("an address", "● eth0  192.0.2.100/24")
	c.AddRoute("0.0.0.0/0", "192.0.2.10")
	has("a default route", "default via 192.0.2.10 ")
	h.Baseline()
	if v := gather(t, h, Options{}); len(v.Problems) != 0 || v.Attachments[0].Ours {
		t.Errorf("a veth pair of another program is reported as a problem: %v", v.Problems)
	}
}

// TestGatherLAN: the port that leads out is the uplink, and the LAN's router is named.
func TestGatherLAN(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.LAN(t)
	if picture := draw(t, gather(t, h, Options{}), Style{}); !strings.Contains(picture, "eth0 ●═╪═══► LAN (router 192.0.2.1)") {
		t.Error(picture)
	}
}

// TestGatherOptions: one bridge, one network; a bridge that is not there is an error.
func TestGatherOptions(t *testing.T) {
	t.Parallel()
	h, _ := attached(t)
	h.Bridge("br1")
	h.Container("spare")
	tests := []struct {
		o                               Options
		bridges, attachments, unplugged int
	}{
		{Options{}, 2, 1, 2},
		{Options{Bridge: "br0"}, 1, 1, 1},
		{Options{Bridge: "br1"}, 1, 0, 0},
		{Options{Network: "lan"}, 1, 1, 1},
		{Options{Network: "none"}, 0, 0, 0},
	}
	for _, tt := range tests {
		v := gather(t, h, tt.o)
		if len(v.Bridges) != tt.bridges || len(v.Attachments) != tt.attachments || len(v.Namespaces) != tt.unplugged {
			t.Errorf("%+v: %d bridges, %d attachments, %d namespaces", tt.o, len(v.Bridges), len(v.Attachments), len(v.Namespaces))
		}
	}
	var err error
	h.Do(func() { _, err = Gather(inventory.New(stateDir), Options{Bridge: "br7"}) })
	if !errors.Is(err, ErrNoBridge) {
		t.Errorf("br7: %v", err)
	}
}

// TestShowWithoutPrivilege: show reports once what it cannot read without privileges, and still draws which interface belongs to
// which attachment.
func TestShowWithoutPrivilege(t *testing.T) {
	t.Parallel()
	h, c := attached(t)
	nettest.Need(t, nettest.Tool("setpriv"))
	show := []string{"--bounding-set=-sys_admin", nettest.Patchbay(t), "show", "-o", "json"}
	var v View
	if err := json.Unmarshal([]byte(h.Run(t, "setpriv", show...)), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Unseen) != 1 || !strings.Contains(v.Unseen[0], "the inside of web: entering a network namespace requires root") {
		t.Errorf("unseen: %q", v.Unseen)
	}
	if len(v.Problems) != 0 || len(v.Attachments) != 1 || v.Attachments[0].Netns != c.Path() || v.Attachments[0].Link != nil {
		t.Errorf("problems %v, attachments %+v", v.Problems, v.Attachments)
	}
}

// TestUnseen: each reason is reported once, as a sentence.
func TestUnseen(t *testing.T) {
	got := unseen(&os.PathError{Op: "open", Path: "/run/patchbay", Err: os.ErrPermission}, []string{"a", "b", "c"})
	want := []string{
		"the records: open /run/patchbay: permission denied (they belong to root)",
		"the inside of a and 2 more: entering a network namespace requires root",
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "the records: open /run/patchbay: ") || !strings.HasSuffix(got[0], "(they belong to root)") || got[1] != want[1] {
		t.Errorf("%q, want %q", got, want)
	}
	if got := unseen(nil, nil); got != nil {
		t.Errorf("%q for nothing", got)
	}
}

// TestJSON: lists are lists even when they are empty, so that a script can walk them.
func TestJSON(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	text, err := json.Marshal(gather(t, h, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("%s", text)
	}
}
