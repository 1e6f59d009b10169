// Package confs runs every file of conf/ as a runtime would, through libcni. It does not test what a single key means;
// package verbs does.
package confs

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const confDir = "../../../conf"

// files returns the conflists of conf/ and of the directories in it.
func files(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"*.conflist", "*/*.conflist"} {
		found, err := filepath.Glob(filepath.Join(confDir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no conflists %s in %s: %v", pattern, confDir, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// TestDirectories: libcni reads the files of a directory that is named as a network for plugins of that network. No directory of conf/ is.
//
// Claim: Every file of `conf/` works and is explained
func TestDirectories(t *testing.T) {
	for _, path := range files(t) {
		list, err := libcni.NetworkConfFromFile(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := os.Stat(filepath.Join(confDir, list.Name)); !os.IsNotExist(err) {
			t.Errorf("conf/%s has the name of the network of %s: %v", list.Name, path, err)
		}
	}
}

// host returns a host as a file needs it: br0 on a LAN, which has a DHCP server if needed, or, for macvlan, an uplink
// that is not a bridge port.
func host(t *testing.T, list *libcni.NetworkConfigList) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	if list.Plugins[0].Network.Type != "macvlan" {
		lan := h.LAN(t)
		if list.Plugins[0].Network.IPAM.Type == "dhcp" {
			lan.DHCPServer(t)
			h.DHCPDaemon(t, "/run/cni/dhcp.sock", "-timeout 5s")
			h.Baseline()
		}
		return h
	}
	h.Veth("eth0", h.Container("lan").Netns, "host")
	h.Baseline()
	return h
}

// binDir returns a directory with patchbay and the reference plugins that conf/ uses, like /opt/cni/bin.
func binDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, path := range map[string]string{
		"patchbay": nettest.Patchbay(t), "macvlan": nettest.Program(t, "macvlan"), "dhcp": nettest.Program(t, "dhcp"),
	} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestConfFiles runs ADD, CHECK and DEL of every file, with the newest version that it offers and with the oldest.
//
// Claim: Every file of `conf/` works and is explained
func TestConfFiles(t *testing.T) {
	for _, path := range files(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".conflist"), func(t *testing.T) {
			t.Parallel()
			list, err := libcni.ConfListFromFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if list.CNIVersion != "1.1.0" {
				t.Errorf("libcni chose version %s of it, want 1.1.0", list.CNIVersion)
			}
			h := host(t, list)
			cni := libcni.NewCNIConfigWithCacheDir([]string{binDir(t)}, "/run/cni-cache", nil)
			for _, version := range []string{"1.1.0", "0.4.0"} {
				c := h.Container("v" + strings.ReplaceAll(version, ".", ""))
				list.CNIVersion = version
				h.Do(func() { cycle(t, cni, list, c) })
			}
		})
	}
}

// cycle runs on the host's thread: libcni starts plugins from the thread it is called on.
func cycle(t *testing.T, cni *libcni.CNIConfig, list *libcni.NetworkConfigList, c *nettest.Container) {
	t.Helper()
	ctx := context.Background()
	rt := &libcni.RuntimeConf{ContainerID: c.ID(), NetNS: c.Path(), IfName: "eth0"}
	result, err := cni.AddNetworkList(ctx, list, rt)
	if err != nil {
		t.Errorf("%s ADD: %v", list.CNIVersion, err)
		return
	}
	checkResult(t, list, result)
	if err := cni.CheckNetworkList(ctx, list, rt); err != nil {
		t.Errorf("%s CHECK: %v", list.CNIVersion, err)
	}
	if list.CNIVersion == "1.1.0" {
		if err := cni.GetStatusNetworkList(ctx, list); err != nil {
			t.Errorf("STATUS: %v", err)
		}
	}
	if err := cni.DelNetworkList(ctx, list, rt); err != nil {
		t.Errorf("%s DEL: %v", list.CNIVersion, err)
	}
}

func checkResult(t *testing.T, list *libcni.NetworkConfigList, result types.Result) {
	t.Helper()
	got, err := types100.NewResultFromResult(result)
	if err != nil {
		t.Errorf("%s result: %v", list.CNIVersion, err)
		return
	}
	if hasIPAM := list.Plugins[0].Network.IPAM.Type != ""; hasIPAM != (len(got.IPs) > 0) {
		t.Errorf("%s result: %d addresses, IPAM is %q", list.CNIVersion, len(got.IPs), list.Plugins[0].Network.IPAM.Type)
	}
}

// TestConfFilesAreExplained requires a line in conf/README.md for each file, and a version that old callers accept.
//
// Claim: Every file of `conf/` works and is explained
func TestConfFilesAreExplained(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(confDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t) {
		name, err := filepath.Rel(confDir, path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), "["+name+"]("+name+")") {
			t.Errorf("conf/README.md does not explain %s", name)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"cniVersion": "1.0.0"`) || !strings.Contains(string(text), `"cniVersions": ["0.4.0", "1.0.0", "1.1.0"]`) {
			t.Errorf("%s: a bare 1.1.0 is refused by older callers", name)
		}
	}
}

// TestAddStartsNoProcess traces ADD and DEL with strace. For every file that uses only patchbay there is one execve,
// the one that started it, and threads, but no process.
//
// Claim: ADD executes no program and starts no process
func TestAddStartsNoProcess(t *testing.T) {
	nettest.Need(t, nettest.Tool("strace"))
	for _, path := range files(t) {
		list, err := libcni.ConfListFromFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if p := list.Plugins[0].Network; p.Type != "patchbay" || p.IPAM.Type != "" && p.IPAM.Type != "patchbay" {
			continue
		}
		t.Run(list.Name, func(t *testing.T) {
			t.Parallel()
			h := host(t, list)
			c := h.Container("traced")
			for _, command := range []string{"ADD", "DEL"} {
				if lines := traced(t, h, c, command, list); len(lines) != 1 || !strings.Contains(lines[0], "execve(") {
					t.Errorf("%s: want one execve and no process, got:\n%s", command, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

// starts matches the beginning of a call; strace prints the end of an interrupted one in another form.
var starts = regexp.MustCompile(`^\d+ +(execve|execveat|fork|vfork|clone|clone3)\(`)

// traced returns the calls that start programs or processes; threads do not matter.
func traced(t *testing.T, h *nettest.Node, c *nettest.Container, command string, list *libcni.NetworkConfigList) (lines []string) {
	t.Helper()
	conf, err := libcni.InjectConf(list.Plugins[0], map[string]interface{}{"name": list.Name, "cniVersion": "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := h.Command("strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=execve,execveat,fork,vfork,clone,clone3",
		"-o", out, nettest.Patchbay(t))
	cmd.Env = []string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + c.ID(), "CNI_NETNS=" + c.Path(), "CNI_IFNAME=eth0", "CNI_PATH=/nowhere"}
	cmd.Stdin = strings.NewReader(string(conf.Bytes))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, text)
	}
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(trace)) {
		if starts.MatchString(line) && !strings.Contains(line, "CLONE_THREAD") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
