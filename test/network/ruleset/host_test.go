package ruleset

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const update = "PATCHBAY_UPDATE"

// network has the fixed parts of a network: name, bridge and subnets; a subnet may be empty.
type network struct{ name, bridge, subnet4, subnet6 string }

// config returns the configuration of the network with further keys.
func (n network) config(keys ...cni.Conf) cni.Conf {
	subnets := slices.DeleteFunc([]string{n.subnet4, n.subnet6}, func(s string) bool { return s == "" })
	return cni.Network(cni.Conf{"cniVersion": "1.0.0", "name": n.name, "bridge": n.bridge}, cni.Pool(subnets...)).With(keys...)
}

// attachment is a container on a network.
type attachment struct {
	container *nettest.Container
	config    cni.Conf
}

// call returns a call with the container's name as ID, which is the same in every run.
func (a attachment) call(t *testing.T, command string) nettest.Call {
	t.Helper()
	call := cni.Call(t, command, a.container, a.config)
	call.ContainerID = a.container.Name()
	return call
}

// host returns a host with a fixed machine-id.
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

// list returns the ruleset with one element per line, sorted by key.
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

// without returns a listing without the elements of a container.
func without(listing, id string) string {
	var out []string
	for line := range strings.Lines(listing) {
		if !strings.Contains(line, "/"+id+"/") {
			out = append(out, line)
		}
	}
	return strings.ReplaceAll(strings.Join(out, ""), "\t\telements = {\n\t\t}\n", "")
}

// elements returns the lines of a listing that are elements.
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
		t.Errorf("%s differs; if the change is intended, run with %s=1 (-file +seen):\n%s", path, update, diff)
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
