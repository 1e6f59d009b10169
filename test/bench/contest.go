package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/plugins/pkg/ns"
)

// contest is everybody who takes part.
type contest struct {
	programs programs
	maker    maker

	ours, reference        *contender // programs, called by libcni
	kernel                 *contender // what ours asks of the kernel, without a program
	ourExec, referenceExec *contender // a program that asks nothing of the kernel
	nothing                *contender // a program, called by libcni, that does nothing at all

	// With masquerade: ours, the reference on iptables, the reference on nftables.
	masq, dual []*contender
	// With masquerade of IPv4, and ports: the same three.
	ports []*contender
	// And ours on a host where portsPresent ports are published.
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

// enterMasquerade enters those who translate addresses, with more ranges.
func (c *contest) enterMasquerade(ranges string) ([]*contender, error) {
	return c.enterThree(ours(masqueradeKey, ranges),
		reference(fmt.Sprintf(masqueradeWith, "iptables"), ranges), reference(fmt.Sprintf(masqueradeWith, "nftables"), ranges))
}

// enterPorts enters those who translate addresses and publish each container's ports.
func (c *contest) enterPorts() ([]*contender, error) {
	return c.enterThree(oursWithPorts(), referenceWithPorts("iptables"), referenceWithPorts("nftables"))
}

// enterThree enters ours and the reference's two.
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

// enter gives a contender a host of its own: all have a bridge of the same name there, and nobody
// has another's interfaces in the way.
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

// times are those of one contender, a figure for every round.
type times struct {
	adds, dels sample
}

// alternate lets each contender attach one container and then each detach it, again and again,
// and drops the first warmUp rounds. Another one begins in every round, because whoever comes
// after somebody's DEL pays for its loose ends.
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
