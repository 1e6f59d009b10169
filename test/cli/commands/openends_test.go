package commands

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestPortsChangeFormats: what a program reads after a change are the ports of that attachment, and no others.
//
// Claim: `ports add` and `ports rm` with -o json, yaml, table or name print the ports that the attachment then has, as `ports` does
func TestPortsChangeFormats(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "7070:70")
	l.ok(t, "up", "other", "-p", "9090:90")
	var ports []struct {
		Name     string
		HostPort int
	}
	if err := json.Unmarshal([]byte(l.ok(t, "ports", "add", "web", "8080:80", "-o", "json")), &ports); err != nil {
		t.Fatal(err)
	}
	if len(ports) != 2 || ports[0].HostPort != 7070 || ports[1].HostPort != 8080 || ports[1].Name != "web" {
		t.Errorf("after add: %v", ports)
	}
	expect.Equal(t, "names", l.ok(t, "ports", "rm", "web", "7070", "-o", "name"), "8080/tcp\n")
	expect.Contains(t, l.ok(t, "ports", "add", "web", "8081:81", "-o", "table", "--no-headers"), "*     8080/tcp", "*     8081/tcp")
	l.refused(t, []string{`unknown format "xml"`}, "ports", "rm", "web", "8080", "-o", "xml")
	expect.Equal(t, "none", l.ok(t, "ports", "rm", "web", "8080-8081", "--json"), "[]\n")
	l.ok(t, "down", "web", "other")
}

// TestDryRunOfSeveral: each address is planned once, and what the first one makes is not made again.
//
// Claim: `up --dry-run` of several names prints what each needs, with the addresses that they would get one after the other
func TestDryRunOfSeveral(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	out := l.ok(t, "up", "a", "b", "c", "--dry-run")
	for what, want := range map[string]int{
		"ip link add name patchbay0": 1, "sysctl -w net.ipv4.ip_forward=1": 1, "\nip netns add ": 3, "chain postrouting {": 1,
		"address add 10.77.0.2/24": 1, "address add 10.77.0.3/24": 1, "address add 10.77.0.4/24": 1, "# what patchbay up c would do; nothing is changed": 1,
	} {
		if n := strings.Count(out, what); n != want {
			t.Errorf("%q occurs %d times, want %d", what, n, want)
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(l.ok(t, "up", "a", "b", "c")), "\n") {
		expect.Contains(t, line, []string{"10.77.0.2/24", "10.77.0.3/24", "10.77.0.4/24"}[i])
	}
	l.ok(t, "down", "a", "b", "c")
}

// TestDetachDryRun: the attachment is there as before, and refused is what detach refuses.
//
// Claim: `detach --dry-run` prints the commands that remove what `detach` removes, and changes nothing
func TestDetachDryRun(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.ok(t, "up", "db")
	host := l.list(t)[1].HostLink
	out := l.ok(t, "detach", "web", "db", "--dry-run")
	expect.Contains(t, out, "# what patchbay detach web would do; nothing is changed", "ip link del dev "+host, "10.77.0.2/24 are deleted", "# what patchbay detach db would do",
		"# names: its name is removed from the hosts files")
	if strings.Contains(out, "ip netns del") {
		t.Errorf("detach deletes no namespace: %s", out)
	}
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up", "db": "up"})
	l.refused(t, []string{"network namespace or LXC container wbe not found"}, "detach", "wbe", "--dry-run")
	l.ok(t, "down", "web", "db")
}

// TestNetworkRmOrder: the attachments of a network that stays need not be removed.
//
// Claim: `network rm` says that it does not remove a network before it says that the network has attachments
func TestNetworkRmOrder(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "mine", "mine0", map[string]string{"subnet": "10.95.0.0/24"})
	l.ok(t, "up", "a")
	l.ok(t, "up", "b", "--network", "mine")
	l.refused(t, []string{"network patchbay is built in and has no file"}, "network", "rm", "patchbay")
	l.refused(t, []string{"mine.conflist", "not created by patchbay network create"}, "network", "rm", "mine")
	l.refused(t, []string{`no network "min"`, "did you mean mine?"}, "network", "rm", "min")
	if a := l.run(t, "network", "create", "made", "--subnet", "10.94.0.0/24"); a.exit != 0 { // with a note: its file is the first one
		t.Fatal(a.stderr)
	}
	l.ok(t, "up", "c", "--network", "made")
	l.refused(t, []string{"network made has 1 attachment: c; remove them first"}, "network", "rm", "made")
	l.ok(t, "down", "a", "b", "c")
	l.ok(t, "network", "rm", "made")
}

// TestSharedBridge: it may be intended, and is a note.
//
// Claim: doctor names networks that have the same bridge, or the same VLAN of one, in a note
func TestSharedBridge(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "one", "lan0", map[string]string{"subnet": "10.95.0.0/24"})
	if out := l.ok(t, "doctor"); strings.Contains(out, "segment") {
		t.Errorf("doctor with one network: %s", out)
	}
	l.network(t, "two", "lan0", map[string]string{"subnet": "10.94.0.0/24"})
	l.network(t, "three", "lan1", map[string]string{"subnet": "10.93.0.0/24"})
	expect.Contains(t, l.ok(t, "doctor"), "note: networks one and two have the same segment lan0", "no problems found")
}

// TestExplainSourceRouting: the tables are those that the next ADD chooses; test/network/explain runs the scripts.
//
// Claim: `patchbay explain` prints the rules and routing tables of `sbr`, with the first tables that the namespace does not use
func TestExplainSourceRouting(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	sbr := filepath.Join(t.TempDir(), "sbr.conflist")
	write(t, sbr, `{"cniVersion":"1.0.0","name":"sbr","plugins":[{"type":"patchbay","bridge":"br8","isDefaultGateway":true,"sbr":{},"ipam":{"type":"patchbay","ranges":[[{"subnet":"10.8.0.0/24"}]]}}]}`)
	l.ok(t, "up", "web")
	explained := func() string {
		return l.ok(t, "explain", "--conf", sbr, "--netns", "web", "--interface", "net1", "-o", "sh")
	}
	expect.Contains(t, explained(), "ip -n web rule add from 10.8.0.2 lookup 100\n", "ip -n web route add default via 10.8.0.1 dev net1 table 100\n", "ip -n web route del 10.8.0.0/24 dev net1 table main\n")
	l.Run(t, "ip", "-n", "web", "rule", "add", "from", "192.0.2.9", "lookup", "100")
	expect.Contains(t, explained(), "ip -n web rule add from 10.8.0.2 lookup 101\n")
	l.ok(t, "down", "web")
}
