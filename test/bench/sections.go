package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// oneByOne compares one ADD and one DEL on an empty host.
func oneByOne(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	all := []*contender{c.ours, c.reference, c.kernel, c.ourExec, c.referenceExec, c.nothing}
	for _, one := range all {
		if err := one.need(20, &c.maker); err != nil {
			return nil, err
		}
	}
	got, err := alternate(ctx, all, p.warmUp, p.rounds)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "ADD median ms", "ADD p95", "DEL median ms", "DEL p95"}}
	for i, one := range all {
		row := append([]string{one.name}, got[i].cells()...)
		if one.del == nil {
			row[3], row[4] = "", ""
		}
		rows = append(rows, row)
	}
	ours, reference := got[0], got[1]
	// The minimum for an ADD by a program in Go: its start, and the kernel's part.
	minimum := got[2].adds.median() + got[5].adds.median()
	return []metric{
		{"add_reference_over_ours", "ADD, reference / ours", ratio(reference.adds.median(), ours.adds.median())},
		{"del_reference_over_ours", "DEL, reference / ours", ratio(reference.dels.median(), ours.dels.median())},
		{"add_reference_over_minimum", "ADD, reference / kernel's part + a plugin that does nothing", ratio(reference.adds.median(), minimum)},
		{"add_ours_over_minimum", "ADD, ours / kernel's part + a plugin that does nothing", ratio(ours.adds.median(), minimum)},
		{"del_ours_over_kernel", "DEL, ours / kernel's part", ratio(ours.dels.median(), got[2].dels.median())},
	}, printTable(out, fmt.Sprintf("One at a time, alternately, %d rounds", p.rounds), rows)
}

// masqueraded compares one ADD and one DEL of a network with masquerading: of IPv4, and of both families, as in containerd's default
// configuration.
func masqueraded(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	found, err := trio{"masq", "masquerade of IPv4", c.masq, p.crowd}.compare(ctx, c, p, out)
	if err != nil {
		return nil, err
	}
	more, err := trio{"masq_dual", "masquerade of IPv4 and IPv6", c.dual, p.crowd}.compare(ctx, c, p, out)
	return append(found, more...), err
}

// trio compares Patchbay and the two variants of the reference plugins.
type trio struct {
	metric, what string
	all          []*contender
	rounds       int
}

func (m trio) compare(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	for _, one := range m.all {
		if err := one.need(20, &c.maker); err != nil {
			return nil, err
		}
	}
	got, err := alternate(ctx, m.all, p.warmUp, m.rounds)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"contender", "ADD median ms", "ADD p95", "DEL median ms", "DEL p95"}}
	var found []metric
	for i, one := range m.all {
		rows = append(rows, append([]string{one.name}, got[i].cells()...))
		if i == 0 {
			continue
		}
		name, text := m.metric+"_"+[]string{"", "iptables", "nftables"}[i], m.what+", "+one.name+" / ours, "
		found = append(found,
			metric{name + "_add_over_ours", text + "ADD", ratio(got[i].adds.median(), got[0].adds.median())},
			metric{name + "_del_over_ours", text + "DEL", ratio(got[i].dels.median(), got[0].dels.median())})
	}
	return found, printTable(out, fmt.Sprintf("Bridge, gateway and %s, alternately, %d rounds", m.what, m.rounds), rows)
}

// together compares the ADDs and DELs per second with concurrent calls.
func together(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	rows := [][]string{{"contender", "at a time", "attachments", "ADD per second", "DEL per second"}}
	var found []metric
	for _, b := range p.batches {
		got, err := alternateBatches(ctx, []*contender{c.ours, c.reference}, &c.maker, b)
		if err != nil {
			return nil, err
		}
		for i, one := range []*contender{c.ours, c.reference} {
			add, del := got[i].adds.perSecond(b.size), got[i].dels.perSecond(b.size)
			rows = append(rows, []string{one.name, fmt.Sprint(b.width), fmt.Sprint(b.size), fmt.Sprintf("%.0f", add), fmt.Sprintf("%.0f", del)})
		}
		name, text := fmt.Sprintf("together_%d_", b.width), fmt.Sprintf("%d at a time, ", b.width)
		found = append(found,
			metric{name + "add_ours_over_reference", text + "ADDs per second, ours / reference", ratio(got[1].adds.median(), got[0].adds.median())},
			metric{name + "del_ours_over_reference", text + "DELs per second, ours / reference", ratio(got[1].dels.median(), got[0].dels.median())})
	}
	return found, printTable(out, "Several at a time", rows)
}

// alternateBatches is alternate for batches. It returns the durations of whole batches.
func alternateBatches(ctx context.Context, all []*contender, m *maker, b batch) ([]times, error) {
	got := make([]times, len(all))
	for range b.times {
		for i, one := range all {
			if err := one.need(b.size, m); err != nil {
				return nil, err
			}
			add, err := one.each(ctx, one.add, b.width, one.free[:b.size])
			if err != nil {
				return nil, fmt.Errorf("ADD: %w", err)
			}
			del, err := one.each(ctx, one.del, b.width, one.free[:b.size])
			if err != nil {
				return nil, fmt.Errorf("DEL: %w", err)
			}
			got[i].adds, got[i].dels = append(got[i].adds, add), append(got[i].dels, del)
		}
	}
	return got, nil
}

// crowded compares one ADD and one DEL on a host with many attachments.
func crowded(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	all := []*contender{c.ours, c.reference, c.kernel, c.nothing}
	rows := [][]string{{"contender", "attachments present", "ADD median ms", "ADD p95", "DEL median ms", "DEL p95"}}
	var got [][]times
	for _, present := range p.present {
		if err := fillAll(ctx, all, present, &c.maker); err != nil {
			return nil, err
		}
		at, err := alternate(ctx, all, p.warmUp, p.crowd)
		if err != nil {
			return nil, err
		}
		got = append(got, at)
		for i, one := range all {
			rows = append(rows, append([]string{one.name, fmt.Sprint(present)}, at[i].cells()...))
		}
	}
	return growth(p, got[0], got[len(got)-1]), printTable(out, fmt.Sprintf("On a host with attachments, alternately, %d rounds", p.crowd), rows)
}

// fillAll attaches containers on the host of each contender until there are present attachments.
func fillAll(ctx context.Context, all []*contender, present int, m *maker) error {
	for _, one := range all {
		if err := one.fill(ctx, present, m); err != nil {
			return err
		}
	}
	return nil
}

// growth compares the durations with few and with many attachments. Linux itself becomes slower with many: the limits compare Patchbay with
// the minimum, which is the kernel's part and a plugin that does nothing.
func growth(p plan, few, many []times) []metric {
	add := func(all []times, i int) time.Duration { return all[i].adds.median() }
	del := func(all []times, i int) time.Duration { return all[i].dels.median() }
	minimum := func(of func([]times, int) time.Duration) float64 {
		return ratio(of(many, 2)+of(many, 3), of(few, 2)+of(few, 3))
	}
	adds, dels := ratio(add(many, 0), add(few, 0)), ratio(del(many, 0), del(few, 0))
	text := fmt.Sprintf("with %d attachments / with %d", p.present[len(p.present)-1], p.present[0])
	return []metric{
		{"crowded_add_reference_over_ours", fmt.Sprintf("ADD with %d attachments, reference / ours", p.present[len(p.present)-1]), ratio(add(many, 1), add(many, 0))},
		{"crowded_add_growth", "ADD " + text + ", ours", adds},
		{"crowded_del_growth", "DEL " + text + ", ours", dels},
		{"crowded_add_growth_over_minimum", "ADD " + text + ", ours / kernel's part + a plugin that does nothing", adds / minimum(add)},
		{"crowded_del_growth_over_minimum", "DEL " + text + ", ours / kernel's part + a plugin that does nothing", dels / minimum(del)},
	}
}
