package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestNetworkCreate: from no file to two containers that reach each other, and back to nothing.
//
// Claim: `network create` writes a list that commands and runtimes use, `network rm` removes it with its bridge, and is refused while
// attachments exist
func TestNetworkCreate(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	path := filepath.Join(l.conf, "90-lab.conflist")
	a := l.run(t, "network", "create", "lab", "--ipv6")
	expect.Equal(t, "create", a.stdout, "lab: created "+path+", bridge pb-lab\n")
	expect.Equal(t, "note", a.stderr, "patchbay: note: it is the first network of "+l.conf+": containerd, CRI-O and kubelet use that one for every pod\n")
	list, err := libcni.ConfListFromFile(path)
	if err != nil || list.Name != "lab" || len(list.Plugins) != 1 {
		t.Fatalf("libcni reads %+v, %v", list, err)
	}
	l.ok(t, "up", "a", "--network", "lab")
	l.ok(t, "up", "b", "--network", "lab")
	for _, to := range l.list(t, "--network", "lab")[1].Addresses {
		address, _, _ := strings.Cut(to, "/")
		l.Run(t, "ip", "netns", "exec", "a", "ping", "-c", "1", "-W", "5", address)
	}
	l.refused(t, []string{"network lab has 2 attachments: a, b; remove them first"}, "network", "rm", "lab")
	expect.Contains(t, l.ok(t, "network", "ls"), "NAME ", "lab       patchbay  pb-lab ", " 2            "+path+"\n", "patchbay  patchbay  patchbay0 ", "(built in)")
	l.ok(t, "down", "a", "b")
	expect.Equal(t, "rm", l.ok(t, "network", "rm", "lab"), "lab: deleted "+path+", bridge pb-lab\n")
	expect.Equal(t, "files", files(t, l.conf), nil)
}

// files returns the names in a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// impossible are arguments of create that no host can have, and a part of the error.
func impossible() map[string]string {
	return map[string]string{
		"n --bridge a/b":                              "invalid network: bridge: ",
		"n --bridge sixteen-bytes-00":                 "invalid network: bridge: ",
		"n --dhcp":                                    "pass --bridge",
		"n --dhcp --bridge br0 --ipv6":                "omit --subnet, --ipv6 and --isolated",
		"n --dhcp --bridge br0 --isolated":            "omit --subnet, --ipv6 and --isolated",
		"n --dhcp --bridge br0 --subnet 10.1.0.0/24":  "omit --subnet, --ipv6 and --isolated",
		"n --subnet 10.1.0.1/24":                      "has host bits; the subnet of this address is 10.1.0.0/24",
		"n --subnet 10.1.0.0/31":                      "use at least a /30",
		"n --subnet 127.1.0.0/16":                     "cannot be that of containers",
		"n --subnet 0.0.0.0/0":                        "cannot be that of containers",
		"n --subnet 12.0.0.0/7":                       "cannot be that of containers",
		"n --subnet 0.0.0.0/8":                        "cannot be that of containers",
		"n --subnet 169.254.0.0/16":                   "cannot be that of containers",
		"n --subnet fe80::/64":                        "cannot be that of containers",
		"n --subnet ff02::/64":                        "cannot be that of containers",
		"n --subnet 10.1.0.0":                         "want an address and a prefix length",
		"n --subnet www.example.org":                  "want an address and a prefix length",
		"n --vlan 4095":                               "VLAN 4095; use 1 to 4094",
		"n --vlan -1":                                 "VLAN -1; use 1 to 4094",
		"-- n":                                        "network create needs one name",
		"../n":                                        "invalid network: name",
		strings.Repeat("n", 201):                      "a name of 201 bytes; use at most 200",
		"n --subnet 10.1.0.0/24 --subnet 10.2.0.0/24": "are of the same family",
	}
}

// TestNetworkRefused: what another network, the host or no host can have is refused, and nothing is written.
//
// Claim: `network create` refuses a name, subnet or bridge that another network or the host has, and writes nothing
func TestNetworkRefused(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "old", "old0", map[string]string{"subnet": "10.9.0.0/16"})
	write(t, filepath.Join(l.conf, "20-other.conf"), `{"cniVersion": "1.0.0", "name": "other", "type": "bridge", "bridge": "other0", "ipam": {"type": "host-local", "subnet": "10.8.0.0/16"}}`)
	write(t, filepath.Join(l.conf, "90-elsewhere.conflist"), "{")
	for _, line := range []string{
		"ip link add br0 type bridge", "ip link set br0 up", "ip link add v0 type veth peer name v1", "ip link set v0 up", "ip link set v1 up",
		"ip address add 10.7.0.1/24 dev v0", "ip address add fd07::1/64 dev v0 nodad", "ip route add 10.6.0.0/16 via 10.7.0.2",
	} {
		l.Run(t, strings.Fields(line)[0], strings.Fields(line)[1:]...)
	}
	before := files(t, l.conf)
	wrong := impossible()
	maps.Copy(wrong, map[string]string{
		"old":                        "already in use: " + l.conf + "/old.conflist configures it",
		"other":                      "already in use: " + l.conf + "/20-other.conf configures it",
		"elsewhere":                  "a file of another network has this name",
		"n --subnet 10.9.7.0/24":     "already in use: network old",
		"n --subnet 10.0.0.0/8":      "already in use: network o",
		"n --subnet 10.8.0.0/24":     "already in use: network other",
		"n --subnet 10.7.0.0/25":     "a route of this host overlaps it",
		"n --subnet 10.6.6.0/24":     "a route of this host overlaps it",
		"n --subnet fd07::/48":       "a route of this host overlaps it",
		"n --bridge old0":            "it is that of network old",
		"n --bridge other0 --vlan 5": "it is that of network other",
		"n --bridge br0":             "another program created it; choose another --bridge, or pass --dhcp",
		"n --bridge v0":              "choose another --bridge",
		"n --bridge br1 --dhcp":      "it does not exist",
	})
	for args, part := range wrong {
		l.refused(t, []string{part}, append([]string{"network", "create"}, strings.Fields(args)...)...)
	}
	expect.Equal(t, "files", files(t, l.conf), before)
	l.refused(t, []string{"network old", "not created by patchbay network create"}, "network", "rm", "old")
	l.refused(t, []string{`no network "odl"`, "did you mean old?"}, "network", "rm", "odl")
	l.refused(t, []string{"network patchbay is built in"}, "network", "rm", "patchbay")
	l.refused(t, []string{"did you mean create?"}, "network", "crate", "n")
	expect.Equal(t, "files", files(t, l.conf), before)
	l.ok(t, "network", "create", "lan", "--dhcp", "--bridge", "br0") // the LAN of br0 assigns addresses
	expect.Equal(t, "rm keeps a bridge of another program", l.ok(t, "network", "rm", "lan"), "lan: deleted "+l.conf+"/90-lan.conflist\n")
	for _, link := range []string{"br0", "v0"} {
		l.Run(t, "ip", "link", "del", link)
	}
}

// TestNetworkOfAUser: a user who may not write to the directory gets one clause with the remedy, and the same from install.
//
// Claim: `network create` refuses a name, subnet or bridge that another network or the host has, and writes nothing
func TestNetworkOfAUser(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("setpriv"))
	l := newLaptop(t)
	dir, program := l.shared(t)
	for command, want := range map[string]string{
		"network create q --conf-dir " + dir:          "patchbay: write " + dir + "/90-q.conflist: permission denied; run it as root (sudo patchbay network create)\n",
		"network create q --conf-dir " + dir + "/a/b": "patchbay: create directory of networks: mkdir " + dir + "/a: permission denied; run it as root (sudo patchbay network create)\n",
		"install --bin-dir " + dir + "/bin":           "patchbay: mkdir " + dir + "/bin: permission denied; run it as root (sudo patchbay install)\n",
		"install --bin-dir " + dir:                    "permission denied; run it as root (sudo patchbay install)\n",
	} {
		cmd := l.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", program}, strings.Fields(command)...)...)
		a := finish(t, cmd)
		expect.Equal(t, "exit of "+command, a.exit, 1)
		if !strings.HasSuffix(a.stderr, want) || strings.Count(a.stderr, ";") != 1 {
			t.Errorf("%s: stderr %q, want %q", command, a.stderr, want)
		}
	}
	expect.Equal(t, "files", files(t, dir), nil)
}

// shared returns a directory that other users may read, and the program in a place where they can execute it.
func (l *laptop) shared(t *testing.T) (dir, program string) {
	t.Helper()
	top, err := os.MkdirTemp("", "patchbay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	dir, program = filepath.Join(top, "net.d"), filepath.Join(top, "patchbay")
	if err := errors.Join(os.Chmod(top, 0o755), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	l.Run(t, "cp", nettest.Patchbay(t), program)
	return dir, program
}

// TestNetworksAtOnce: calls at once choose different subnets, and one of several with the same name wins.
//
// Claim: Calls of `network create` at once choose different subnets, and one of several with the same name succeeds
func TestNetworksAtOnce(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	const n = 6
	var same, other [n]answer
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { same[i] = l.run(t, "network", "create", "same") })
		wait.Go(func() { other[i] = l.run(t, "network", "create", fmt.Sprint("net", i)) })
	}
	wait.Wait()
	won := 0
	for i := range n {
		won += map[bool]int{true: 1}[same[i].exit == 0]
		expect.Equal(t, "exit of "+other[i].stderr, other[i].exit, 0)
	}
	expect.Equal(t, "calls that succeeded", won, 1)
	var all []struct{ Subnets []string }
	if err := json.Unmarshal([]byte(l.ok(t, "network", "ls", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, one := range all {
		for _, subnet := range one.Subnets {
			if seen[subnet] {
				t.Errorf("subnet %s twice", subnet)
			}
			seen[subnet] = true
		}
	}
	expect.Equal(t, "subnets", len(seen), n+1)
}

// TestNetworkDryRun: it prints what create writes, and writes nothing.
//
// Claim: `network create --dry-run` prints the file that create writes, and writes nothing
func TestNetworkDryRun(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	args := []string{"network", "create", "lab", "--subnet", "10.1.0.0/24", "--vlan", "7", "--isolated"}
	text := l.ok(t, append(args, "--dry-run")...)
	expect.Equal(t, "files", files(t, l.conf), nil)
	elsewhere := filepath.Join(l.conf, "none")
	expect.Equal(t, "text without the directory", l.ok(t, append(args, "--dry-run", "--conf-dir", elsewhere)...), text)
	expect.Equal(t, "files", files(t, l.conf), nil)
	expect.Contains(t, text, `"vlan": 7`, `"ingressPolicy": "isolated"`, `"subnet": "10.1.0.0/24"`)
	l.run(t, args...)
	written, err := os.ReadFile(filepath.Join(l.conf, "90-lab.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "file", string(written), text)
}
