package structure

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// binary is the path of the built plugin; make test sets PATCHBAY_BIN.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PATCHBAY_BIN")
	switch {
	case path != "":
		return path
	case os.Getenv("CI") != "":
		t.Fatal("PATCHBAY_BIN is not set")
	default:
		t.Skip("PATCHBAY_BIN is not set; make test sets it")
	}
	return ""
}

// TestBinaryIsStatic: no interpreter and no shared library, so that one file runs on any distribution; no symbols either.
//
// Claim: `make build` builds one static, stripped binary with the version stamped
func TestBinaryIsStatic(t *testing.T) {
	file, err := elf.Open(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program header %s makes it dynamic", p.Type)
		}
	}
	for _, name := range []string{".symtab", ".debug_info", ".zdebug_info"} {
		if file.Section(name) != nil {
			t.Errorf("the section %s is there: not stripped", name)
		}
	}
}

// TestBinaryBuildSettings: built without cgo, and with no path of the machine that built it.
//
// Claim: `make build` builds one static, stripped binary with the version stamped
func TestBinaryBuildSettings(t *testing.T) {
	info, err := buildinfo.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"CGO_ENABLED": "0", "-trimpath": "true"}
	for _, s := range info.Settings {
		if value, ok := want[s.Key]; ok && s.Value == value {
			delete(want, s.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("the binary was not built with %v", want)
	}
}

// TestBinaryVersion: the stamped version is a semantic version, in the line that a call without arguments prints and in
// that of the command version, which adds the commit and the version of Go.
//
// Claim: `make build` builds one static, stripped binary with the version stamped
func TestBinaryVersion(t *testing.T) {
	const version = `v?\d+\.\d+\.\d+([-+]\S+)?`
	for want, args := range map[string][]string{
		`^CNI patchbay plugin ` + version + `\n`:                                      {},
		`^patchbay ` + version + ` \(commit ([0-9a-f]{7,40}|unknown), go1\.\S+\)\n$`:  {"version"},
		`^patchbay ` + version + ` \(commit ([0-9a-f]{7,40}|unknown), go1\.[^\n]+\n$`: {"--version"},
	} {
		cmd := exec.Command(binary(t), args...)
		cmd.Env = []string{}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s: got %q, want %s", cmd, out, want)
		}
	}
}
