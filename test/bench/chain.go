package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// dropInDir is the directory in PATCHBAY_CACHE_BIN where make bench installs Patchbay under the names of the reference plugins.
const dropInDir = "dropin"

// Parts of the whole chain: masquerade, one TCP port, firewall, a sysctl, and limits of both directions in bit/s and bits.
const (
	chainSysctl = `"sysctl": {"net.ipv4.conf.IFNAME.arp_ignore": "1"}`
	chainRates  = `"ingressRate": 1000000000, "ingressBurst": 100000000, "egressRate": 1000000000, "egressBurst": 100000000`
	afterPorts  = `, {"type": "firewall", "backend": "iptables"}, {"type": "tuning", ` + chainSysctl + `}, {"type": "bandwidth", ` + chainRates + `}`
)

// oursWholeChain returns the network of one plugin that does the same as the six of referenceChain.
func oursWholeChain() network {
	n := oursWithPorts()
	n.keys += chainSysctl + ", " + chainRates + ","
	return n
}

// referenceChain returns the network of bridge, host-local, portmap, firewall, tuning and bandwidth, with iptables.
func referenceChain() network {
	n := referenceWithPorts("iptables")
	n.chain += afterPorts
	return n
}

// enterChain adds the contenders with the whole chain: Patchbay in one exec, the reference plugins, and Patchbay under their names.
func (c *contest) enterChain() ([]*contender, error) {
	ours, err := c.enter("patchbay, one exec", c.programs.byLibcni(oursWholeChain()))
	if err != nil {
		return nil, err
	}
	reference, err := c.enter("reference, iptables", c.programs.byLibcni(referenceChain()))
	if err != nil {
		return nil, err
	}
	cache := c.programs[len(c.programs)-1]
	dropIn, err := c.enter("patchbay under the five names", programs{filepath.Join(cache, dropInDir)}.byLibcni(referenceChain()))
	return []*contender{ours, reference, dropIn}, err
}

// wholeChain compares one ADD and one DEL of the whole chain, and then several at a time.
func wholeChain(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	all, err := c.enterChain()
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if err := one.need(20, &c.maker); err != nil {
			return nil, err
		}
	}
	got, err := alternate(ctx, all, p.warmUp, p.chained)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "ADD median ms", "ADD p95", "DEL median ms", "DEL p95"}}
	for i, one := range all {
		rows = append(rows, append([]string{one.name}, got[i].cells()...))
	}
	ours, reference, dropIn := got[0], got[1], got[2]
	found := []metric{
		{"chain_add_over_ours", "ADD of the whole chain, reference with iptables / ours", ratio(reference.adds.median(), ours.adds.median())},
		{"chain_del_over_ours", "DEL of the whole chain, reference with iptables / ours", ratio(reference.dels.median(), ours.dels.median())},
		{"chain_add_over_dropin", "ADD of the whole chain, reference with iptables / ours under the five names", ratio(reference.adds.median(), dropIn.adds.median())},
		{"chain_del_over_dropin", "DEL of the whole chain, reference with iptables / ours under the five names", ratio(reference.dels.median(), dropIn.dels.median())},
	}
	if err := printTable(out, fmt.Sprintf("Bridge, gateway, masquerade, one TCP port, firewall, a sysctl and rate limits, alternately, %d rounds", p.chained), rows); err != nil {
		return nil, err
	}
	more, err := chainTogether(ctx, all[:2], c, out)
	return append(found, more...), err
}

// chainTogether compares Patchbay and the reference plugins with concurrent calls.
func chainTogether(ctx context.Context, all []*contender, c *contest, out io.Writer) ([]metric, error) {
	b := batch{size: 16, width: 8, times: 3}
	got, err := alternateBatches(ctx, all, &c.maker, b)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "at a time", "attachments", "ADD per second", "DEL per second"}}
	for i, one := range all {
		rows = append(rows, []string{one.name, fmt.Sprint(b.width), fmt.Sprint(b.size), fmt.Sprintf("%.1f", got[i].adds.perSecond(b.size)), fmt.Sprintf("%.1f", got[i].dels.perSecond(b.size))})
	}
	text := fmt.Sprintf("of the whole chain, %d at a time, reference with iptables / ours", b.width)
	return []metric{
		{"chain_together_add_over_ours", "ADDs " + text, ratio(got[1].adds.median(), got[0].adds.median())},
		{"chain_together_del_over_ours", "DELs " + text, ratio(got[1].dels.median(), got[0].dels.median())},
	}, printTable(out, "The whole chain, several at a time", rows)
}
