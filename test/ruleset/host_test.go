package ruleset

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const update = "PATCHBAY_UPDATE"

// network is what is fixed of a network: its name, and where its containers are.
type network struct{ name, bridge, subnet4, subnet6 string }

// config is a configuration; keys are JSON members with a comma behind each.
func (n network) config(keys string) []byte {
	var ranges []string
	for _, s := range []string{n.subnet4, n.subnet6} {
		if s != "" {
			ranges = append(ranges, fmt.Sprintf(`[{"subnet": %q}]`, s))
		}
	}
	return []byte(fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "type": "patchbay", "bridge": %q, %s
		"ipam": {"type": "patchbay", "ranges": [%s]}}`, n.name, n.bridge, keys, strings.Join(ranges, ", ")))
}

// attachment is a container on a network.
type attachment struct {
	container *nettest.Container
	config    []byte
}

func (a attachment) call(command string) nettest.Call {
	return nettest.Call{Command: command, ContainerID: a.container.Name(), Netns: a.container.Path(), IfName: "eth0", Config: a.config}
}

// host is one whose names follow from the test alone.
func host(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	path := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(path, []byte("0123456789abcdef0123456789abcdef\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	h.Run(t, "mount", "--bind", path, "/etc/machine-id")
	return h
}

// list is the ruleset with each element on a line of its own, in the order of their keys.
func list(t *testing.T, h *nettest.Node) string {
	t.Helper()
	var out, elements []string
	inside := false
	for line := range strings.Lines(h.Run(t, "nft", "list", "ruleset")) {
		text, first := strings.CutPrefix(strings.TrimSpace(line), "elements = { ")
		inside = inside || first
		if !inside {
			out = append(out, line)
			continue
		}
		text, last := strings.CutSuffix(text, " }")
		elements = append(elements, strings.TrimSuffix(text, ","))
		if last {
			slices.SortFunc(elements, byKey)
			out = append(out, "\t\telements = {\n")
			for _, e := range elements {
				out = append(out, "\t\t\t"+e+",\n")
			}
			out = append(out, "\t\t}\n")
			elements, inside = nil, false
		}
	}
	return strings.Join(out, "")
}

// byKey orders elements, field by field: addresses and numbers by their values.
func byKey(a, b string) int {
	return slices.CompareFunc(strings.Fields(a), strings.Fields(b), func(x, y string) int {
		at, err := netip.ParseAddr(x)
		other, failed := netip.ParseAddr(y)
		if err == nil && failed == nil {
			return at.Compare(other)
		}
		n, err := strconv.Atoi(x)
		m, failed := strconv.Atoi(y)
		if err == nil && failed == nil {
			return n - m
		}
		return strings.Compare(x, y)
	})
}

// without is a listing without the elements of a container.
func without(listing, id string) string {
	var out []string
	for line := range strings.Lines(listing) {
		if !strings.Contains(line, "/"+id+"/") {
			out = append(out, line)
		}
	}
	return strings.ReplaceAll(strings.Join(out, ""), "\t\telements = {\n\t\t}\n", "")
}

// elements are the lines of a listing that are elements.
func elements(listing string) (all []string) {
	for line := range strings.Lines(listing) {
		if strings.Contains(line, `comment "patchbay:`) {
			all = append(all, line)
		}
	}
	return all
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv(update) != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("%s is not what is seen; if that is meant, run with %s=1 (-there +seen):\n%s", path, update, diff)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
