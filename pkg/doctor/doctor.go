package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Finding is one problem.
type Finding struct {
	About string   `json:"about"`          // the check that found it: forwarding, firewall, ports ...
	Kind  string   `json:"kind,omitempty"` // of a problem that patchbay-agent reports: a nodeproblem.Kind
	Says  string   `json:"says"`           // what is wrong: one sentence
	Seen  string   `json:"seen"`           // the evidence
	Maybe bool     `json:"maybe"`          // it depends on rules that were not understood, or on addresses and ports
	Fix   []string `json:"fix"`            // lines for a shell; a line that begins with # is not a command
}

// Host says what to examine.
type Host struct {
	StateDir string // state directory; the other ones noted there are examined too
	ConfDir  string // directory of network configurations; "" for none
	BinDir   string // directory of CNI plugins, absolute; "" for none
	Probe    bool   // send ARP and neighbour discovery to find duplicate addresses
}

// Report is the result of Examine.
type Report struct {
	Networks    int       `json:"networks"`    // with a live attachment
	Attachments int       `json:"attachments"` // live
	Looked      []string  `json:"looked"`      // checks that ran without an error, in order: values of Finding.About
	Unchecked   []string  `json:"unchecked"`   // checks that failed, and why
	Notes       []string  `json:"notes"`       // what may be intended
	Risks       []Risk    `json:"risks"`       // what other programs will undo
	Findings    []Finding `json:"findings"`

	Agent  *agentstatus.Status `json:"-"` // what patchbay-agent says of this node; nil without it
	Shared []SharedNetwork     `json:"-"` // of patchbay-lan, by name
}

// Risk is what another program of the host will undo: no problem now.
type Risk struct {
	Program string   `json:"program"`
	Says    string   `json:"says"` // what, and when: one sentence
	Seen    string   `json:"seen"` // file, line and text
	Fix     []string `json:"fix"`  // lines for a shell; a line that begins with # is not a command
}

// Examine examines the host that the process is in. It continues after a check that fails; the error then joins
// those of all checks, and the report has the rest.
func Examine(h Host) (*Report, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	x := &examination{host: host, inventory: inventory.New(h.StateDir), stateDir: h.StateDir, confDir: h.ConfDir, binDir: h.BinDir}
	if x.live, err = x.inventory.Live(); err != nil {
		return nil, err
	}
	if x.survey, err = x.inventory.Survey(); err != nil {
		return nil, err
	}
	x.gather()
	report := &Report{Networks: x.networks(), Attachments: len(x.live), Looked: []string{}, Unchecked: []string{}, Notes: append([]string{}, x.notes()...), Risks: []Risk{}, Findings: []Finding{}} // lists also in JSON
	var failed error
	all := checks()
	if h.Probe {
		all = append(all, check{"probe", (*examination).probe})
	}
	for _, check := range all {
		found, err := check.run(x)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("check %s: %w", check.about, err))
			report.Unchecked = append(report.Unchecked, printable.Text(fmt.Sprintf("%s: %s", check.about, oneLine(err)), maxLine))
		} else {
			report.Looked = append(report.Looked, check.about)
		}
		for _, f := range found {
			f.About = check.about
			report.Findings = append(report.Findings, f.printable())
		}
	}
	report.Agent, report.Shared = x.agent, x.shared
	report.Risks = append(report.Risks, x.risks()...)
	for _, text := range x.remarks {
		report.Notes = append(report.Notes, printable.Text(text, maxLine))
	}
	return report, failed
}

// The greatest lengths in characters of a sentence of a finding, and of its kind.
const (
	maxLine = 2000
	maxKind = 64
)

// printable returns the finding without control characters: it contains names that containers and users chose.
func (f Finding) printable() Finding {
	f.Says, f.Seen, f.Kind = printable.Text(f.Says, maxLine), printable.Text(f.Seen, maxLine), printable.Text(f.Kind, maxKind)
	f.Fix = slices.Clone(f.Fix)
	for i, line := range f.Fix {
		f.Fix[i] = printable.Text(line, 0) // a command that is cut would be another command
	}
	return f
}

// check is one check of the host.
type check struct {
	about string
	run   func(*examination) ([]Finding, error)
}

// checks returns the checks, the most frequent causes first.
func checks() []check {
	return []check{
		{"forwarding", (*examination).forwarding},
		{"firewall", (*examination).firewall},
		{"host interfaces", (*examination).hostInterfaces},
		{"VLANs", (*examination).segments},
		{"taps", (*examination).taps},
		{"rules", (*examination).rules},
		{"ports", (*examination).ports},
		{"routes", (*examination).routes},
		{"addresses", (*examination).addresses},
		{"br_netfilter", (*examination).brNetfilter},
		{"mtu", (*examination).mtu},
		{"bridge capacity", (*examination).capacity},
		{"records", (*examination).records},
		{"stale attachments", (*examination).stale},
		{"networks", (*examination).networkFiles},
		{"dns", (*examination).dns},
		{"host names", (*examination).hostNames},
		{"programs", (*examination).programs},
		{"neighbours", (*examination).neighbours},
		{"cluster", (*examination).cluster},
	}
}

// examination is the state of one Examine.
type examination struct {
	stateDir string
	confDir  string
	binDir   string

	host      *link.Host
	inventory *inventory.Inventory
	survey    *link.Survey
	live      []*store.Record
	bridges   []*bridge
	inside    map[string]*link.Survey // of network namespaces, by path
	remarks   []string                // notes of the checks
	agent     *agentstatus.Status     // nil without one
	shared    []SharedNetwork         // of patchbay-lan
}

// bridge is a bridge of live attachments.
type bridge struct {
	name    string
	link    *link.SurveyLink // nil if it does not exist
	records []*store.Record
	dropped []string // programs whose rules drop packets of all its containers
}

// gather groups attachments by bridge, sorted by name.
func (x *examination) gather() {
	by := map[string]*bridge{}
	for _, r := range x.live {
		b := by[r.Bridge]
		if b == nil {
			b = &bridge{name: r.Bridge, link: x.linkNamed(r.Bridge)}
			by[r.Bridge] = b
			x.bridges = append(x.bridges, b)
		}
		b.records = append(b.records, r)
	}
	slices.SortFunc(x.bridges, func(a, b *bridge) int { return strings.Compare(a.name, b.name) })
}

func (x *examination) linkNamed(name string) *link.SurveyLink {
	for i := range x.survey.Links {
		if x.survey.Links[i].Name == name {
			return &x.survey.Links[i]
		}
	}
	return nil
}

func (x *examination) networks() int {
	seen := map[string]bool{}
	for _, r := range x.live {
		seen[r.Network] = true
	}
	return len(seen)
}

// routed reports whether the host routes for containers of a bridge, for an address family.
func (b *bridge) routed(is4 bool) bool {
	return slices.ContainsFunc(b.records, func(r *store.Record) bool { return (r.Gateway || r.Publish != nil) && has(r, is4) })
}

func has(r *store.Record, is4 bool) bool {
	return slices.ContainsFunc(r.Addresses, func(a store.Address) bool { return a.Address.Addr().Is4() == is4 })
}

func family(is4 bool) string {
	if is4 {
		return "IPv4"
	}
	return "IPv6"
}
