package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/plugins/pkg/ns"
)

// contest has all contenders.
type contest struct {
	programs programs
	maker    maker

	ours, reference        *contender // called by libcni
	kernel                 *contender // the kernel calls of Patchbay, without a plugin
	ourExec, referenceExec *contender // exec of a program that calls VERSION only
	nothing                *contender // a plugin that does nothing, called by libcni

	// With masquerading: Patchbay, reference plugins with iptables, reference plugins with nftables.
	masq, dual []*contender
	// With masquerading of IPv4 and published ports: the same three.
	ports []*contender
	// Patchbay on a host with portsPresent published ports.
	amongPorts *contender
}

func newContest() (*contest, error) {
	p, err := newPrograms()
	if err != nil {
		return nil, err
	}
	c := &contest{programs: p}
	var errs [9]error
	c.ours, errs[0] = c.enter("patchbay", p.byLibcni(ours("", "")))
	c.reference, errs[1] = c.enter("reference bridge + host-local", p.byLibcni(reference("", "")))
	c.kernel, errs[2] = c.enter("kernel's part of patchbay, one warm process", byKernel)
	c.ourExec, errs[3] = c.enter("exec of patchbay, VERSION only", p.byExec("patchbay"))
	c.referenceExec, errs[4] = c.enter("exec of reference bridge, VERSION only", p.byExec("bridge"))
	c.nothing, errs[5] = c.enter("a plugin in Go that does nothing", p.byLibcni(network{plugin: "nothing", ipam: "nothing"}))
	c.masq, errs[6] = c.enterMasquerade("")
	c.dual, errs[7] = c.enterMasquerade(`, [{"subnet": "fd00:88::/64"}]`)
	c.ports, errs[8] = c.enterPorts()
	return c, errors.Join(errs[:]...)
}

// enterMasquerade adds the contenders with masquerading, with additional ranges.
func (c *contest) enterMasquerade(ranges string) ([]*contender, error) {
	return c.enterThree(ours(masqueradeKey, ranges),
		reference(fmt.Sprintf(masqueradeWith, "iptables"), ranges), reference(fmt.Sprintf(masqueradeWith, "nftables"), ranges))
}

// enterPorts adds the contenders with masquerading and published ports.
func (c *contest) enterPorts() ([]*contender, error) {
	return c.enterThree(oursWithPorts(), referenceWithPorts("iptables"), referenceWithPorts("nftables"))
}

// enterThree adds Patchbay and the two variants of the reference plugins.
func (c *contest) enterThree(ours, iptables, nftables network) ([]*contender, error) {
	var all []*contender
	var failed error
	for _, one := range []struct {
		name string
		network
	}{{"patchbay", ours}, {"reference, iptables", iptables}, {"reference, nftables", nftables}} {
		entered, err := c.enter(one.name, c.programs.byLibcni(one.network))
		all, failed = append(all, entered), errors.Join(failed, err)
	}
	return all, failed
}

// enter adds a contender with its own host namespace: all use the same bridge name, and interfaces of one must not slow down another.
func (c *contest) enter(name string, start func(host ns.NetNS) (verbs, error)) (*contender, error) {
	host, err := c.maker.host()
	if err != nil {
		return nil, err
	}
	v, err := start(host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &contender{name: name, verbs: v, host: host}, nil
}

// times are the durations of one contender, one value per round.
type times struct {
	adds, dels sample
}

// cells returns median and 95th percentile of ADD and of DEL in milliseconds, as the last four columns of a table.
func (t times) cells() []string {
	return []string{ms(t.adds.median()), ms(t.adds.quantile(0.95)), ms(t.dels.median()), ms(t.dels.quantile(0.95))}
}

// alternate measures one ADD and then one DEL of each contender per round, and drops the first warmUp rounds. Each round begins with another
// contender, because the kernel's deferred work after a DEL slows down the next call.
func alternate(ctx context.Context, all []*contender, warmUp, rounds int) ([]times, error) {
	got := make([]times, len(all))
	for round := range warmUp + rounds {
		for i := range all {
			at := (round + i) % len(all)
			took, err := all[at].attach(ctx)
			if err != nil {
				return nil, err
			}
			got[at].adds = append(got[at].adds, took)
		}
		for i := range all {
			at := (round + i) % len(all)
			took, err := all[at].detach(ctx)
			if err != nil {
				return nil, err
			}
			got[at].dels = append(got[at].dels, took)
		}
	}
	for i := range got {
		got[i].adds, got[i].dels = got[i].adds[warmUp:], got[i].dels[warmUp:]
	}
	return got, nil
}
