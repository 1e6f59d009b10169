// Package explain runs the commands that `patchbay explain` prints, and compares the kernel with that of a host on which ADD ran.
package explain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const confDir = "../../../conf"

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) { expect.Main(m, 4) }

// conflist is a file of conf/.
type conflist struct {
	path, Name string
	prepare    string // a shell command that every host of the test runs first
	Plugins    []struct {
		Type, Bridge string
		IPAM         struct{ Type string }
		Capabilities map[string]bool
	}
}

// conflists returns every file of conf/ and of the directories in it.
func conflists(t *testing.T) (all []conflist) {
	t.Helper()
	for _, pattern := range []string{"*.conflist", "*/*.conflist"} {
		paths, err := filepath.Glob(filepath.Join(confDir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no conflists %s in %s: %v", pattern, confDir, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := conflist{path: path}
			if err := json.Unmarshal(text, &c); err != nil || len(c.Plugins) != 1 {
				t.Fatalf("%s: %d plugins, %v", path, len(c.Plugins), err)
			}
			all = append(all, c)
		}
	}
	return all
}

// machine is a host with the program, on a LAN, whose DHCP server the plugin dhcp asks.
type machine struct {
	*nettest.Node
	env []string
}

func (c conflist) machine(t *testing.T) machine {
	t.Helper()
	nettest.Need(t, nettest.Tool("nft"), nettest.Tool("tc"), nettest.Tool("sysctl"))
	h := nettest.Host(t)
	lan := h.LAN(t, nettest.BridgeMAC("02:00:00:00:00:10"))
	bin := t.TempDir()
	if c.Plugins[0].IPAM.Type == "dhcp" {
		if err := os.Symlink(nettest.Program(t, "dhcp"), filepath.Join(bin, "dhcp")); err != nil {
			t.Fatal(err)
		}
		lan.DHCPServer(t)
		h.DHCPDaemon(t, "/run/cni/dhcp.sock", "-timeout 5s")
		h.Baseline()
	}
	conf := t.TempDir()
	text, err := os.ReadFile(c.path)
	if err == nil {
		err = os.WriteFile(filepath.Join(conf, "10.conflist"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.Allow("nft ")
	h.Run(t, "sh", "-c", c.prepare)
	settle(t, h)
	return machine{h, []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + conf, "CNI_PATH=" + bin, "LC_ALL=C.UTF-8"}}
}

// patchbay runs a command of the program, and returns stdout.
func (m machine) patchbay(t *testing.T, args ...string) string {
	t.Helper()
	cmd := m.Command(nettest.Patchbay(t), args...)
	cmd.Env = m.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.String() != "" {
		t.Fatalf("patchbay %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// refused requires an error with these parts.
func (m machine) refused(t *testing.T, parts []string, args ...string) {
	t.Helper()
	cmd := m.Command(nettest.Patchbay(t), args...)
	cmd.Env = m.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err == nil || len(out) > 0 {
		t.Errorf("patchbay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	expect.Contains(t, stderr.String(), parts...)
}

// options returns the options of attach and explain for a file.
func (c conflist) options() []string {
	if c.Plugins[0].Capabilities["portMappings"] {
		return []string{"--publish", "8080:80", "--publish", "192.0.2.10:5353:53/udp"}
	}
	return nil
}

// TestScriptsMakeWhatADDMakes runs ADD of every file of conf/ on one host. On a second one it runs the script that explain prints for the
// network, before anything is attached; on a third one the script that it prints for the attachment of the first.
//
// Claim: The script of `patchbay explain` makes in the kernel what ADD makes, for every file of `conf/`
// Claim: The last picture of `patchbay explain --draw` is the one that `show` draws after ADD, for every file of `conf/`
func TestScriptsMakeWhatADDMakes(t *testing.T) {
	for _, c := range conflists(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.path), ".conflist"), func(t *testing.T) {
			t.Parallel()
			if c.Plugins[0].Type != "patchbay" {
				c.ofAnotherPlugin(t)
				return
			}
			c.compare(t)
		})
	}
}

// compare compares the kernel after the scripts with the kernel after ADD.
func (c conflist) compare(t *testing.T) {
	t.Helper()
	added, second := c.machine(t), c.machine(t)
	added.Run(t, "ip", "netns", "add", "c1")
	before := added.unchanged(t)
	ofNetwork := ""
	if c.Plugins[0].IPAM.Type == "dhcp" {
		added.refused(t, []string{"cannot be printed as a script", "IPAM plugin dhcp"}, "explain", c.Name, "--netns", "c1", "-o", "sh")
		expect.Contains(t, added.patchbay(t, "explain", c.Name, "--netns", "c1"), "ip link add name veth", "# not printed: addresses")
	} else {
		ofNetwork = added.patchbay(t, slices.Concat([]string{"explain", c.Name, "--netns", "c1", "-o", "sh"}, c.options())...)
	}
	foreseen := added.lastPicture(t, slices.Concat([]string{"explain", c.Name, "--netns", "c1"}, c.options())...)
	expect.Equal(t, "the host after explain", added.unchanged(t), before)
	added.patchbay(t, slices.Concat([]string{"attach", "c1", "--network", c.Name}, c.options())...)
	shown := added.patchbay(t, "show", "--bridge", c.Plugins[0].Bridge, "--width", "80")
	expect.Equal(t, "the last picture for the attachment", added.lastPicture(t, "explain", "c1"), shown)
	if ofNetwork != "" {
		expect.Equal(t, "the last picture for the network", foreseen, shown)
		second.Run(t, "ip", "netns", "add", "c1")
		script(t, second.Node, ofNetwork)
		requireSame(t, c.Plugins[0].Bridge, "the script of the network", added.Node, second.Node)
		second.clean(t)
	}
	third := c.machine(t)
	script(t, third.Node, added.patchbay(t, "explain", "c1", "-o", "sh"))
	requireSame(t, c.Plugins[0].Bridge, "the script of the attachment", added.Node, third.Node)
	third.clean(t)
	added.patchbay(t, "detach", "c1")
	added.Run(t, "ip", "netns", "del", "c1")
}

// lastPicture returns the picture after the last step of a command.
func (m machine) lastPicture(t *testing.T, args ...string) string {
	t.Helper()
	var object struct{ Steps []struct{ Picture []string } }
	if err := json.Unmarshal([]byte(m.patchbay(t, append(args, "--draw", "--width", "80", "-o", "json")...)), &object); err != nil || len(object.Steps) == 0 {
		t.Fatalf("%d steps, %v", len(object.Steps), err)
	}
	return strings.Join(object.Steps[len(object.Steps)-1].Picture, "\n") + "\n"
}

// unchanged returns what explain must not change: the kernel, and the files of records and locks.
func (m machine) unchanged(t *testing.T) string {
	t.Helper()
	return strings.Join(kernel(t, m.Node, "br0"), "\n") + m.Run(t, "find", "/run", "/var/lib", "-printf", "%p %i %s %T@\n")
}

// clean removes what a script made. Nothing of it has a record.
func (m machine) clean(t *testing.T) {
	t.Helper()
	m.Run(t, "ip", "-n", "c1", "link", "del", "eth0")
	m.Run(t, "ip", "netns", "del", "c1")
	m.Run(t, "sh", "-c", "for i in $(ip -o link show type ifb | cut -d: -f2); do ip link del $i; done")
	m.Run(t, "nft", "flush", "ruleset")
}

// ofAnotherPlugin is for a file whose main plugin is another one: there are no commands to print.
func (c conflist) ofAnotherPlugin(t *testing.T) {
	t.Helper()
	m := c.machine(t)
	for _, format := range []string{"text", "sh", "json"} {
		m.refused(t, []string{"no network of type patchbay", "its main plugin is another one"}, "explain", "--conf", c.path, "-o", format)
	}
}
