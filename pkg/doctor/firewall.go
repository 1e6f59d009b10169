package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
)

// firewall reports packet filters of others that drop traffic of a bridge's containers: one finding for each
// program and bridge, and one for each rule that drops packets of single addresses or ports.
func (x *examination) firewall() (found []Finding, err error) {
	for _, b := range x.bridges {
		all, err := ruleset.Drops(x.host, x.services(b), b.records...)
		if err != nil {
			return found, err
		}
		drops, others := split(all, func(d firewall.Drop) bool { return d.What <= firewall.Neighbours && d.About == firewall.Subject{} })
		found = append(found, x.otherDrops(b, others)...)
		b.dropped = programs(drops)
		for _, by := range b.dropped {
			found = append(found, blocked(b, by, slices.DeleteFunc(slices.Clone(drops), func(d firewall.Drop) bool { return d.By != by })))
		}
	}
	return found, nil
}

// programs returns the programs whose rules drop, each once, in the order of the first drop.
func programs(drops []firewall.Drop) (all []string) {
	for _, d := range drops {
		if !slices.Contains(all, d.By) {
			all = append(all, d.By)
		}
	}
	return all
}

func blocked(b *bridge, by string, drops []firewall.Drop) Finding {
	certain := isCertain(drops)
	f := Finding{
		Says: fmt.Sprintf("%s %s %spackets of bridge %s: %s", programOf(drops), may("drops", certain), families(drops), b.name, strings.Join(effects(drops), ", ")),
		Seen: evidence(drops), Maybe: !certain, Fix: firewall.Fixes(drops),
	}
	if by == "docker" && slices.ContainsFunc(f.Fix, func(line string) bool { return strings.Contains(line, "DOCKER-USER") }) {
		f.Fix = append(f.Fix, `# or set "firewall": "auto" in the network's configuration: the next ADD adds the rules`)
	}
	return f
}

// effects returns what does not work, the most frequent first.
func effects(drops []firewall.Drop) (all []string) {
	for _, h := range []struct {
		what firewall.Traffic
		says string
	}{
		{firewall.Leaving, "its containers cannot reach other networks"},
		{firewall.Returning, "its containers cannot reach other networks"},
		{firewall.Published, "their published ports are unreachable"},
		{firewall.Neighbours, "they cannot reach each other"},
	} {
		hit := slices.ContainsFunc(drops, func(d firewall.Drop) bool { return d.What == h.what })
		if hit && !slices.Contains(all, h.says) {
			all = append(all, h.says)
		}
	}
	return all
}

// split returns the drops for which is is true, and the others.
func split(all []firewall.Drop, is func(firewall.Drop) bool) (these, others []firewall.Drop) {
	for _, d := range all {
		if is(d) {
			these = append(these, d)
		} else {
			others = append(others, d)
		}
	}
	return these, others
}

// programOf returns the program, or the table, of drops that have it in common.
func programOf(drops []firewall.Drop) string {
	if drops[0].By == "" {
		return fmt.Sprintf("table %s %s of nftables", drops[0].Family, drops[0].Table)
	}
	return drops[0].By
}

func isCertain(drops []firewall.Drop) bool {
	return slices.ContainsFunc(drops, func(d firewall.Drop) bool { return d.Certain })
}

// may returns a verb in the third person if it is certain, else with "may".
func may(verb string, certain bool) string {
	if certain {
		return verb
	}
	return "may " + strings.TrimSuffix(verb, "s")
}

// families returns the version of IP, with a space, if all drops are of one.
func families(drops []firewall.Drop) string {
	switch {
	case !slices.ContainsFunc(drops, func(d firewall.Drop) bool { return d.IPv6 }):
		return "IPv4 "
	case !slices.ContainsFunc(drops, func(d firewall.Drop) bool { return d.IPv4 }):
		return "IPv6 "
	}
	return ""
}

// evidence returns the rules and policies of drops, each once.
func evidence(drops []firewall.Drop) string {
	var seen []string
	for _, d := range drops {
		if text := fmt.Sprintf("chain %s of table %s %s: %s", d.Chain, d.Family, d.Table, d.Evidence); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	return strings.Join(seen, "; ")
}
