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

// portsOfReference is how many ports the reference has on a host, where each is a rule that a packet
// passes on its way to the next one.
const portsOfReference = 1000

// connected compares how many connections a second come through the port that was published last and
// the one that was published first.
func connected(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	all, err := c.roads(ctx)
	if err != nil {
		return nil, err
	}
	defer closeRoads(all)
	took, err := travel(ctx, all, p.connect)
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

// roads are two of each contender: through its first port, and through its last.
func (c *contest) roads(ctx context.Context) (all []road, err error) {
	for i, one := range []*contender{c.amongPorts, c.ports[1], c.ports[2]} {
		present := portsPresent
		if i > 0 {
			present = portsOfReference
			if one.stay, err = c.crowdOfReference(ctx, one, i == 1); err != nil {
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
			all = append(all, road{
				name: one.name, present: present, from: outside, server: server,
				to: netip.AddrPortFrom(hostAddress().Addr(), uint16(port)),
			})
		}
	}
	return all, nil
}

// crowdOfReference attaches two containers that have the first and the last port. On nftables those
// between are one container's. On iptables that would be 6000 forks: they are rules like those that
// the plugin made for the first, of as many containers with a port each.
func (c *contest) crowdOfReference(ctx context.Context, one *contender, iptables bool) ([]container, error) {
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

// repeatRules makes rules of iptables for more ports, like those that are there for the first.
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

// rulesLike are for iptables-restore: what portmap made for the first port, again for each of some,
// in a chain of its own as for a container of its own. It needs the words of iptables-save about a
// host with that one port.
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
	if len(of) < 3 { // the chain, the way into it, and the way to the container
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
