package topo

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// maxPorts is the greatest number of ports in a box.
const maxPorts = 5

// portText returns a published port: "8080/tcp -> 80", "192.0.2.1:8000-8099/udp -> 8000-8099".
func portText(p store.Port) string {
	return whereText(p) + " -> " + spanText(p.ContainerPort, p.Len())
}

// whereText returns the host's side of a published port.
func whereText(p store.Port) string {
	where := spanText(p.HostPort, p.Len()) + "/" + p.Protocol
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

// ports returns the published ports of an attachment, each once for all of its addresses.
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

// hasLost reports whether the ruleset lacks a port, or a part of its range.
func (a *Attachment) hasLost(p store.Port) bool {
	return slices.ContainsFunc(a.LostPorts, func(q store.Port) bool { return portText(p) == portText(q) })
}

// portLines returns the published ports of an attachment, lost ones first, since only some of many are shown.
func (a *Attachment) portLines(width int) []boxLine {
	all := a.ports()
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(p, q store.Port) int { return number(a.hasLost(q)) - number(a.hasLost(p)) })
	lines := wrapped(text("ports of the host:", plain), width)
	shown := all
	if len(all) > maxPorts {
		shown = all[:maxPorts-1]
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

// indented is wrapped for a line that is indented by two columns.
func indented(l row, width int) []boxLine {
	var lines []boxLine
	for _, r := range l.wrap(width, 4) {
		lines = append(lines, boxLine{content: r})
	}
	return lines
}

// portsListed returns the published ports for an attachment that has one line.
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

// policyLines returns the policies of the networks on a bridge: which connections are accepted, and which may be opened.
func (y *section) policyLines(width int) []row {
	var rows []row
	said := map[string]bool{}
	for _, a := range y.attachments() {
		for _, policy := range policiesOf(a.Record) {
			line := "network " + a.Network + ": " + policy
			if said[line] {
				continue
			}
			said[line] = true
			rows = append(rows, text(line, plain).wrap(width, 2)...)
		}
	}
	return rows
}

// policiesOf returns the policies of a record, which may be nil.
func policiesOf(r *store.Record) (all []string) {
	if r == nil {
		return nil
	}
	if r.Policy != "" {
		all = append(all, r.Policy)
	}
	if r.Egress != nil {
		all = append(all, fmt.Sprintf("egress to %s and %s", counted(len(r.Egress.Allow), "destination"), counted(len(r.Egress.DNS), "name server")))
	}
	return all
}

// counted returns a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
