package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/containernetworking/plugins/pkg/ns"
)

// portsOfReference is the number of published ports on the hosts of the reference plugins, where each port is a rule that packets to later
// ports traverse.
const portsOfReference = 1000

// connected compares the connections per second through the port that was published last with those through the first.
func connected(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	all, err := c.clients(ctx)
	if err != nil {
		return nil, err
	}
	defer closeClients(all)
	took, err := measure(ctx, all, p.connect)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "ports present", "first, connections per second", "last", "last / first"}}
	var found []metric
	for i := 0; i < len(all); i += 2 {
		first, last := took[i].perSecond(p.connect.each), took[i+1].perSecond(p.connect.each)
		rows = append(rows, []string{all[i].name, fmt.Sprint(all[i].present), fmt.Sprintf("%.0f", first), fmt.Sprintf("%.0f", last), fmt.Sprintf("%.2f", last/first)})
		found = append(found, metric{
			[]string{"ports", "ports_iptables", "ports_nftables"}[i/2] + "_last_over_first",
			fmt.Sprintf("connections per second, the last of %d ports / the first, %s", all[i].present, all[i].name), last / first,
		})
	}
	return found, printTable(out, fmt.Sprintf("Connections from outside through published ports, alternately, %d rounds of %d", p.connect.rounds, p.connect.each), rows)
}

// clients returns two clients of each contender: one for its first port and one for its last.
func (c *contest) clients(ctx context.Context) (all []client, err error) {
	for i, one := range []*contender{c.amongPorts, c.ports[1], c.ports[2]} {
		present := portsPresent
		if i > 0 {
			present = portsOfReference
			if one.stay, err = c.attachReference(ctx, one, i == 1); err != nil {
				return nil, err
			}
		}
		outside, err := c.maker.outside(one.host)
		if err != nil {
			return nil, err
		}
		ends := map[int]container{firstPort: one.stay[0], firstPort + present - 1: one.stay[len(one.stay)-1]}
		for _, port := range []int{firstPort, firstPort + present - 1} {
			server, err := serve(ends[port].path)
			if err != nil {
				return nil, err
			}
			all = append(all, client{
				name: one.name, present: present, from: outside, server: server,
				to: netip.AddrPortFrom(hostAddress().Addr(), uint16(port)),
			})
		}
	}
	return all, nil
}

// attachReference attaches two containers, with the first and the last port. With nftables one more container has the ports between. With
// iptables that would be 6000 forks: the ports between are copies of the rules for the first port instead, as for one container each.
func (c *contest) attachReference(ctx context.Context, one *contender, iptables bool) ([]container, error) {
	last := firstPort + portsOfReference - 1
	between := make([]portMapping, 0, portsOfReference)
	for port := firstPort + 1; port < last; port++ {
		between = append(between, portMapping{HostPort: port, ContainerPort: port, Protocol: "tcp"})
	}
	if !iptables {
		return one.attachWith(ctx, &c.maker, [][]portMapping{onePort(firstPort), between, onePort(last)})
	}
	first, err := one.attachWith(ctx, &c.maker, [][]portMapping{onePort(firstPort)})
	if err != nil {
		return nil, err
	}
	if err := one.host.Do(func(ns.NetNS) error { return repeatRules(ctx, between) }); err != nil {
		return nil, err
	}
	end, err := one.attachWith(ctx, &c.maker, [][]portMapping{onePort(last)})
	return append(first, end...), err
}

// repeatRules adds iptables rules for more ports, copied from those for the first port.
func repeatRules(ctx context.Context, ports []portMapping) error {
	saved, err := exec.CommandContext(ctx, "iptables-save", "-t", "nat").Output()
	if err != nil {
		return fmt.Errorf("iptables-save: %w", err)
	}
	rules, err := rulesLike(string(saved), ports)
	if err != nil {
		return err
	}
	restore := exec.CommandContext(ctx, "iptables-restore", "--noflush", "--wait")
	restore.Stdin = strings.NewReader(rules)
	if text, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("iptables-restore: %w: %s", err, text)
	}
	return nil
}

// rulesLike returns input for iptables-restore: the rules of portmap for the first port, repeated for each of ports in a chain of its own.
// saved is the output of iptables-save on a host with the first port only.
func rulesLike(saved string, ports []portMapping) (string, error) {
	const chain = "CNI-DN-"
	_, name, found := strings.Cut(saved, ":"+chain)
	name, _, _ = strings.Cut(name, " ")
	var of []string
	for line := range strings.Lines(saved) {
		if found && strings.Contains(line, chain+name) {
			of = append(of, line)
		}
	}
	if len(of) < 3 { // the chain, the jump to it, and the translation
		return "", fmt.Errorf("iptables-save shows no chain %s of one port:\n%s", chain, saved)
	}
	var text strings.Builder
	text.WriteString("*nat\n")
	for _, p := range ports {
		other := fmt.Sprintf("%s%0*d", chain, len(name), p.HostPort)
		change := strings.NewReplacer(chain+name, other, fmt.Sprintf(" %d ", firstPort), fmt.Sprintf(" %d ", p.HostPort))
		for _, line := range of {
			text.WriteString(change.Replace(line))
		}
	}
	text.WriteString("COMMIT\n")
	return text.String(), nil
}
