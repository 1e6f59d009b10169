package structure

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// imports returns the packages of the root module, and for each of them the packages of this module that it may
// import. A new package needs a row. TestArchitecturePage compares docs/architecture.md with it.
func imports() map[string][]string {
	rows := map[string][]string{
		"pkg/printable":    {},
		"pkg/safefile":     {},
		"pkg/ipam":         {},
		"pkg/flagtext":     {},
		"pkg/nodeproblem":  {},
		"pkg/cluster":      {"pkg/nodeproblem"},
		"pkg/agentstatus":  {"pkg/nodeproblem", "pkg/safefile"},
		"pkg/jsonwriter":   {},
		"pkg/names":        {},
		"pkg/nlsock":       {},
		"pkg/nfnl":         {"pkg/nlsock"},
		"pkg/kmod":         {},
		"pkg/link":         {"pkg/kmod", "pkg/nlsock", "pkg/printable"},
		"pkg/bandwidth":    {"pkg/nlsock"},
		"pkg/noderoute":    {"pkg/nlsock"},
		"pkg/overlay":      {"pkg/cluster", "pkg/nlsock"},
		"pkg/nft":          {"pkg/kmod", "pkg/nfnl", "pkg/nlsock", "pkg/printable"},
		"pkg/conntrack":    {"pkg/nfnl", "pkg/nlsock"},
		"pkg/firewall":     {"pkg/nfnl", "pkg/nlsock", "pkg/printable"},
		"pkg/config":       {"pkg/ipam", "pkg/printable"},
		"pkg/store":        {"pkg/heldlock", "pkg/ipam", "pkg/jsonwriter", "pkg/printable", "pkg/safefile"},
		"pkg/inventory":    {"pkg/identity", "pkg/link", "pkg/liveness", "pkg/ruleset", "pkg/store"},
		"pkg/topo":         {"pkg/identity", "pkg/inventory", "pkg/link", "pkg/printable", "pkg/store"},
		"pkg/poll":         {},
		"pkg/watch":        {"pkg/link", "pkg/poll", "pkg/store"},
		"pkg/diagram":      {"pkg/agentstatus", "pkg/link", "pkg/printable", "pkg/store", "pkg/topo"},
		"pkg/metrics":      {"pkg/agentstatus", "pkg/health", "pkg/inventory", "pkg/lan", "pkg/nodeproblem", "pkg/printable", "pkg/safefile"},
		"pkg/restore":      {"pkg/firewall", "pkg/link", "pkg/names", "pkg/nfnl", "pkg/nft", "pkg/nlsock", "pkg/poll", "pkg/printable", "pkg/report", "pkg/upkeep"},
		"pkg/health":       {"pkg/agentstatus", "pkg/cli", "pkg/config", "pkg/doctor", "pkg/inventory", "pkg/ipam", "pkg/lan", "pkg/store"},
		"pkg/identity":     {"pkg/printable", "pkg/store"},
		"pkg/report":       {"pkg/printable"},
		"pkg/liveness":     {"pkg/config", "pkg/identity", "pkg/link", "pkg/report", "pkg/store"},
		"pkg/ruleset":      {"pkg/config", "pkg/conntrack", "pkg/firewall", "pkg/identity", "pkg/link", "pkg/liveness", "pkg/nft", "pkg/report", "pkg/store"},
		"pkg/attach":       {"pkg/bandwidth", "pkg/config", "pkg/delegate", "pkg/identity", "pkg/ipam", "pkg/jsonwriter", "pkg/link", "pkg/liveness", "pkg/names", "pkg/nft", "pkg/printable", "pkg/report", "pkg/ruleset", "pkg/safefile", "pkg/store"},
		"pkg/chained":      {"pkg/attach", "pkg/bandwidth", "pkg/config", "pkg/identity", "pkg/link", "pkg/liveness", "pkg/names", "pkg/report", "pkg/ruleset", "pkg/store"},
		"pkg/loopback":     {"pkg/attach", "pkg/config", "pkg/link"},
		"pkg/upkeep":       {"pkg/attach", "pkg/bandwidth", "pkg/config", "pkg/link", "pkg/liveness", "pkg/report", "pkg/ruleset", "pkg/store"},
		"pkg/doctor":       {"pkg/agentstatus", "pkg/attach", "pkg/cli", "pkg/config", "pkg/firewall", "pkg/heldlock", "pkg/hostnames", "pkg/identity", "pkg/install", "pkg/inventory", "pkg/lan", "pkg/link", "pkg/liveness", "pkg/nodeconf", "pkg/noderoute", "pkg/printable", "pkg/ruleset", "pkg/safefile", "pkg/store"},
		"pkg/delegate":     {"pkg/printable"},
		"pkg/nettest":      {},
		"pkg/lxc":          {"pkg/config", "pkg/printable", "pkg/safefile", "pkg/store"},
		"pkg/install":      {"pkg/config", "pkg/names", "pkg/safefile"},
		"pkg/uplink":       {"pkg/nlsock", "pkg/printable", "pkg/safefile"},
		"pkg/hostbridge":   {"pkg/printable", "pkg/safefile", "pkg/store", "pkg/uplink"},
		"pkg/netconfig":    {"pkg/printable", "pkg/safefile"},
		"pkg/nodeconf":     {"pkg/printable", "pkg/safefile"},
		"pkg/cli":          {"pkg/attach", "pkg/config", "pkg/inventory", "pkg/link", "pkg/lxc", "pkg/printable", "pkg/safefile", "pkg/store"},
		"pkg/hostsfile":    {"pkg/safefile"},
		"pkg/hostnames":    {"pkg/cli", "pkg/hostsfile", "pkg/inventory", "pkg/printable", "pkg/store"},
		"pkg/explain":      {"pkg/attach", "pkg/bandwidth", "pkg/config", "pkg/link", "pkg/liveness", "pkg/nft", "pkg/printable", "pkg/ruleset", "pkg/store", "pkg/topo"},
		"pkg/heldlock":     {"pkg/safefile"},
		"pkg/lan":          {},
		"pkg/network":      {"pkg/cli", "pkg/config", "pkg/link", "pkg/safefile"},
		"plugins/patchbay": {"pkg/agentstatus", "pkg/attach", "pkg/chained", "pkg/cli", "pkg/config", "pkg/diagram", "pkg/doctor", "pkg/explain", "pkg/flagtext", "pkg/health", "pkg/hostbridge", "pkg/hostnames", "pkg/install", "pkg/inventory", "pkg/ipam", "pkg/lan", "pkg/link", "pkg/loopback", "pkg/lxc", "pkg/metrics", "pkg/names", "pkg/netconfig", "pkg/network", "pkg/printable", "pkg/restore", "pkg/ruleset", "pkg/safefile", "pkg/store", "pkg/topo", "pkg/uplink", "pkg/upkeep", "pkg/watch"},
	}
	maps.Copy(rows, modules())
	return rows
}

// modules returns the rows of modules of their own.
func modules() map[string][]string {
	return map[string][]string{
		"plugins/patchbay-agent":        {"pkg/agentstatus", "pkg/cluster", "pkg/config", "pkg/link", "pkg/nodeproblem", "pkg/noderoute", "pkg/overlay", "pkg/safefile"},
		"plugins/patchbay-lan":          {"pkg/config", "pkg/flagtext", "pkg/lan", "pkg/printable", "pkg/safefile", "plugins/patchbay-lan/host", "plugins/patchbay-lan/registry"},
		"plugins/patchbay-lan/host":     {"pkg/heldlock", "pkg/identity", "pkg/lan", "pkg/link", "pkg/safefile"},
		"plugins/patchbay-lan/registry": {"pkg/lan"},
	}
}

// restricted is an external package that only some packages may import.
type restricted struct {
	path   string
	users  []string
	reason string
}

func external() []restricted {
	return []restricted{
		{"github.com/vishvananda/netlink", []string{"pkg/link", "pkg/nettest", "pkg/overlay"}, "only pkg/link and pkg/overlay use it"},
		{"github.com/google/nftables", []string{"pkg/nft", "pkg/nettest"}, "only pkg/nft speaks nftables"},
		{"github.com/mdlayher/netlink", []string{"pkg/conntrack", "pkg/firewall", "pkg/nft"}, "only pkg/nft and pkg/firewall speak nftables, and only pkg/conntrack conntrack"},
		{"regexp", []string{"pkg/nettest"}, "it adds a quarter of a megabyte to the binary, for a prefix and some digits"},
		{"os/exec", []string{"pkg/nettest", "plugins/patchbay-agent"}, "a delegated IPAM plugin is started by pkg/delegate, the program of \"up NAME -- CMD\" by pkg/cli/program.go, both with os.StartProcess"},
		{"github.com/stretchr/testify", nil, "tests are written with the standard library and go-cmp"},
		{"github.com/onsi", nil, "tests are written with the standard library and go-cmp"},
	}
}

// forbiddenImports returns a line for each import of a file that is not allowed. Tests may import pkg/nettest and
// restricted packages.
func forbiddenImports(f source) []string {
	var bad []string
	for _, spec := range f.file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{f.path + ": " + err.Error()}
		}
		if reason := whyNot(f, path); reason != "" {
			bad = append(bad, fmt.Sprintf("%s:%d imports %s: %s", f.path, f.line(spec.Pos()), path, reason))
		}
	}
	return bad
}

// whyNot returns the reason why f may not import path, or "".
func whyNot(f source, path string) string {
	if dir, ours := strings.CutPrefix(path, module+"/"); ours {
		return whyNotOurs(f, dir)
	}
	for _, d := range external() {
		under := path == d.path || strings.HasPrefix(path, d.path+"/")
		if under && !slices.Contains(d.users, f.dir()) && (!f.isTest() || d.users == nil) {
			return d.reason
		}
	}
	return ""
}

func whyNotOurs(f source, dir string) string {
	allowed, known := imports()[f.dir()]
	switch {
	case !known:
		return f.dir() + " has no row in the table of imports"
	case slices.Contains(allowed, dir):
		return ""
	case f.isTest() && (dir == "pkg/nettest" || dir == f.dir()):
		return ""
	case len(allowed) == 0:
		return "this package imports no other package of this module"
	default:
		return "this package imports only " + strings.Join(allowed, ", ")
	}
}

// TestImports checks every file of the root module against the tables of imports and of external packages.
//
// Claim: Only the listed packages import one another, netlink, nftables or os/exec
func TestImports(t *testing.T) {
	for _, f := range sources(t) {
		if strings.HasPrefix(f.path, "test/") || strings.HasPrefix(f.path, "scripts/") { // other modules
			continue
		}
		report(t, forbiddenImports(f))
		if _, known := imports()[f.dir()]; !known {
			t.Errorf("%s: %s has no row in the table of imports", f.path, f.dir())
		}
	}
}

// Claim: Only the listed packages import one another, netlink, nftables or os/exec
func TestForbiddenImportsFinds(t *testing.T) {
	file := func(path string, imports ...string) source {
		text := "package p\n"
		for _, i := range imports {
			text += "import _ \"" + i + "\"\n"
		}
		return parse(t, path, []byte(text))
	}
	tests := []struct {
		name string
		file source
		want []string
	}{
		{"link may use netlink", file("pkg/link/a.go", "github.com/vishvananda/netlink", "github.com/vishvananda/netlink/nl"), nil},
		{
			"attach may not", file("pkg/attach/a.go", "github.com/vishvananda/netlink/nl"),
			[]string{"pkg/attach/a.go:2 imports github.com/vishvananda/netlink/nl: only pkg/link and pkg/overlay use it"},
		},
		{"its test may", file("pkg/attach/a_test.go", "github.com/vishvananda/netlink", "os/exec", module+"/pkg/nettest"), nil},
		{
			"ipam is alone", file("pkg/ipam/a.go", "fmt", module+"/pkg/store"),
			[]string{"pkg/ipam/a.go:3 imports " + module + "/pkg/store: this package imports no other package of this module"},
		},
		{
			"store reads ipam only", file("pkg/store/a.go", module+"/pkg/ipam", module+"/pkg/link"),
			[]string{"pkg/store/a.go:3 imports " + module + "/pkg/link: this package imports only pkg/heldlock, pkg/ipam, pkg/jsonwriter, pkg/printable, pkg/safefile"},
		},
		{
			"nettest is for tests", file("pkg/attach/b.go", module+"/pkg/nettest"),
			[]string{"pkg/attach/b.go:2 imports " + module + "/pkg/nettest: this package imports only pkg/bandwidth, pkg/config, pkg/delegate, pkg/identity, pkg/ipam, pkg/jsonwriter, pkg/link, pkg/liveness, pkg/names, pkg/nft, pkg/printable, pkg/report, pkg/ruleset, pkg/safefile, pkg/store"},
		},
		{
			"nobody imports attach", file("pkg/topo/a.go", module+"/pkg/attach"),
			[]string{"pkg/topo/a.go:2 imports " + module + "/pkg/attach: this package imports only pkg/identity, pkg/inventory, pkg/link, pkg/printable, pkg/store"},
		},
		{
			"a new package", file("pkg/new/a.go", module+"/pkg/ipam"),
			[]string{"pkg/new/a.go:2 imports " + module + "/pkg/ipam: pkg/new has no row in the table of imports"},
		},
		{
			"no exec", file("plugins/patchbay/a.go", "os/exec"),
			[]string{"plugins/patchbay/a.go:2 imports os/exec: a delegated IPAM plugin is started by pkg/delegate, the program of \"up NAME -- CMD\" by pkg/cli/program.go, both with os.StartProcess"},
		},
		{
			"no testify in tests either", file("pkg/ipam/a_test.go", "github.com/stretchr/testify/require"),
			[]string{"pkg/ipam/a_test.go:2 imports github.com/stretchr/testify/require: tests are written with the standard library and go-cmp"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, forbiddenImports(tt.file)); diff != "" {
				t.Errorf("forbiddenImports (-want +got):\n%s", diff)
			}
		})
	}
}
