package structure

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rooms says who may import whom: a room, and the rooms it may import. A new room needs a row.
func rooms() map[string][]string {
	return map[string][]string{
		"pkg/ipam":         {},
		"pkg/link":         {},
		"pkg/nft":          {},
		"pkg/conntrack":    {},
		"pkg/firewall":     {},
		"pkg/config":       {"pkg/ipam"},
		"pkg/store":        {"pkg/ipam"},
		"pkg/topo":         {"pkg/link", "pkg/store"},
		"pkg/attach":       {"pkg/config", "pkg/conntrack", "pkg/delegate", "pkg/firewall", "pkg/ipam", "pkg/link", "pkg/nft", "pkg/store"},
		"pkg/doctor":       {"pkg/attach", "pkg/firewall", "pkg/link", "pkg/store"},
		"pkg/interrupt":    {},
		"pkg/delegate":     {},
		"pkg/nettest":      {},
		"pkg/cli":          {"pkg/attach", "pkg/config", "pkg/link", "pkg/store"},
		"plugins/patchbay": {"pkg/attach", "pkg/cli", "pkg/config", "pkg/doctor", "pkg/interrupt", "pkg/ipam", "pkg/link", "pkg/store", "pkg/topo"},
	}
}

// door is a package that only some rooms may import.
type door struct {
	path   string
	rooms  []string
	reason string
}

func doors() []door {
	return []door{
		{"github.com/vishvananda/netlink", []string{"pkg/link", "pkg/nettest"}, "only pkg/link speaks rtnetlink"},
		{"github.com/google/nftables", []string{"pkg/nft", "pkg/nettest"}, "only pkg/nft speaks nftables"},
		{"github.com/mdlayher/netlink", []string{"pkg/conntrack", "pkg/firewall", "pkg/nft"}, "only pkg/nft and pkg/firewall speak nftables, and only pkg/conntrack conntrack"},
		{"regexp", []string{"pkg/nettest"}, "a quarter of a megabyte in every start, for a prefix and some digits"},
		{"os/exec", []string{"pkg/nettest"}, "one exec: a foreign IPAM plugin is started in one place (pkg/delegate), what a person runs (up NAME -- CMD) in another (pkg/cli/program.go), both by os.StartProcess"},
		{"github.com/stretchr/testify", nil, "tests are written with the standard library and go-cmp"},
		{"github.com/onsi", nil, "tests are written with the standard library and go-cmp"},
	}
}

// forbiddenImports names each import of a file that crosses a wall. Tests may import pkg/nettest and pass any door.
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

// whyNot is the reason that f may not import path, or "".
func whyNot(f source, path string) string {
	if room, ours := strings.CutPrefix(path, module+"/"); ours {
		return whyNotRoom(f, room)
	}
	for _, d := range doors() {
		under := path == d.path || strings.HasPrefix(path, d.path+"/")
		if under && !slices.Contains(d.rooms, f.dir()) && (!f.isTest() || d.rooms == nil) {
			return d.reason
		}
	}
	return ""
}

func whyNotRoom(f source, room string) string {
	allowed, known := rooms()[f.dir()]
	switch {
	case !known:
		return f.dir() + " has no row in the table of rooms"
	case slices.Contains(allowed, room):
		return ""
	case f.isTest() && (room == "pkg/nettest" || room == f.dir()):
		return ""
	case len(allowed) == 0:
		return "this room imports no other room"
	default:
		return "this room imports only " + strings.Join(allowed, ", ")
	}
}

// TestRooms: the table of rooms and the doors hold for every file of the root module.
func TestRooms(t *testing.T) {
	for _, f := range sources(t) {
		if strings.HasPrefix(f.path, "test/") {
			continue
		}
		report(t, forbiddenImports(f))
		if _, known := rooms()[f.dir()]; !known {
			t.Errorf("%s: %s has no row in the table of rooms", f.path, f.dir())
		}
	}
}

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
			[]string{"pkg/attach/a.go:2 imports github.com/vishvananda/netlink/nl: only pkg/link speaks rtnetlink"},
		},
		{"its test may", file("pkg/attach/a_test.go", "github.com/vishvananda/netlink", "os/exec", module+"/pkg/nettest"), nil},
		{
			"ipam is alone", file("pkg/ipam/a.go", "fmt", module+"/pkg/store"),
			[]string{"pkg/ipam/a.go:3 imports " + module + "/pkg/store: this room imports no other room"},
		},
		{
			"store reads ipam only", file("pkg/store/a.go", module+"/pkg/ipam", module+"/pkg/link"),
			[]string{"pkg/store/a.go:3 imports " + module + "/pkg/link: this room imports only pkg/ipam"},
		},
		{
			"nettest is for tests", file("pkg/attach/b.go", module+"/pkg/nettest"),
			[]string{"pkg/attach/b.go:2 imports " + module + "/pkg/nettest: this room imports only pkg/config, pkg/conntrack, pkg/delegate, pkg/firewall, pkg/ipam, pkg/link, pkg/nft, pkg/store"},
		},
		{
			"nobody imports attach", file("pkg/topo/a.go", module+"/pkg/attach"),
			[]string{"pkg/topo/a.go:2 imports " + module + "/pkg/attach: this room imports only pkg/link, pkg/store"},
		},
		{
			"a new room", file("pkg/new/a.go", module+"/pkg/ipam"),
			[]string{"pkg/new/a.go:2 imports " + module + "/pkg/ipam: pkg/new has no row in the table of rooms"},
		},
		{
			"no exec", file("plugins/patchbay/a.go", "os/exec"),
			[]string{"plugins/patchbay/a.go:2 imports os/exec: one exec: a foreign IPAM plugin is started in one place (pkg/delegate), what a person runs (up NAME -- CMD) in another (pkg/cli/program.go), both by os.StartProcess"},
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
