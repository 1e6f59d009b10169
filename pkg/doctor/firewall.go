package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/firewall"
)

// firewall: what the packet filters of others do to the traffic of a bridge's containers. One finding
// for each program and bridge.
func (x *examination) firewall() (found []Finding, err error) {
	for _, b := range x.bridges {
		drops, err := attach.Drops(x.host, b.records...)
		if err != nil {
			return found, err
		}
		for _, by := range programs(drops) {
			found = append(found, blocked(b, by, slices.DeleteFunc(slices.Clone(drops), func(d firewall.Drop) bool { return d.By != by })))
		}
	}
	return found, nil
}

// programs are those that drop, each once, in the order of the first drop.
func programs(drops []firewall.Drop) (all []string) {
	for _, d := range drops {
		if !slices.Contains(all, d.By) {
			all = append(all, d.By)
		}
	}
	return all
}

func blocked(b *bridge, by string, drops []firewall.Drop) Finding {
	who, verb := by, "may drop"
	if by == "" {
		who = fmt.Sprintf("the ruleset (table %s %s)", drops[0].Family, drops[0].Table)
	}
	if slices.ContainsFunc(drops, func(d firewall.Drop) bool { return d.Certain }) {
		verb = "drops"
	}
	var kinds, seen []string
	for _, d := range drops {
		if kind := d.What.String(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		if text := fmt.Sprintf("chain %s of table %s %s: %s", d.Chain, d.Family, d.Table, d.Evidence); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	f := Finding{
		Says: fmt.Sprintf("%s %s, of containers on bridge %s: %s", who, verb, b.name, strings.Join(kinds, ", ")),
		Seen: strings.Join(seen, "; "), Fix: firewall.Fixes(drops),
	}
	if by == "docker" {
		f.Fix = append(f.Fix, `or set "firewall": "auto" in the network's configuration: the next ADD does it`)
	}
	return f
}
