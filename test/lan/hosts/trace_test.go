package hosts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// single returns the configuration that a runtime passes to the plugin.
func (m *machine) single(t testing.TB) []byte {
	t.Helper()
	var list struct {
		CNIVersion string `json:"cniVersion"`
		Name       string
		Plugins    []map[string]any
	}
	if err := json.Unmarshal([]byte(m.read(conflist)), &list); err != nil {
		t.Fatal(err)
	}
	plugin := list.Plugins[0]
	plugin["cniVersion"], plugin["name"] = list.CNIVersion, list.Name
	text, err := json.Marshal(plugin)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// noSockets runs ADD and DEL under strace, and requires that they open no socket of IPv4 or IPv6. One address must be free.
func (m *machine) noSockets(t testing.TB) {
	t.Helper()
	c := m.Container("traced")
	log := filepath.Join(t.TempDir(), "strace")
	for _, verb := range []string{"ADD", "DEL"} {
		cmd := m.Command("strace", "-f", "-o", log, "-e", "trace=socket,connect", nettest.Patchbay(t))
		cmd.Env = []string{
			"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + c.ID(), "CNI_NETNS=" + c.Path(), "CNI_IFNAME=eth0", "CNI_PATH=" + filepath.Dir(nettest.Patchbay(t)),
		}
		cmd.Stdin = strings.NewReader(string(m.single(t)))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s under strace: %v\n%s", verb, err, out)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "socket(AF_NETLINK") || strings.Contains(string(text), "socket(AF_INET") {
			t.Errorf("sockets of %s:\n%s", verb, text)
		}
	}
}
