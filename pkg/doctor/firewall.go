package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
)

// firewall reports packet filters of others that drop traffic of a bridge's containers: one finding for each
// program and bridge.
func (x *examination) firewall() (found []Finding, err error) {
	for _, b := range x.bridges {
		drops, err := ruleset.Drops(x.host, b.records...)
		if err != nil {
			return found, err
		}
		for _, by := range programs(drops) {
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
	program, verb, families := by, "may drop", ""
	if by == "" {
		program = fmt.Sprintf("table %s %s of nftables", drops[0].Family, drops[0].Table)
	}
	is := func(of func(d firewall.Drop) bool) bool { return slices.ContainsFunc(drops, of) }
	certain := is(func(d firewall.Drop) bool { return d.Certain })
	if certain {
		verb = "drops"
	}
	if !is(func(d firewall.Drop) bool { return d.IPv6 }) {
		families = "IPv4 "
	} else if !is(func(d firewall.Drop) bool { return d.IPv4 }) {
		families = "IPv6 "
	}
	var seen []string
	for _, d := range drops {
		if text := fmt.Sprintf("chain %s of table %s %s: %s", d.Chain, d.Family, d.Table, d.Evidence); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	f := Finding{
		Says: fmt.Sprintf("%s %s %spackets of bridge %s: %s", program, verb, families, b.name, strings.Join(effects(drops), ", ")),
		Seen: strings.Join(seen, "; "), Maybe: !certain, Fix: firewall.Fixes(drops),
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
