package structure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// banned maps a package, with all below it, to the reason that it is never linked into bin/patchbay.
func banned() map[string]string {
	return map[string]string{
		"crypto/tls":             "the plugin speaks to the kernel only",
		"net/http":               "the plugin speaks to the kernel only, and every exec pays for what is linked",
		"os/exec":                "one exec: a foreign IPAM plugin is started in one place, by os.StartProcess",
		"plugin":                 "it makes the binary dynamic",
		"go.etcd.io":             "the cluster is the agent's business",
		"go.opentelemetry.io":    "2 MB and 0.4 ms for every container",
		"google.golang.org/grpc": "11 ms and more of start for every container",
		"k8s.io":                 "57 MB and 45 ms: the cluster is the agent's business",
		"github.com/containernetworking/cni/libcni":     "it is the runtime's side of CNI, and brings pkg/invoke",
		"github.com/containernetworking/cni/pkg/invoke": "it brings OpenTelemetry",
		"github.com/patchbay-cni/patchbay/pkg/nettest":  "it is for tests",
	}
}

// listed is what `go list -json` says of one package.
type listed struct {
	ImportPath string
	Imports    []string
}

// dependencies lists every package linked on Linux into the program of a directory.
func dependencies(t *testing.T, directory, arch string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", ".")
	cmd.Dir = filepath.Join(top(t), directory)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return decodeListed(t, string(out))
}

func decodeListed(t *testing.T, out string) []listed {
	t.Helper()
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// bannedLinks names each banned package among deps, with who imports it and the reason of the ban.
func bannedLinks(deps []listed) []string {
	importers := map[string][]string{}
	for _, p := range deps {
		for _, i := range p.Imports {
			importers[i] = append(importers[i], p.ImportPath)
		}
	}
	var bad []string
	for _, p := range deps {
		for ban, reason := range banned() {
			if p.ImportPath == ban || strings.HasPrefix(p.ImportPath, ban+"/") {
				bad = append(bad, fmt.Sprintf("%s, imported by %s: %s", p.ImportPath, strings.Join(importers[p.ImportPath], ", "), reason))
			}
		}
	}
	slices.Sort(bad)
	return bad
}

// TestBinaryDependencies: the plugin links nothing heavy, on both architectures.
//
// Claim: The binary links nothing heavier than the listed dependencies; each ban has its reason
func TestBinaryDependencies(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			deps := dependencies(t, "plugins/patchbay", arch)
			if len(deps) < 50 {
				t.Fatalf("go list names only %d packages", len(deps))
			}
			report(t, bannedLinks(deps))
		})
	}
}

// TestAgentDependencies: patchbay-agent reads Node objects without the types of k8s.io/api, which are in its module for the tests alone: they and
// a clientset are 3 to 18 MB, and memory for each field of each node.
func TestAgentDependencies(t *testing.T) {
	deps := dependencies(t, "plugins/patchbay-agent", "amd64")
	if len(deps) < 50 {
		t.Fatalf("go list names only %d packages", len(deps))
	}
	for _, p := range deps {
		for _, heavy := range []string{"k8s.io/api/", "k8s.io/client-go/kubernetes", "sigs.k8s.io/controller-runtime"} {
			if strings.HasPrefix(p.ImportPath, heavy) {
				t.Errorf("bin/patchbay-agent links %s", p.ImportPath)
			}
		}
	}
}

// Claim: The binary links nothing heavier than the listed dependencies; each ban has its reason
func TestBannedLinksFinds(t *testing.T) {
	deps := []listed{
		{"os/exec", nil},
		{"os/execution", nil},
		{"k8s.io/client-go/rest", []string{"os/exec"}},
		{"main", []string{"k8s.io/client-go/rest", "os/exec"}},
	}
	want := []string{
		"k8s.io/client-go/rest, imported by main: 57 MB and 45 ms: the cluster is the agent's business",
		"os/exec, imported by k8s.io/client-go/rest, main: one exec: a foreign IPAM plugin is started in one place, by os.StartProcess",
	}
	if diff := cmp.Diff(want, bannedLinks(deps)); diff != "" {
		t.Errorf("bannedLinks (-want +got):\n%s", diff)
	}
}

// TestRootModule: what another program needs to speak to a cluster is in the modules of that program and of its tests, so that the plugin's
// module cannot even name it.
//
// Claim: The module of the plugin requires no client of Kubernetes, of etcd or of gRPC
func TestRootModule(t *testing.T) {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"k8s.io/", "go.etcd.io/", "google.golang.org/grpc"} {
			if strings.Contains(string(text), "\n"+path) || strings.Contains(string(text), "\t"+path) {
				t.Errorf("%s has %s", name, path)
			}
		}
	}
}
