package main

import (
	"context"
	"fmt"
	"io"
)

// published compares one ADD and one DEL of a container that publishes a port of its own.
func published(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	return trio{"ports", "masquerade of IPv4 and one TCP port", c.ports, p.chained}.compare(ctx, c, p, out)
}

// Ports of other containers: the first and the last belong to one container each, those between to three, because a container can publish at
// most 4096.
const (
	portsPresent = 10000 // on Patchbay's host
	firstPort    = 40000
	lastPort     = firstPort + portsPresent - 1
	mostOfOne    = 4096
)

// manyPorts returns the mappings of containers that together publish all ports from first to last.
func manyPorts(first, last int) (all [][]portMapping) {
	all = append(all, onePort(first))
	for from := first + 1; from < last; from += mostOfOne {
		many := min(mostOfOne, last-from)
		all = append(all, []portMapping{{HostPort: from, ContainerPort: 1, Protocol: "tcp", Range: many}})
	}
	return append(all, onePort(last))
}

// onePort maps a host port to serverPort.
func onePort(port int) []portMapping {
	return []portMapping{{HostPort: port, ContainerPort: serverPort, Protocol: "tcp"}}
}

// attachWith attaches one container for each list of mappings, in that order. They stay attached.
func (c *contender) attachWith(ctx context.Context, m *maker, mappings [][]portMapping) ([]container, error) {
	var all []container
	for _, ports := range mappings {
		one, err := m.container()
		if err != nil {
			return nil, err
		}
		one.ports = ports
		if _, err := c.timed(ctx, c.add, one); err != nil {
			return nil, fmt.Errorf("%s: ADD: %w", c.name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// amongPorts compares one ADD and one DEL of a container with a port, on a host with many published ports and on one where as many containers
// publish none.
func amongPorts(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	crowd := manyPorts(firstPort, lastPort)
	var all []*contender
	for _, mappings := range [][][]portMapping{make([][]portMapping, len(crowd)), crowd} {
		one, err := c.enter("patchbay", c.programs.byLibcni(oursWithPorts()))
		if err != nil {
			return nil, err
		}
		if one.stay, err = one.attachWith(ctx, &c.maker, mappings); err != nil {
			return nil, err
		}
		if err := one.need(20, &c.maker); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	c.amongPorts = all[1]
	got, err := alternate(ctx, all, p.warmUp, p.crowd)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "ports present", "ADD median ms", "ADD p95", "DEL median ms", "DEL p95"}}
	for i, present := range []int{0, portsPresent} {
		rows = append(rows, append([]string{all[i].name, fmt.Sprint(present)}, got[i].cells()...))
	}
	text := fmt.Sprintf("with a port, %d ports present / none, ours", portsPresent)
	return []metric{
		{"ports_crowd_add_growth", "ADD " + text, ratio(got[1].adds.median(), got[0].adds.median())},
		{"ports_crowd_del_growth", "DEL " + text, ratio(got[1].dels.median(), got[0].dels.median())},
	}, printTable(out, fmt.Sprintf("On a host with published ports, alternately, %d rounds", p.crowd), rows)
}
