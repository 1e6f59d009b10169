package confs

import (
	"debug/buildinfo"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// caller is a cnitool of one version of libcni, and the version of the specification that it chooses.
type caller struct{ program, libcni, chooses string }

// callers returns the libcni of containerd 1.6, Podman 4 and others, which reads cniVersion alone, and the newest.
func callers() []caller {
	return []caller{{"cnitool-1.1.2", "v1.1.2", "1.0.0"}, {"cnitool", "v1.3.1", "1.1.0"}}
}

// TestConfFilesByOldAndNewCallers runs ADD, CHECK and DEL of every file with both callers.
//
// Claim: Every file of `conf/` runs ADD, CHECK and DEL under libcni 1.1.2 and the newest libcni
// Claim: CHECK accepts a result from which an older libcni has dropped the fields of CNI 1.1
func TestConfFilesByOldAndNewCallers(t *testing.T) {
	for _, by := range callers() {
		program := nettest.Program(t, by.program)
		info, err := buildinfo.ReadFile(program)
		if err != nil || info.Main.Path != "github.com/containernetworking/cni" || info.Main.Version != by.libcni {
			t.Fatalf("%s is not of libcni %s: %v, %v", program, by.libcni, info, err)
		}
		for _, path := range files(t) {
			t.Run(by.libcni+"/"+strings.TrimSuffix(filepath.Base(path), ".conflist"), func(t *testing.T) {
				t.Parallel()
				by.cycle(t, program, path)
			})
		}
	}
}

func (by caller) cycle(t *testing.T, program, path string) {
	t.Helper()
	list, err := libcni.ConfListFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	h := host(t, list)
	c := h.Container("c")
	environment := []string{"CNI_PATH=" + binDir(t), "NETCONFPATH=" + dir}
	for _, verb := range []string{"add", "check", "del"} {
		cmd := h.Command(program, verb, list.Name, c.Path())
		cmd.Env = environment
		var stderr strings.Builder
		cmd.Stderr = &stderr
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", verb, err, text, stderr.String())
		}
		if verb != "add" {
			continue
		}
		var result struct{ CNIVersion string }
		if err := json.Unmarshal(text, &result); err != nil || result.CNIVersion != by.chooses {
			t.Errorf("the result is of version %q, want %s (%v):\n%s", result.CNIVersion, by.chooses, err, text)
		}
		if _, err := c.Netlink().LinkByName("eth0"); err != nil {
			t.Errorf("eth0 after ADD: %v", err)
		}
	}
	if _, err := c.Netlink().LinkByName("eth0"); err == nil {
		t.Error("eth0 is there after DEL")
	}
}
