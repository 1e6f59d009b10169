package nettest

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leftover is what a test does, and what the oracle reports of it.
type leftover struct {
	name string
	mode Mode
	do   func(t testing.TB, h *Node)
	want string // a line of the oracle begins so; none when empty
}

// kernelLeftovers are interfaces, addresses, routes and sysctls.
func kernelLeftovers() []leftover {
	return []leftover{
		{"nothing", CleanHost, func(testing.TB, *Node) {}, ""},
		{"link", Attachment, func(_ testing.TB, h *Node) { h.Veth("leak", h.Container("c").Netns, "lo1") }, "+ link leak: veth, master -"},
		{"link in a container", Attachment, func(t testing.TB, h *Node) { h.Container("c").Run(t, "ip", "link", "add", "br9", "type", "bridge") }, "+ container c: link br9"},
		{"address", Attachment, ip("addr", "add", "192.0.2.99/32", "dev", "lo"), "+ address lo 192.0.2.99/32"},
		{"IPv6 address", Attachment, ip("addr", "add", "2001:db8::99/128", "dev", "lo"), "+ address lo 2001:db8::99/128"},
		{"address gone", Attachment, ip("addr", "del", "203.0.113.1/24", "dev", "old"), "- address old 203.0.113.1/24"},
		{"route", Attachment, ip("route", "add", "198.51.100.0/24", "dev", "lo"), "+ route table 254 198.51.100.0/24"},
		{"route of another table", Attachment, ip("route", "add", "198.51.100.0/24", "dev", "lo", "table", "77"), "+ route table 77 198.51.100.0/24"},
		{"IPv6 blackhole", Attachment, ip("-6", "route", "add", "blackhole", "2001:db8:9::/64"), "+ route table 254 2001:db8:9::/64"},
		{"rule", Attachment, ip("rule", "add", "from", "192.0.2.1", "table", "77"), "+ rule family 2"},
		{"MTU", Attachment, ip("link", "set", "old", "mtu", "1400"), "~ link old mtu: 1500 -> 1400"},
		{"MAC of an adopted bridge", Attachment, ip("link", "set", "old", "address", "02:00:00:00:00:09"), "~ link old mac"},
		{"alias", Attachment, ip("link", "set", "lo", "alias", "x"), "~ link lo alias: - -> x"},
		{"promisc", Attachment, ip("link", "set", "lo", "promisc", "on"), "~ link lo promisc: false -> true"},
		{"sysctl", Attachment, sysctl("net/ipv4/conf/lo/route_localnet", "1"), "~ sysctl net/ipv4/conf/lo/route_localnet: 0 -> 1"},
		{"route_localnet of a bridge", Attachment, sysctl("net/ipv4/conf/old/route_localnet", "1"), ""},
		{"accept_ra", Attachment, sysctl("net/ipv6/conf/all/accept_ra", "2"), "~ sysctl net/ipv6/conf/all/accept_ra: 1 -> 2"},
		{"forwarding, clean host", CleanHost, sysctl("net/ipv4/ip_forward", "1"), "~ sysctl net/ipv4/ip_forward: 0 -> 1"},
		{"forwarding", Attachment, sysctl("net/ipv4/ip_forward", "1"), ""},
		{"127.0.0.0/8 by a bridge", Attachment, sysctl("net/ipv4/conf/old/route_localnet", "1"), ""},
		{"127.0.0.0/8 by a bridge, clean host", CleanHost, sysctl("net/ipv4/conf/old/route_localnet", "1"), "~ sysctl net/ipv4/conf/old/route_localnet: 0 -> 1"},
		{"IPv6 forwarding", Attachment, sysctl("net/ipv6/conf/all/forwarding", "1"), ""},
	}
}

// fileLeftovers are files, bridges, namespaces and processes.
func fileLeftovers() []leftover {
	return []leftover{
		{"file", Attachment, file("/run/patchbay/net/c@eth0.json"), "+ file /run/patchbay/net/c@eth0.json: -rw-r--r-- 0:0 1 bytes"},
		{"address file", Attachment, file("/var/lib/cni/networks/net/10.0.0.2"), "+ file /var/lib/cni/networks/net/10.0.0.2"},
		{"lock", Attachment, file("/run/patchbay/ipam/net/lock"), ""},
		{"cursor", Attachment, file("/run/patchbay/ipam/net/last_reserved_ip.0"), ""},
		{"isolated bridge", Attachment, file("/run/patchbay/.isolating/br0"), ""},
		{"sticky", Attachment, file("/var/lib/patchbay/sticky/net/x"), ""},
		{"lock, clean host", CleanHost, file("/run/patchbay/ipam/net/lock"), "+ file /run/patchbay/ipam/net/lock"},
		{"note of an isolated bridge", Attachment, file("/run/patchbay/.isolating/cni0"), ""},
		{"hosts of a namespace", Attachment, file("/etc/netns/web/hosts"), "+ file /etc/netns/web/hosts"},
		{"line of /etc/hosts", Attachment, command("sh", "-c", "echo 10.0.0.1 web >>/etc/hosts"), "~ file /etc/hosts"},
		{"bridge", Attachment, newBridge, ""},
		{"bridge, clean host", CleanHost, newBridge, "+ link br7: bridge"},
		{"gateway on an adopted bridge", Attachment, ip("addr", "add", "192.0.2.1/24", "dev", "old"), ""},
		{"fdb", Attachment, command("bridge", "fdb", "add", "02:00:00:00:00:77", "dev", "old", "self"), "+ fdb old 02:00:00:00:00:77"},
		{"mdb", Attachment, command("bridge", "mdb", "add", "dev", "old", "port", "port", "grp", "239.1.2.3", "permanent"), "+ mdb old port 239.1.2.3"},
		{"named namespace", Attachment, ip("netns", "add", "stray"), "+ netns stray"},
		{"pin of a container gone", Attachment, func(t testing.TB, h *Node) { h.Run(t, "ip", "netns", "del", h.Container("c").Name()) }, "- container c: pin /run/netns/c"},
		{"process", Attachment, process, "+ process "},
		{"process of a guest", Attachment, guest, ""},
		{"process beside a guest", Attachment, func(t testing.TB, h *Node) { guest(t, h); process(t, h) }, "+ process "},
		{"allowed", Attachment, func(t testing.TB, h *Node) {
			h.Allow("address lo ")
			ip("addr", "add", "192.0.2.99/32", "dev", "lo")(t, h)
		}, ""},
	}
}

// TestOracleNotices has a row for each kind of thing a test can leave behind.
func TestOracleNotices(t *testing.T) {
	t.Parallel()
	for _, row := range append(kernelLeftovers(), fileLeftovers()...) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) {
				h := Host(t)
				h.oracle.wait = 100 * time.Millisecond
				h.Bridge("old", "203.0.113.1/24")
				h.Veth("port", h.Netns, "peer")
				h.Plug("port", "old")
				h.Baseline()
				h.Oracle(row.mode)
				row.do(t, h)
			})
			checkSaid(t, r, row.want)
		})
	}
}

// checkSaid wants one complaint with a line that begins with want.
func checkSaid(t *testing.T, r *recorder, want string) {
	t.Helper()
	if want == "" {
		if r.Failed() || r.Skipped() {
			t.Errorf("the oracle complains: %s%s", r.said(), r.skip)
		}
		return
	}
	if !strings.Contains(r.said(), "\n"+want) || len(r.errors) != 1 {
		t.Errorf("the oracle says %q, want a line %q", r.said(), want)
	}
}

func command(name string, args ...string) func(testing.TB, *Node) {
	return func(t testing.TB, h *Node) { h.Run(t, name, args...) }
}

func ip(args ...string) func(testing.TB, *Node) { return command("ip", args...) }

func sysctl(name, value string) func(testing.TB, *Node) {
	return func(_ testing.TB, h *Node) { h.SetSysctl(name, value) }
}

func file(path string) func(testing.TB, *Node) {
	return command("sh", "-c", `mkdir -p "${0%/*}" && printf x > "$0"`, path)
}

func newBridge(t testing.TB, h *Node) {
	h.Run(t, "ip", "link", "add", "br7", "type", "bridge")
	h.Run(t, "ip", "link", "set", "br7", "up", "promisc", "on")
	h.Run(t, "ip", "addr", "add", "192.0.2.1/24", "dev", "br7")
}

// guest is a process namespace that the host disregards, with a shell and a child of it.
func guest(t testing.TB, h *Node) {
	c := h.Command("sh", "-c", "sleep 60; true")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.Disregard(c.Process.Pid)
}

func process(t testing.TB, h *Node) {
	if err := h.Command("sleep", "60").Start(); err != nil {
		t.Fatal(err)
	}
}

// TestOracleWaits: the veth of a namespace that dies goes a moment later.
func TestOracleWaits(t *testing.T) {
	t.Parallel()
	h := Host(t)
	h.Oracle(CleanHost)
	c := h.Container("c")
	h.Veth("veth0", c.Netns, "eth0")
	c.Delete()
	c.Delete()
}

// TestOracleKeepsQuiet: a failed test's left-overs are no second failure, and
// a benchmark may do without the oracle.
func TestOracleKeepsQuiet(t *testing.T) {
	t.Parallel()
	r := record(t, func(t testing.TB) {
		h := Host(t)
		newBridge(t, h)
		h.Oracle(CleanHost)
		t.Fatalf("first")
	})
	if r.said() != "first" {
		t.Errorf("said %q", r.said())
	}
	r = record(t, func(t testing.TB) {
		h := Host(t)
		h.NoOracle("benchmark")
		process(t, h)
	})
	checkSaid(t, r, "")
}

// TestWatch: files of a directory of the test's choice are compared too.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := record(t, func(t testing.TB) {
		Host(t, Watch(dir)).oracle.wait = 0
		if err := os.WriteFile(dir+"/10.0.0.2", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	checkSaid(t, r, "+ file "+dir+"/10.0.0.2: -rw------- 0:0 0 bytes")
}

func TestRulesetFacts(t *testing.T) {
	t.Parallel()
	before, err := rulesetFacts([]byte(`{"nftables":[{"metainfo":{"version":"1"}},
		{"table":{"family":"inet","name":"t","handle":1}},
		{"rule":{"handle":4,"expr":[{"counter":{"packets":1,"bytes":9}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	after, err := rulesetFacts([]byte(`{"nftables":[{"table":{"family":"inet","name":"t","handle":7}},
		{"rule":{"handle":5,"expr":[{"counter":{"packets":2,"bytes":18}}]}},
		{"rule":{"handle":6,"expr":[{"drop":null}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	lines := Diff(&Snapshot{facts: before}, &Snapshot{facts: after}, Attachment)
	if len(lines) != 1 || lines[0] != `+ nft {"rule":{"expr":[{"drop":null}]}}: 1` {
		t.Errorf("got %q", lines)
	}
}
