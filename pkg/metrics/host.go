package metrics

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
)

// Host is what Write writes.
type Host struct {
	State  *health.Summary // of package health; nil if it could not be read
	Verbs  *Verbs          // nil if they could not be read
	Failed []string        // of Parts, those that were read in part or not at all
}

// Parts returns the values of the label part of patchbay_part_success.
func Parts() []string { return []string{PartHost, PartLog} }

// The parts that may fail.
const (
	PartHost = "host" // records, interfaces, rules, pools
	PartLog  = "log"  // counters of the verbs
)

// Write writes all families, each with its samples, in an order that stays.
func Write(out io.Writer, h Host) error {
	e := &exposition{}
	if h.State != nil {
		e.writeState(h.State)
	}
	if h.Verbs != nil {
		e.writeVerbs(h.Verbs)
	}
	e.family("patchbay_part_success", gauge, "Whether a part of these metrics was read completely.")
	for _, part := range Parts() {
		e.sample("patchbay_part_success", yes(!slices.Contains(h.Failed, part)), "part", part)
	}
	_, err := out.Write(e.Bytes())
	return err
}

// writeState writes the gauges of a host.
func (e *exposition) writeState(s *health.Summary) {
	e.family("patchbay_build_info", gauge, "Version of this program; the value is 1.")
	e.sample("patchbay_build_info", 1, "version", s.Version)
	e.writeAttachments(s)
	e.writePools(s)
	e.writePorts(s)
	e.family("patchbay_ruleset_state", gauge, "1 for the state of the nftables ruleset compared with the records.")
	for _, state := range []health.RulesetState{health.Complete, health.Incomplete, health.Unknown} {
		e.sample("patchbay_ruleset_state", yes(s.Ruleset == state), "state", string(state))
	}
	e.writeFindings(s)
	e.writeLAN(s.LAN)
	if s.Agent != nil {
		e.writeAgent(s.Agent)
	}
}

// writeAttachments writes the attachments by network and state. Each network has a sample of the states up and stale.
func (e *exposition) writeAttachments(s *health.Summary) {
	type key struct{ network, state string }
	counts := map[key]int{}
	for _, n := range s.Networks {
		counts[key{n.Name, inventory.StateUp}], counts[key{n.Name, inventory.StateStale}] = 0, 0
	}
	for _, a := range s.Attached {
		counts[key{a.Network, a.State}]++
	}
	e.family("patchbay_attachments", gauge, "Attachments by network and state, as patchbay ls prints it.")
	for _, k := range slices.SortedFunc(maps.Keys(counts), func(a, b key) int {
		return cmp.Or(strings.Compare(a.network, b.network), strings.Compare(a.state, b.state))
	}) {
		e.sample("patchbay_attachments", float64(counts[k]), "network", k.network, "state", strings.ReplaceAll(k.state, " ", "_"))
	}
}

// writePools writes the addresses of the networks with a configuration.
func (e *exposition) writePools(s *health.Summary) {
	for _, f := range []struct {
		name, help string
		value      func(health.Pool) int
	}{
		{"patchbay_pool_addresses", "Addresses of a range set, without gateway and exclusions; at most 65536 are counted.", func(p health.Pool) int { return p.Size }},
		{"patchbay_pool_addresses_free", "Addresses of a range set that are not reserved; at most 65536 are counted.", func(p health.Pool) int { return p.Free }},
		{"patchbay_pool_addresses_used", "Addresses of a range set that attachments have.", func(p health.Pool) int { return p.Used }},
	} {
		e.family(f.name, gauge, f.help)
		for _, n := range s.Networks {
			for _, p := range n.Pools {
				e.sample(f.name, float64(f.value(p)), "network", n.Name, "subnets", strings.Join(p.Subnets, " "))
			}
		}
	}
}

// writePorts writes the published ports by protocol; a range counts as its ports.
func (e *exposition) writePorts(s *health.Summary) {
	counts := map[string]int{"tcp": 0, "udp": 0, "sctp": 0}
	for _, p := range s.Published {
		counts[p.Protocol] += max(1, p.Count)
	}
	e.family("patchbay_published_ports", gauge, "Published ports of the host by protocol.")
	for _, protocol := range slices.Sorted(maps.Keys(counts)) {
		e.sample("patchbay_published_ports", float64(counts[protocol]), "protocol", protocol)
	}
}

// writeFindings writes the findings of doctor. A check without a finding has the value 0, and one that failed has none.
func (e *exposition) writeFindings(s *health.Summary) {
	counts := map[string]int{}
	for _, check := range s.Report.Looked {
		counts[check] = 0
	}
	for _, f := range s.Report.Findings {
		counts[f.About]++
	}
	e.family("patchbay_doctor_findings", gauge, "Problems that patchbay doctor finds, by check.")
	for _, check := range slices.Sorted(maps.Keys(counts)) {
		e.sample("patchbay_doctor_findings", float64(counts[check]), "check", strings.ReplaceAll(check, " ", "_"))
	}
	e.family("patchbay_doctor_failed_checks", gauge, "Checks of patchbay doctor that could not be made.")
	e.sample("patchbay_doctor_failed_checks", float64(s.Unchecked))
}
