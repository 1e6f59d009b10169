package topo

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden pictures anew")
	flag.Parse()
	os.Exit(m.Run())
}

func addresses(prefixes ...string) []link.SurveyAddress {
	var all []link.SurveyAddress
	for _, p := range prefixes {
		all = append(all, link.SurveyAddress{Prefix: netip.MustParsePrefix(p), Permanent: true})
	}
	return all
}

func routes(dev string, gateways ...string) []link.SurveyRoute {
	var all []link.SurveyRoute
	for _, g := range gateways {
		gw := netip.MustParseAddr(g)
		all = append(all, link.SurveyRoute{IPv6: gw.Is6(), Gateway: gw, Link: dev})
	}
	return all
}

func up(index int, name, kind string, prefixes ...string) link.SurveyLink {
	return link.SurveyLink{
		Index: index, Name: name, Kind: kind, MTU: 1500, Up: true, Carrier: true,
		PeerNetns: -1, Addresses: addresses(prefixes...),
	}
}

// The stages of the origin's own case, each on top of the one before.

func hostAlone() *View {
	return &View{Host: Host{
		Name:   "lab",
		Links:  []link.SurveyLink{up(2, "eth0", "device", "192.0.2.10/24", "fe80::1/64")},
		Routes: routes("eth0", "192.0.2.1"),
	}}
}

func withBridge() *View {
	v := hostAlone()
	v.Host.Links = nil
	v.Host.Routes = routes("br0", "192.0.2.1", "2001:db8:0:1::1")
	v.Bridges = []Bridge{{
		SurveyLink: up(3, "br0", "bridge", "192.0.2.10/24", "2001:db8:0:1::10/64"),
		Ports:      []Port{{SurveyLink: up(2, "eth0", "device"), Uplink: true}},
	}}
	return v
}

func withNamespace() *View {
	v := withBridge()
	v.Namespaces = []Namespace{{Name: "c1", Path: "/run/netns/c1"}}
	return v
}

func withVethPair() *View {
	v := withNamespace()
	host, end := up(4, "vethaaaaaaaaaaa", "veth"), up(2, "eth0", "veth")
	v.Attachments = []Attachment{{
		Network: "lan", ContainerID: "one", IfName: "eth0", Ours: true, Bridge: "br0",
		HostLink: &host, Netns: "/run/netns/c1", Link: &end, Record: &store.Record{Role: store.RolePort},
	}}
	v.Namespaces[0].Links = []link.SurveyLink{end}
	return v
}

func withAddresses() *View {
	v := withVethPair()
	v.Attachments[0].Link.Addresses = addresses("192.0.2.100/24", "2001:db8:0:1::100/64")
	return v
}

func withRoutes() *View {
	v := withAddresses()
	v.Attachments[0].Routes = routes("eth0", "192.0.2.1", "2001:db8:0:1::1")
	return v
}

func withSecond() *View {
	v := withRoutes()
	host, end := up(5, "vethbbbbbbbbbbb", "veth"), up(2, "eth0", "veth", "192.0.2.101/24", "2001:db8:0:1::101/64")
	v.Namespaces = append(v.Namespaces, Namespace{Name: "c2", Path: "/run/netns/c2", Links: []link.SurveyLink{end}})
	v.Attachments = append(v.Attachments, Attachment{
		Network: "lan", ContainerID: "two", IfName: "eth0", Ours: true, Bridge: "br0", HostLink: &host,
		Netns: "/run/netns/c2", Link: &end, Routes: routes("eth0", "192.0.2.1"), Record: &store.Record{Role: store.RolePort},
	})
	return v
}

// withMuch has what the demo does not: a second bridge, a container on both, another plugin's
// interface, a host that forwards, a veth pair made by hand, a port of another program.
func withMuch() *View {
	v := withSecond()
	v.Host.Forward4, v.Host.Forward6 = true, true
	v.Host.Links = []link.SurveyLink{up(9, "wlan0", "device", "203.0.113.20/24")}
	v.Bridges[0].Ports = append(v.Bridges[0].Ports, Port{SurveyLink: up(8, "vnet0", "tun")})
	v.Bridges = append(v.Bridges, Bridge{SurveyLink: up(10, "cni0", "bridge", "198.51.100.1/24"), Ours: true})
	host, end := up(11, "vethccccccccccc", "veth"), up(3, "net1", "veth", "198.51.100.2/24")
	byHand, lonely := up(12, "patch0", "veth"), up(2, "eth0", "veth")
	byHand.Up, byHand.Carrier, lonely.Carrier = false, false, false
	v.Attachments = append(
		v.Attachments,
		Attachment{
			Network: "backend", ContainerID: "one", IfName: "net1", Ours: true, Bridge: "cni0", HostLink: &host,
			Netns: "/run/netns/c1", Link: &end, Record: &store.Record{Role: store.RolePort},
		},
		Attachment{IfName: "eth0", HostLink: &byHand, Netns: "/run/netns/tools", Link: &lonely},
	)
	macvlan := up(4, "mv0", "macvlan", "192.0.2.140/24")
	v.Namespaces[0].Links = append(v.Namespaces[0].Links, end, macvlan)
	v.Namespaces = append(v.Namespaces, Namespace{Name: "tools", Path: "/run/netns/tools"}, Namespace{Name: "spare", Path: "/run/netns/spare"})
	return v
}

// withDrift is a host after changes by hand.
func withDrift() *View {
	v := withSecond()
	first, second := &v.Attachments[0], &v.Attachments[1]
	first.HostLink, first.Link, first.Routes = nil, nil, nil
	first.Record = &store.Record{Role: store.RolePort, HostLink: "vethaaaaaaaaaaa"}
	first.Problems = []string{"host interface vethaaaaaaaaaaa does not exist; its record has bridge br0"}
	second.Link.Addresses = second.Link.Addresses[:1]
	second.Problems = []string{"eth0 has lost 2001:db8:0:1::101/64"}
	far := up(13, "vethddddddddddd", "veth")
	v.Attachments = append(v.Attachments, Attachment{
		Network: "lan", ContainerID: "0123456789abcdef", IfName: "eth0", Ours: true, Bridge: "br0", HostLink: &far,
		Problems: []string{"vethddddddddddd has patchbay's alias, but no record"},
	})
	v.Namespaces[0].Links = nil
	v.Namespaces = append(v.Namespaces, Namespace{Name: "closed", Path: "/run/netns/closed", Error: "cannot enter"})
	for i := range v.Attachments {
		for _, text := range v.Attachments[i].Problems {
			v.Problems = append(v.Problems, Problem{About: about(&v.Attachments[i]), Text: text})
		}
	}
	v.Unseen = []string{"the inside of closed: entering a network namespace requires root"}
	return v
}

func withMany(n int) *View {
	v := withBridge()
	for i := range n {
		host, end := up(10+i, fmt.Sprintf("veth%011d", i), "veth"), up(2, "eth0", "veth", fmt.Sprintf("10.1.%d.%d/16", i/250, i%250+2))
		path := fmt.Sprintf("/run/netns/cni-%d", i)
		v.Namespaces = append(v.Namespaces, Namespace{Name: filepath.Base(path), Path: path, Links: []link.SurveyLink{end}})
		v.Attachments = append(v.Attachments, Attachment{
			Network: "lan", ContainerID: fmt.Sprint(i), IfName: "eth0", Ours: true, Bridge: "br0",
			HostLink: &host, Netns: path, Link: &end, Record: &store.Record{Role: store.RolePort},
		})
	}
	v.Attachments[1].Problems = []string{"eth0 has lost 10.1.0.99/16"}
	v.Problems = []Problem{{About: "lan/1/eth0", Text: "eth0 has lost 10.1.0.99/16"}}
	return v
}

// withPorts is a host whose containers publish: one much, with a port and half a range lost, the other one
// port of the host on a bridge that is isolated.
func withPorts() *View {
	v := withMuch()
	v.Bridges[1].Ports = nil
	first, second := &v.Attachments[0], &v.Attachments[1]
	ports := []store.Port{
		port("tcp", 8080, "192.0.2.100", 80), port("tcp", 8080, "2001:db8:0:1::100", 80), port("udp", 53, "192.0.2.100", 53),
		port("tcp", 8000, "192.0.2.100", 8000), port("sctp", 9, "192.0.2.100", 9), port("tcp", 443, "2001:db8:0:1::100", 443),
		port("tcp", 444, "192.0.2.100", 8443), port("tcp", 445, "192.0.2.100", 445),
	}
	ports[2].HostIP, ports[5].HostIP = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8:0:1::10")
	ports[3].Count = 100
	first.Record = &store.Record{Role: store.RolePort, Publish: &store.Publish{Ports: ports}}
	first.LostPorts = ports[1:4]
	first.Problems = []string{"map publish6 of nftables has lost tcp . 8080 (patchbay reload)"}
	second.Record = &store.Record{Role: store.RolePort, Policy: "same-bridge", Publish: &store.Publish{Ports: ports[:1]}}
	v.Attachments[2].Record = &store.Record{Role: store.RolePort, Policy: "isolated"}
	v.Problems = []Problem{{About: about(first), Text: first.Problems[0]}}
	return v
}

func port(protocol string, host uint16, address string, container uint16) store.Port {
	return store.Port{Protocol: protocol, HostPort: host, Container: netip.MustParseAddr(address), ContainerPort: container}
}

// withManyPorts is a list in which some publish.
func withManyPorts() *View {
	v := withMany(8)
	for i := range v.Attachments {
		a := &v.Attachments[i]
		a.Record.Publish = &store.Publish{}
		for n := range i % 4 {
			a.Record.Publish.Ports = append(a.Record.Publish.Ports, port("tcp", uint16(8000+10*i+n), "10.1.0.2", 80))
		}
		a.Record.Policy = "isolated"
	}
	v.Attachments[1].LostPorts = v.Attachments[1].Record.Publish.Ports
	return v
}

func views() map[string]*View {
	return map[string]*View{
		"1-host":      hostAlone(),
		"2-bridge":    withBridge(),
		"3-namespace": withNamespace(),
		"4-veth-pair": withVethPair(),
		"5-addresses": withAddresses(),
		"6-routes":    withRoutes(),
		"7-second":    withSecond(),
		"much":        withMuch(),
		"drift":       withDrift(),
		"many":        withMany(8),
		"ports":       withPorts(),
		"manyports":   withManyPorts(),
		"pods":        withPods(24),
	}
}

func draw(t *testing.T, v *View, s Style) string {
	t.Helper()
	var b strings.Builder
	if err := Draw(&b, v, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden: every stage, wide and narrow, is drawn as the files of testdata have it.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestGolden(t *testing.T) {
	for stage, v := range views() {
		for form, s := range map[string]Style{"80": {}, "40": {Width: 40}, "30": {Width: 30}, "ascii": {ASCII: true}} {
			got := draw(t, v, s)
			path := filepath.Join("testdata", stage+"."+form+".txt")
			if updating() {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// TestWidth: no line of any picture is wider than asked, at any width.
func TestWidth(t *testing.T) {
	for stage, v := range views() {
		for width := 30; width <= 120; width++ {
			for i, l := range strings.Split(draw(t, v, Style{Width: width}), "\n") {
				if n := utf8.RuneCountInString(l); n > width {
					t.Errorf("%s at %d: line %d has %d columns: %s", stage, width, i+1, n, l)
				}
			}
		}
	}
}

// TestColumns: at every width nothing that a narrower picture says is lost; below 34 columns long addresses are broken.
func TestColumns(t *testing.T) {
	for width := 34; width <= 120; width++ {
		got := draw(t, withSecond(), Style{Width: width})
		for _, want := range []string{
			"br0", "eth0", "c1", "c2", "vethaaaaaaaaaaa", "vethbbbbbbbbbbb", "192.0.2.10/24",
			"192.0.2.100/24", "2001:db8:0:1::100/64", "192.0.2.101/24", "default via 192.0.2.1",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("at %d there is no %s:\n%s", width, want, got)
			}
		}
	}
}

// TestStages: what is not there is not drawn.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestStages(t *testing.T) {
	tests := []struct {
		view       *View
		has, lacks []string
	}{
		{hostAlone(), []string{"host lab", "192.0.2.10/24"}, []string{"br0", "●", "LAN", "c1", "fe80"}},
		{withBridge(), []string{"br0", "eth0 ●", "LAN (router 192.0.2.1)"}, []string{"c1", "veth"}},
		{withNamespace(), []string{"c1", "not attached"}, []string{"veth"}},
		{withVethPair(), []string{"vethaaaaaaaaaaa ●", "● eth0"}, []string{"192.0.2.100", "not attached"}},
		{withAddresses(), []string{"192.0.2.100/24"}, nil},
		{withDrift(), []string{"╳", "○", "!", "eth0 has lost", "(gone)", "cannot look inside", "not seen"}, nil},
	}
	for _, tt := range tests {
		got := draw(t, tt.view, Style{})
		for _, s := range tt.has {
			if !strings.Contains(got, s) {
				t.Errorf("no %q in\n%s", s, got)
			}
		}
		for _, s := range tt.lacks {
			if strings.Contains(got, s) {
				t.Errorf("%q in\n%s", s, got)
			}
		}
	}
}

// TestASCII: with Style.ASCII no byte is anything else, and nothing moves.
func TestASCII(t *testing.T) {
	for stage, v := range views() {
		ascii, full := draw(t, v, Style{ASCII: true}), draw(t, v, Style{})
		for _, r := range ascii {
			if r > '~' {
				t.Errorf("%s: %q in\n%s", stage, r, ascii)
				break
			}
		}
		if len(ascii) != utf8.RuneCountInString(full) {
			t.Errorf("%s: %d columns in ASCII, %d in Unicode", stage, len(ascii), utf8.RuneCountInString(full))
		}
	}
}

// TestColor: colours come only when asked, and without them the picture is the same.
func TestColor(t *testing.T) {
	bare, coloured := draw(t, withDrift(), Style{}), draw(t, withDrift(), Style{Color: true})
	if strings.Contains(bare, "\x1b") || !strings.Contains(coloured, wrong.escape()) {
		t.Error("escape sequences without colour, or none with it")
	}
	for _, t := range []tone{plain, frame, name, veth, uplink, wrong} {
		coloured = strings.ReplaceAll(coloured, t.escape(), "")
	}
	if diff := cmp.Diff(bare, coloured); diff != "" {
		t.Errorf("(-bare +coloured)\n%s", diff)
	}
}

// TestHostileNames: a name may hold whatever the kernel lets it; none of it reaches a terminal.
func TestHostileNames(t *testing.T) {
	v := withVethPair()
	v.Namespaces[0].Name = "c1\x1b]0;x\a\n\u202e字"
	v.Attachments[0].HostLink.Name = "\x1b[31mveth\x7f"
	got := draw(t, v, Style{})
	if strings.ContainsAny(got, "\x1b\a\x7f\u202e字") || !strings.Contains(got, "c1?]0;x????") {
		t.Errorf("%q", got)
	}
}

func BenchmarkDraw1000(b *testing.B) {
	v := withMany(1000)
	for b.Loop() {
		if err := Draw(&strings.Builder{}, v, Style{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPorts: what is lost is never among those that are cut, and each port is said once.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPorts(t *testing.T) {
	for width := 35; width <= 120; width++ {
		got := draw(t, withPorts(), Style{Width: width})
		for want, times := range map[string]int{
			"ports of the host:": 2, "! 192.0.2.10:53/udp": 1, "! 8000-8099/tcp": 1, "! 8080/tcp -> 80": 1, "  8080/tcp -> 80": 1,
			"  3 more (patchbay": 1, "network lan: same-bridge": 1, "network backend: isolated": 1,
		} {
			if n := strings.Count(got, want); n != times {
				t.Errorf("at %d there is %q %d times, want %d:\n%s", width, want, n, times, got)
			}
		}
	}
}
