package dist

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files returns the names in a directory, and the hash and mode of each.
func files(t testing.TB, dir string) (names []string, sums map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	sums = map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		check(t, err)
		info, err := e.Info()
		check(t, err)
		sum := sha256.Sum256(text)
		names = append(names, e.Name())
		sums[e.Name()] = hex.EncodeToString(sum[:]) + " " + info.Mode().String()
	}
	return names, sums
}

// programs are those that have a binary, an archive and packages in a release.
func programs() []string { return []string{"patchbay", "patchbay-lan"} }

// TestFiles: the names are these, and SHA256SUMS has all others with their hashes.
//
// Claim: `make dist` builds for amd64 and arm64 a static binary, a tar.gz, a .deb, a .rpm and a CycloneDX SBOM of patchbay and of patchbay-lan, images, and
// SHA256SUMS of all
func TestFiles(t *testing.T) {
	names, sums := files(t, release.Dir(t))
	expect.Equal(t, "files", names, []string{
		"SHA256SUMS", "agent.yaml", "install.yaml", "patchbay-0.2.0-1.aarch64.rpm", "patchbay-0.2.0-1.x86_64.rpm", "patchbay-0.2.0-image.tar",
		"patchbay-0.2.0-linux-amd64", "patchbay-0.2.0-linux-amd64.tar.gz", "patchbay-0.2.0-linux-arm64", "patchbay-0.2.0-linux-arm64.tar.gz",
		"patchbay-agent-0.2.0-image.tar", "patchbay-agent-linux-amd64.cdx.json", "patchbay-agent-linux-arm64.cdx.json",
		"patchbay-lan-0.2.0-1.aarch64.rpm", "patchbay-lan-0.2.0-1.x86_64.rpm", "patchbay-lan-0.2.0-linux-amd64", "patchbay-lan-0.2.0-linux-amd64.tar.gz",
		"patchbay-lan-0.2.0-linux-arm64", "patchbay-lan-0.2.0-linux-arm64.tar.gz", "patchbay-lan-linux-amd64.cdx.json", "patchbay-lan-linux-arm64.cdx.json",
		"patchbay-lan_0.2.0_amd64.deb", "patchbay-lan_0.2.0_arm64.deb",
		"patchbay-linux-amd64.cdx.json", "patchbay-linux-arm64.cdx.json", "patchbay_0.2.0_amd64.deb", "patchbay_0.2.0_arm64.deb", "uninstall.yaml",
	})
	var want strings.Builder
	for _, name := range names[1:] {
		sum, _, _ := strings.Cut(sums[name], " ")
		fmt.Fprintf(&want, "%s  %s\n", sum, name)
	}
	got, err := os.ReadFile(release.Path(t, "SHA256SUMS"))
	check(t, err)
	expect.Equal(t, "SHA256SUMS", string(got), want.String())
}

// Claim: `make dist` builds for amd64 and arm64 a static binary, a tar.gz, a .deb, a .rpm and a CycloneDX SBOM of patchbay and of patchbay-lan, images, and
// SHA256SUMS of all
func TestBinaries(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		for _, program := range programs() {
			isStatic(t, release.Path(t, program+"-0.2.0-linux-"+arch), machine)
		}
	}
}

// isStatic requires a static program for a machine, without the directory that it was built in.
func isStatic(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	file, err := elf.Open(path)
	check(t, err)
	defer file.Close()
	expect.Equal(t, "machine of "+path, file.Machine, machine)
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static", path)
		}
	}
	text, err := os.ReadFile(path)
	check(t, err)
	tree, err := filepath.Abs("../../..")
	check(t, err)
	if bytes.Contains(text, []byte(tree)) {
		t.Errorf("%s has the path of the directory that it was built in", path)
	}
}

// modules returns the modules that a program says it was linked with, "NAME VERSION", but for the one of the repository, and sorted.
func modules(t testing.TB, program, arch string) (all []string) {
	t.Helper()
	for line := range strings.Lines(output(t, goCommand(), "version", "-m", release.Path(t, program+"-0.2.0-linux-"+arch))) {
		if field := strings.Fields(line); len(field) > 2 && field[0] == "dep" && field[1] != repository {
			all = append(all, field[1]+" "+field[2])
		}
	}
	slices.Sort(all)
	return all
}

// repository is the module of the plugin; patchbay-lan is another one, which is linked with it.
const repository = "github.com/patchbay-cni/patchbay"

// TestSBOM: the components are the modules that the binary says it was linked with, and Go.
//
// Claim: The SBOM of a release lists exactly the modules that the binary is linked with, with versions and hashes
func TestSBOM(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		for _, program := range programs() {
			t.Run(program+" "+arch, func(t *testing.T) {
				expect.Equal(t, "modules", componentsOf(t, program, arch), modules(t, program, arch))
			})
		}
	}
}

// componentsOf returns the components of the SBOM of a program, "NAME VERSION", but for Go and the module of the repository, and sorted.
func componentsOf(t *testing.T, program, arch string) (got []string) {
	t.Helper()
	var sbom struct {
		BOMFormat  string
		Components []struct {
			Name, Version string
			Hashes        []struct{ Alg, Content string }
		}
	}
	text, err := os.ReadFile(release.Path(t, program+"-linux-"+arch+".cdx.json"))
	check(t, err)
	check(t, json.Unmarshal(text, &sbom))
	expect.Equal(t, "format", sbom.BOMFormat, "CycloneDX")
	hasGo := false
	for _, c := range sbom.Components {
		hasGo = hasGo || c.Name == "std"
		if c.Name == "std" || c.Name == "../.." { // by which go.mod of patchbay-lan names the module of the repository
			continue
		}
		got = append(got, c.Name+" "+c.Version)
		if len(c.Hashes) == 0 {
			t.Errorf("%s has no hash", c.Name)
		}
	}
	if len(got) < 5 || !hasGo {
		t.Errorf("only %d modules, or no Go", len(got))
	}
	slices.Sort(got)
	return got
}

// goCommand finds Go also where sudo has dropped it from PATH.
func goCommand() string {
	if path, err := exec.LookPath("go"); err == nil {
		return path
	}
	return "/usr/local/go/bin/go"
}
