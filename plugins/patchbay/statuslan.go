package main

import (
	"fmt"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// printLANs prints a line for each network of patchbay-lan.
func printLANs(out io.Writer, networks []health.LAN) {
	const most = 4
	for _, n := range networks[:min(most, len(networks))] {
		fmt.Fprintf(out, "lan %s: %s\n", cell(n.Network), lanText(&n))
	}
	if more := len(networks) - most; more > 0 {
		fmt.Fprintf(out, "and %s of patchbay-lan (patchbay metrics)\n", many(more, "more network"))
	}
}

// lanText says whether patchbay-lan runs for a network, whether containers get addresses, and from how many.
func lanText(n *health.LAN) string {
	state := map[string]string{lan.Ready: "ready", lan.Waiting: "waiting: it has no network configuration"}[n.State]
	switch {
	case !n.Running && n.State == lan.Ready:
		return "patchbay-lan does not run, and its network configuration exists (patchbay doctor)"
	case !n.Running:
		return "patchbay-lan does not run, and it has no network configuration (patchbay doctor)"
	case n.Status == nil:
		return "patchbay-lan runs, " + state + "; no status"
	}
	problems := "no problems"
	if len(n.Problems) > 0 {
		problems = many(len(n.Problems), "problem") + " (patchbay doctor)"
	}
	subnet := ""
	if n.Subnet != "" {
		subnet = " of " + printable.Text(n.Subnet, maxCell)
	}
	return fmt.Sprintf("patchbay-lan runs, %s; %d free in %s%s; %s", state, n.Free, many(len(n.Blocks), "block"), subnet, problems)
}
