package ruleset

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// skeletonFile has the common part of the table. Hosts differ in the content of maps and sets and in the table of family bridge: the listings of
// ports have only that.
const skeletonFile = "testdata/skeleton.nft"

// hostAddresses returns the values of hostIP.
func (f family) hostAddresses() []string {
	return map[string][]string{"v4": {"192.0.2.10"}, "v6": {"2001:db8::10"}, "dual": {"192.0.2.10", "2001:db8::10"}}[f.name]
}

// mappings returns the port mappings of the nth container: one TCP port and two UDP ports.
func (f family) mappings(n int, specific bool) cni.Conf {
	at := []string{""}
	if specific {
		at = f.hostAddresses()
	}
	var all []cni.Conf
	for _, addr := range at {
		host := cni.Conf{}
		if addr != "" {
			host["hostIP"] = addr
		}
		all = append(all,
			cni.Conf{"hostPort": 8080 + n, "containerPort": 80, "protocol": "tcp"}.With(host),
			cni.Conf{"hostPort": 5060 + 2*n, "containerPort": 5060, "protocol": "udp", "range": 2}.With(host))
	}
	return cni.Ports(all...)
}

// portHost is a host with published ports.
type portHost struct {
	family
	specific bool
	policy   string
	bridges  []string // of each network
}

func (p portHost) title() string {
	at := map[bool]string{false: "wildcard", true: "hostIP"}[p.specific]
	networks := "one network"
	if len(p.bridges) == 2 {
		networks = "two networks on " + map[bool]string{true: "one bridge", false: "two bridges"}[p.bridges[0] == p.bridges[1]]
	}
	return strings.Join([]string{p.name, at, p.policy, networks}, ", ")
}

// portHosts returns the hosts of a family. An isolated network does not share its bridge.
func portHosts(f family) (all []portHost) {
	for _, specific := range []bool{false, true} {
		for _, policy := range []string{"open", "same-bridge", "isolated"} {
			other := map[bool]string{false: "br1", true: "br2"}[policy == "isolated"]
			all = append(all, portHost{f, specific, policy, []string{"br1"}}, portHost{f, specific, policy, []string{"br1", other}})
		}
	}
	return all
}

// TestPorts compares the ruleset of each kind of host with published ports after two ADDs for each network, and checks that each DEL restores the
// state before its ADD.
//
// Claim: The ruleset of each kind of host with published ports is as listed, after ADD and after DEL
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			for _, p := range portHosts(f) {
				fmt.Fprintf(&text, "# %s\n%s\n", p.title(), difference(skeleton(t), p.listing(t)))
			}
			golden(t, "testdata/ports-"+f.name+".nft", text.String())
		})
	}
}

func (p portHost) listing(t *testing.T) string {
	t.Helper()
	h := host(t)
	var all []attachment
	for i, bridge := range p.bridges {
		for j, name := range []string{"first", "second"} {
			keys := p.mappings(2*i+j, p.specific).With(cni.Conf{"ingressPolicy": p.policy})
			all = append(all, attachment{h.Container(fmt.Sprintf("%s-of-net%d", name, i+1)), p.network(i+1, bridge).config(keys)})
		}
	}
	return inAndOut(t, h, all)
}

// TestSkeleton compares the table without attachments with skeletonFile.
//
// Claim: The ruleset of each kind of host with published ports is as listed, after ADD and after DEL
func TestSkeleton(t *testing.T) {
	t.Parallel()
	h := host(t)
	a := attachment{h.Container("c"), families()[0].network(1, "br1").config(cni.Masquerade())}
	h.CNI(t, a.call(t, "ADD")).OK(t)
	h.CNI(t, a.call(t, "DEL")).OK(t)
	var common []string
	for _, o := range objects(list(t, h)) {
		if !strings.Contains(o.head, "_net1_") { // chains of the network
			common = append(common, o.text)
		}
	}
	golden(t, skeletonFile, "table inet patchbay {\n"+strings.Join(common, "\n\n")+"\n}\n")
}

// TestPortsLoad: nft(8) can load each listing together with the common part, and then lists the same.
//
// Claim: The ruleset of each kind of host with published ports is as listed, after ADD and after DEL
func TestPortsLoad(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	h.Allow("nft ")
	loaded := 0
	for _, f := range families() {
		for _, section := range strings.Split(read(t, "testdata/ports-"+f.name+".nft"), "# ")[1:] {
			title, text, _ := strings.Cut(section, "\n")
			h.Run(t, "nft", "flush ruleset; "+skeleton(t)+text)
			if diff := cmp.Diff(strings.TrimSpace(text), strings.TrimSpace(difference(skeleton(t), list(t, h)))); diff != "" {
				t.Errorf("%s, loaded and listed (-text +listed):\n%s", title, diff)
			}
			loaded++
		}
	}
	if loaded != 36 {
		t.Errorf("%d listings, want 36", loaded)
	}
}

func skeleton(t *testing.T) string {
	t.Helper()
	return read(t, skeletonFile)
}

// object is a map, set or chain of a listing; head is its first line.
type object struct{ table, head, text string }

func objects(listing string) (all []object) {
	table, now := "", []string(nil)
	for line := range strings.SplitSeq(listing, "\n") {
		switch {
		case strings.HasPrefix(line, "table "):
			table = line
		case line == "\t}":
			all = append(all, object{table, now[0], strings.Join(append(now, line), "\n")})
			now = nil
		case strings.HasPrefix(line, "\t"):
			now = append(now, line)
		}
	}
	return all
}

// difference returns the objects of a listing that are not in the common part, by table.
func difference(skeleton, listing string) string {
	known := objects(skeleton)
	var out strings.Builder
	table := ""
	for _, o := range objects(listing) {
		if slices.Contains(known, o) {
			continue
		}
		if o.table != table {
			if table != "" {
				out.WriteString("}\n")
			}
			out.WriteString(o.table + "\n")
			table = o.table
		} else {
			out.WriteString("\n")
		}
		out.WriteString(o.text + "\n")
	}
	return out.String() + "}\n"
}
