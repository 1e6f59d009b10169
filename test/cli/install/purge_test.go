package install

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// network is one that leaves everything that Patchbay keeps: sticky memory, both tables.
func network() cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Masquerade(), cni.Conf{"ingressPolicy": "isolated"},
		cni.IPAM(cni.Conf{"ranges": cni.Ranges("10.1.2.0/24"), "sticky": true}))
}

// TestPurge: while an attachment exists --purge is refused, names it and changes nothing. After its DEL it removes all that Patchbay
// keeps; bridges of others stay.
//
// Claim: `uninstall --purge` removes what Patchbay keeps on the host, and is refused, naming them, while attachments exist
func TestPurge(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Bridge("br0")
	n.Baseline()
	n.Oracle(nettest.CleanHost)
	n.ok(t, "install")
	web := n.Container("web")
	cni.Add(t, n.Node, web, network())
	n.refused(t, []string{"attachments exist: net/" + web.ID() + "/eth0; delete their containers, or detach them"}, "uninstall", "--purge")
	n.installed(t, "patchbay")
	cni.Del(t, n.Node, web, network())

	dry := n.ok(t, "uninstall", "--purge", "--dry-run")
	done := n.ok(t, "uninstall", "--purge")
	expect.Equal(t, "dry run", strings.ReplaceAll(strings.Join(dry, "\n"), "would delete ", "deleted "), strings.Join(done, "\n"))
	expect.Contains(t, strings.Join(done, "\n")+"\n", "deleted table inet patchbay of nftables\n", "deleted table bridge patchbay of nftables\n", "deleted bridge cni0\n",
		"deleted /var/lib/patchbay\n", "deleted /run/patchbay\n")
	expect.Equal(t, "again", n.ok(t, "uninstall", "--purge"), []string{"nothing is installed in /opt/cni/bin"})
	n.SetSysctl("net/ipv4/ip_forward", "0")
}

// TestPurgeLeaves: what commands made for the administrator stays, and is named with the command that deletes it.
//
// Claim: `uninstall --purge` keeps files of `network create` and bridges of `bridge create`, and names them
func TestPurgeLeaves(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Veth("eth0", n.Container("router").Netns, "lan")
	n.Settle("eth0")
	n.Baseline()
	dir := t.TempDir()
	run := func(args ...string) []string {
		lines := n.Run(t, "env", append([]string{"NETCONFPATH=" + dir, n.program}, args...)...)
		return strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
	}
	run("network", "create", "lab")
	run("bridge", "create", "br1", "--uplink", "eth0", "--yes")
	path := dir + "/90-lab.conflist"
	want := []string{
		"left " + path + ", which network create wrote; delete it: rm " + path,
		"left bridge br1, which bridge create made; delete it: patchbay bridge delete br1",
	}
	for _, more := range []string{"--dry-run", "--dry-run=false"} {
		done := run("uninstall", "--bin-dir", n.inside(n.bin), "--purge", more)
		expect.Equal(t, "left", done[max(len(done)-len(want), 0):], want)
	}
	run("network", "rm", "lab")
	run("bridge", "delete", "br1")
}

// TestPurgeNetnsFiles: the directory of hosts files, which up creates, goes if nothing is in it. What another program put there stays.
//
// Claim: `uninstall --purge` deletes /etc/netns if it is empty, and nothing in it that Patchbay did not write
func TestPurgeNetnsFiles(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Run(t, n.program, "up", "web")
	n.Run(t, n.program, "down", "web")
	n.Run(t, "mkdir", "/etc/netns/vpn")
	for _, more := range []string{"--dry-run", "--dry-run=false"} {
		if done := n.ok(t, "uninstall", "--purge", more); slices.ContainsFunc(done, func(line string) bool { return strings.Contains(line, "/etc/netns") }) {
			t.Errorf("%s: a directory that is not empty: %q", more, done)
		}
	}
	n.Run(t, "rmdir", "/etc/netns/vpn") // it was kept
	expect.Contains(t, strings.Join(n.ok(t, "uninstall", "--purge", "--dry-run"), "\n"), "would delete /etc/netns")
	expect.Contains(t, strings.Join(n.ok(t, "uninstall", "--purge"), "\n"), "deleted /etc/netns")
	n.Run(t, "sh", "-c", "mkdir /run/elsewhere && ln -s /run/elsewhere /etc/netns && "+n.program+" uninstall --purge && test -L /etc/netns && test -d /run/elsewhere && rm /etc/netns && rmdir /run/elsewhere")
}

// TestPurgeStale: stale attachments are removed.
//
// Claim: `uninstall --purge` removes what Patchbay keeps on the host, and is refused, naming them, while attachments exist
func TestPurgeStale(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.ok(t, "install")
	web := n.Container("web")
	cni.Add(t, n.Node, web, network())
	web.Delete()
	n.Run(t, "sh", "-c", "while ip -o link show type veth | grep -q .; do :; done")
	lines := strings.Join(n.ok(t, "uninstall", "--purge"), "\n")
	expect.Contains(t, lines, "removed net/"+web.ID()+"/eth0 with 10.1.2.2, whose namespace /run/netns/web", "deleted /run/patchbay")
}

// TestUnused: while an attachment exists uninstall with --unused is refused, names it and changes nothing. After its DEL it removes what
// uninstall alone does: records of the host stay.
//
// Claim: `uninstall --unused` is refused, naming them, while attachments exist, and then removes what `uninstall` does
func TestUnused(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.ok(t, "install")
	web := n.Container("web")
	cni.Add(t, n.Node, web, network())
	n.refused(t, []string{"attachments exist: net/" + web.ID() + "/eth0; delete their containers, or detach them"}, "uninstall", "--unused")
	n.installed(t, "patchbay")
	cni.Del(t, n.Node, web, network())
	expect.Equal(t, "uninstall", n.ok(t, "uninstall", "--unused")[0], "deleted /opt/cni/bin/patchbay")
	n.Run(t, "test", "-d", "/run/patchbay")
	n.Run(t, "test", "-d", "/var/lib/patchbay")
}

// TestKeepMemory: only sticky memory stays after --purge --keep-memory.
//
// Claim: `uninstall --purge --keep-memory` removes all that `--purge` does but sticky memory
func TestKeepMemory(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	web := n.Container("web")
	cni.Add(t, n.Node, web, network())
	cni.Del(t, n.Node, web, network())
	done := strings.Join(n.ok(t, "uninstall", "--purge", "--keep-memory"), "\n") + "\n"
	expect.Contains(t, done, "deleted table inet patchbay of nftables\n", "deleted /run/patchbay\n")
	if strings.Contains(done, "/var/lib/patchbay") {
		t.Errorf("sticky memory was not kept:\n%s", done)
	}
	expect.Contains(t, n.Run(t, "ls", "/var/lib/patchbay/sticky/net"), "ip-10.1.2.2")
	n.refused(t, []string{"--keep-memory needs --purge"}, "uninstall", "--keep-memory")
}
