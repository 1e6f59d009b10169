package topo

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// mostPorts is how many of its ports a box shows.
const mostPorts = 5

// portText is a published port: "8080/tcp -> 80", "192.0.2.1:8000-8099/udp -> 8000-8099".
func portText(p store.Port) string {
	return whereText(p) + " -> " + spanText(p.ContainerPort, p.Many())
}

// whereText is its end at the host.
func whereText(p store.Port) string {
	where := spanText(p.HostPort, p.Many()) + "/" + p.Protocol
	if p.HostIP.IsValid() {
		where = net.JoinHostPort(p.HostIP.String(), where)
	}
	return where
}

func spanText(first uint16, count int) string {
	if count == 1 {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, int(first)+count-1)
}

// ports are an attachment's, each once, whatever number of addresses it leads to.
func (a *Attachment) ports() []store.Port {
	if a.Record == nil || a.Record.Publish == nil {
		return nil
	}
	var all []store.Port
	for _, p := range a.Record.Publish.Ports {
		if !slices.ContainsFunc(all, func(q store.Port) bool { return portText(p) == portText(q) }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(p, q store.Port) int { return int(p.HostPort) - int(q.HostPort) })
	return all
}

// hasLost reports whether the ruleset does not lead a port here any more, or not all of it.
func (a *Attachment) hasLost(p store.Port) bool {
	return slices.ContainsFunc(a.LostPorts, func(q store.Port) bool { return portText(p) == portText(q) })
}

// portLines are which ports of the host lead to an attachment. What is lost comes first: of many
// only some are shown.
func (a *Attachment) portLines(width int) []boxLine {
	all := a.ports()
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(p, q store.Port) int { return number(a.hasLost(q)) - number(a.hasLost(p)) })
	lines := wrapped(text("ports of the host:", plain), width)
	shown := all
	if len(all) > mostPorts {
		shown = all[:mostPorts-1]
	}
	for _, p := range shown {
		l := text("  "+portText(p), plain)
		if a.hasLost(p) {
			l = text("! "+portText(p), wrong)
		}
		lines = append(lines, indented(l, width)...)
	}
	if rest := len(all) - len(shown); rest > 0 {
		lines = append(lines, indented(text(fmt.Sprintf("  %d more (patchbay ports)", rest), plain), width)...)
	}
	return lines
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// indented is wrapped for a line that begins two columns to the right.
func indented(l row, width int) []boxLine {
	var lines []boxLine
	for _, r := range l.wrap(width, 4) {
		lines = append(lines, boxLine{content: r})
	}
	return lines
}

// portsListed is what of the ports is said where an attachment has one line.
func (a *Attachment) portsListed() row {
	var said row
	all := a.ports()
	const most = 2
	for i, p := range all {
		if i == 1 && len(all) > most {
			return line(said, text(fmt.Sprintf(" and %d more", len(all)-1), plain))
		}
		sign, t := " ", plain
		if i == 0 {
			sign = " <- "
		}
		if a.hasLost(p) {
			t = wrong
		}
		said = line(said, text(sign, plain), text(whereText(p), t))
	}
	return said
}

// policyLines say which networks on a bay are kept apart.
func (y *bay) policyLines(width int) []row {
	var rows []row
	said := map[string]bool{}
	for _, a := range y.cables() {
		if a.Record == nil || a.Record.Policy == "" || said[a.Network+a.Record.Policy] {
			continue
		}
		said[a.Network+a.Record.Policy] = true
		rows = append(rows, text("network "+a.Network+": "+a.Record.Policy, plain).wrap(width, 2)...)
	}
	return rows
}
