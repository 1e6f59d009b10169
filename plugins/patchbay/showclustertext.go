package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// mostInFull is the greatest number of nodes that have a line of their own with gateway and all pod CIDRs.
const mostInFull = 50

// printCluster prints a node and the other nodes by how they are reached. Of many nodes it prints name and first pod CIDR, in columns.
func (f *showFlags) printCluster(out io.Writer, v *clusterView) error {
	var text strings.Builder
	width := cmp.Or(f.style(out).Width, 80)
	fmt.Fprintf(&text, "node %s  %s  pods %s\n", cell(v.Node.Node), listOf(v.Node.InternalIPs), listOf(v.Node.PodCIDRs))
	fmt.Fprintf(&text, "mode %s, %s\nagent: %s\n%s\n", cell(v.Node.Mode), countText(v.Node), activityText(v.Node), apiText(v.Node))
	if when := asOf(v.Node); when != "" {
		fmt.Fprintf(&text, "nodes, routes and problems: %s\n", when)
	}
	for _, way := range []struct{ reached, says string }{
		{agentstatus.Direct, "direct, the gateway is the InternalIP of the node"},
		{agentstatus.Overlay, "overlay, through a VXLAN device"},
		{agentstatus.None, "not reached, there is no route"},
	} {
		if nodes := reachedBy(v.Peers, way.reached); len(nodes) > 0 {
			fmt.Fprintf(&text, "\n%s: %s\n", way.says, many(len(nodes), "node"))
			printNodes(&text, nodes, width)
		}
	}
	if v.Omitted > 0 {
		fmt.Fprintf(&text, "\nand %s\n", many(v.Omitted, "more node"))
	}
	printNodeProblems(&text, v)
	_, err := io.WriteString(out, wrapped(text.String(), width))
	return err
}

// reachedBy returns the nodes that are reached in a way; one that this program does not know is none.
func reachedBy(peers []agentstatus.Peer, way string) (nodes []*agentstatus.Peer) {
	for i := range peers {
		known := peers[i].Reached == agentstatus.Direct || peers[i].Reached == agentstatus.Overlay
		if peers[i].Reached == way || !known && way == agentstatus.None {
			nodes = append(nodes, &peers[i])
		}
	}
	return nodes
}

// printNodes prints nodes, one on a line or in columns.
func printNodes(out io.Writer, nodes []*agentstatus.Peer, width int) {
	if len(nodes) <= mostInFull {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, n := range nodes {
			via := "-"
			if len(n.Routes) > 0 {
				via = "via " + cell(n.Routes[0].Via)
			}
			fmt.Fprintf(table, "  %s%s\t%s\tpods %s\n", cell(n.Name), mark(n), via, listOf(n.PodCIDRs))
		}
		_ = table.Flush()
		return
	}
	var cells []string
	widest := 0
	for _, n := range nodes {
		text := cell(n.Name) + mark(n) + " " + cell(strings.Join(n.PodCIDRs[:min(1, len(n.PodCIDRs))], ""))
		cells = append(cells, text)
		widest = max(widest, len([]rune(text)))
	}
	columns := max(1, width/(widest+2))
	lines := (len(cells) + columns - 1) / columns
	for i := range lines {
		line := ""
		for at := i; at < len(cells); at += lines { // sorted downwards, as ls(1)
			line += fmt.Sprintf("  %-*s", widest, cells[at])
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

// mark marks a node with a problem.
func mark(n *agentstatus.Peer) string {
	if len(n.Problems) > 0 {
		return " !"
	}
	return ""
}

// printNodeProblems prints the problems of the nodes, and those about no other node.
func printNodeProblems(out io.Writer, v *clusterView) {
	empty := true
	say := func(name, problem string) {
		if empty {
			fmt.Fprintln(out)
		}
		empty = false
		fmt.Fprintf(out, "! %s: %s\n", cell(name), printable.Text(problem, maxProblem))
	}
	for _, p := range v.Peers {
		for _, problem := range p.Problems {
			say(p.Name, problem)
		}
	}
	for _, p := range agentstatus.Besides(v.Node.Problems, v.Peers) {
		say(p.Subject(), p.Text)
	}
}

// listOf returns addresses for a line.
func listOf(addresses []string) string { return cell(strings.Join(addresses, " ")) }
