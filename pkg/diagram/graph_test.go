package diagram

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOf: the diagram of a host has every interface, and a line for each attachment and each other bridge port.
func TestOf(t *testing.T) {
	d := Of(hostWithMuch())
	var got []string
	for _, b := range d.All() {
		got = append(got, string(b.Kind)+" "+b.Title)
	}
	want := []string{
		"outside LAN (router 192.0.2.1)", "outside no carrier",
		"host host lab", "bridge br0", "uplink eth0", "port vnet0", "port veth00000000004", "bridge cni0", "port veth00000000005", "port veth00000000006",
		"port veth00000000007", "port veth00000000011",
		"container default/web", "interface eth0", "interface net1", "interface net2", "interface mv0", "container gone", "interface eth0", "container spare",
		"container closed", "container container id7", "interface eth0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("boxes (-want +got):\n%s", diff)
	}
	var lines []string
	for _, l := range d.Lines {
		lines = append(lines, l.From.Title+" "+string(l.Kind)+" "+l.To.Title)
	}
	want = []string{
		"eth0 uplink LAN (router 192.0.2.1)", "vnet0 down no carrier", "veth00000000004 wrong eth0", "veth00000000005 veth net1", "veth00000000011 down net2",
		"veth00000000006 broken eth0", "veth00000000007 veth eth0",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	said := ""
	for _, b := range d.All() {
		for _, text := range b.Text {
			said += text.Text + "\n"
		}
	}
	for _, want := range []string{
		"default via 192.0.2.1 metric 100\n", "default via 198.51.100.1 metric 200\n", "port 8080/tcp -> 80 (lost)\n", "VLAN 100, trunk of 200-210\n",
		"receives at most 10 Mbit/s\n", "sends at most 1.5 Gbit/s\n", "policy isolated\n", "isolated from other isolated ports\n", "(gone)\n", "(not seen)\n", "(not attached)\n",
		"(cannot look inside)\n", "network backend: isolated\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

// hostileNames are what a name could try in each format.
func hostileNames() []string {
	return []string{
		`a"]; b[x`, `a\`, `\N\l`, "<script>alert(1)</script>", "&quot;&#34;#quot;#35;", "%%{init: {}}%%", "`a`", "style:#1;", "a\nend\n", "\x1b]0;t\a", "\u202e", "]]>", "字é",
	}
}

// TestHostileNames: whatever a name is, a line of Mermaid and of DOT keeps its form, so that the name is text of a label. The tests of
// test/cli/pictures have Mermaid and dot read the same.
//
// Claim: `show -o dot` and `-o mermaid` print every box and line, and names of others are text there and never syntax: dot and Mermaid read
// them
func TestHostileNames(t *testing.T) {
	mermaidLine := regexp.MustCompile(`^ *(flowchart LR|end|(subgraph )?[a-z]+[0-9]*(text)?\["([a-zA-Z0-9 ./,+-]|<br/>|#[0-9]+;)*"\]|[a-z]+\d+ (---|===|-\.-)(\|"([a-zA-Z0-9 ./,+-]|#[0-9]+;)*"\|)? [a-z]+\d+|classDef wrong stroke:red,stroke-width:2px|class [a-z0-9,]+ wrong)$`)
	text := `"([^"\\&\n]|\\\\|\\"|\\l|&amp;)*"`
	dotLine := regexp.MustCompile(`^ *(graph patchbay \{|rankdir=LR|(graph|node|edge) \[.*\]|\}|subgraph cluster_[a-z]+\d+ \{|label=` + text + `(; color=red)?|[a-z]+\d*(empty)? \[((style=invis|shape=note), )?label=` + text +
		`(, color=red)?\]|[a-z]+\d+ -- [a-z]+\d+ \[style=[a-z]+, label=` + text + `(, color=red)?\])$`)
	for _, name := range hostileNames() {
		v := hostWithMuch()
		v.Host.Name, v.Bridges[0].Name, v.Namespaces[0].Name, v.Attachments[0].Network, v.Attachments[0].Link.Name = name, name, name, name, name
		v.Attachments[0].Problems[0], v.Problems[0].Text, v.Attachments[0].HostLink.Name, v.Unseen[0] = name, name, name, name
		d := Of(v)
		var chart, graph strings.Builder
		if err := Mermaid(&chart, d); err != nil {
			t.Fatal(err)
		}
		if err := DOT(&graph, d); err != nil {
			t.Fatal(err)
		}
		for form, l := range map[*regexp.Regexp]string{mermaidLine: chart.String(), dotLine: graph.String()} {
			for line := range strings.SplitSeq(strings.TrimSuffix(l, "\n"), "\n") {
				if !form.MatchString(line) {
					t.Errorf("%q: %s", name, line)
				}
			}
		}
		var ids []string
		for _, b := range d.All() {
			ids = append(ids, b.ID)
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != len(d.All()) {
			t.Errorf("two boxes have the same ID: %q", ids)
		}
	}
}
