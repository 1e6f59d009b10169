package packages

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/etcd"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// Files of a network lan of patchbay-lan.
const (
	lanProgram  = "/usr/bin/patchbay-lan"
	lanConflist = "/etc/cni/net.d/lan.patchbay-lan.conflist"
	lanFile     = "/etc/patchbay/lan-lan.env"
)

// Scripts: a bridge with eth0 as its port; and what docs/lan.md says once for all hosts, and for each host.
const (
	lanBridge = `ip link add br0 type bridge; ip link set br0 up; ip address flush dev eth0; ip link set eth0 master br0
		ip address add 192.0.2.10/24 dev br0; ip route add default via 192.0.2.1; sysctl -q net.ipv4.ip_forward=1`
	lanInit  = "patchbay-lan init lan --subnet 192.0.2.0/24 --pool 192.0.2.128/25 --block 28 --gateway 192.0.2.1 --endpoints 192.0.2.1:2379"
	lanStart = `echo ETCDCTL_ENDPOINTS=192.0.2.1:2379 | install -D -m 0600 /dev/stdin ` + lanFile + `
		systemctl enable --now patchbay-lan@lan && patchbay-lan wait lan`
)

// TestLANPackage: a host of a LAN, with an etcd on another one, gets the packages of patchbay and patchbay-lan, and a network with a container. The package is
// upgraded, its removal is refused, and then both are removed and purged.
//
// Claim: On Debian 12 the .deb of patchbay-lan starts nothing; patchbay-lan@NETWORK then gives containers addresses of the blocks that an etcd has for the host
// Claim: An upgrade of the .deb of patchbay-lan restarts its instances: blocks, network and attachments are as before
// Claim: On Debian 12 removal of patchbay-lan is refused while an attachment uses it; removal ends the network, and purge leaves the administrator's file alone
func TestLANPackage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Shell(t, lanBridge)
	etcd.Start(t, s.router, "192.0.2.1")
	s.copyFile(t, built(t, "lan.deb"), "/root/lan.deb", "0644")
	s.copyFile(t, release.Older(t, built(t, "lan.deb"), older, lanProgram), "/root/lan-older.deb", "0644")
	files, kernel := s.files(t), s.kernel(t)

	s.dpkg(t, "-i /root/newer.deb /root/lan-older.deb")
	s.lanIsComplete(t)
	s.until(t, "etcd answers", func() bool { return s.Try(t, "sh", "-c", lanInit).Exit == 0 })
	s.Shell(t, lanStart)
	s.Shell(t, "patchbay up web --network lan")
	s.onLAN(t)
	s.lanUpgraded(t)
	s.lanRefused(t)

	s.Shell(t, "patchbay down web")
	s.dpkg(t, "-r patchbay-lan")
	expect.Equal(t, "what the removal leaves", s.Shell(t, "ls -d "+lanProgram+" "+lanConflist+" /run/patchbay/.lan 2>/dev/null || :"), "")
	expect.Equal(t, "instances that run after the removal", s.Shell(t, "systemctl list-units --state=active,activating,failed --plain --no-legend 'patchbay-lan@*'"), "")
	expect.Contains(t, s.dpkg(t, "-P patchbay-lan"), "patchbay-lan: kept "+lanFile)
	expect.Equal(t, "file of the administrator", s.Run(t, "cat", lanFile), "ETCDCTL_ENDPOINTS=192.0.2.1:2379\n")
	s.dpkg(t, "-P patchbay")
	s.Shell(t, "rm -r /etc/patchbay && rmdir /etc/cni/net.d /etc/cni") // files of the administrator, and the directory of runtimes that run created
	s.asBefore(t, files, kernel)
}

// lanIsComplete requires everything that docs/lan.md says of the package, and that nothing is enabled or runs.
func (s *site) lanIsComplete(t *testing.T) {
	t.Helper()
	s.hasPackage(t, "patchbay-lan", older)
	expect.Equal(t, "systemd-analyze verify", s.Shell(t, "systemd-analyze verify --man=no /usr/lib/systemd/system/patchbay-lan@.service 2>&1"), "")
	expect.Equal(t, "paths of the package that are not there", s.Shell(t, `dpkg -L patchbay-lan | while read -r path; do [ -e "$path" ] || echo "$path"; done`), "")
	expect.Equal(t, "enabled", s.Try(t, "systemctl", "is-enabled", "patchbay-lan@lan").Stdout, "disabled\n")
	expect.Equal(t, "instances", s.Shell(t, "systemctl list-units --all --plain --no-legend 'patchbay-lan@*'"), "")
	expect.Contains(t, s.Shell(t, "systemd-tmpfiles --cat-config"), "r! /etc/cni/net.d/*.patchbay-lan.conflist")
}

// lanBlocks returns the blocks that etcd has for the host, and requires that the network has no other.
func (s *site) lanBlocks(t *testing.T) []netip.Prefix {
	t.Helper()
	find := func(text, expression string) map[netip.Prefix]bool {
		all := map[netip.Prefix]bool{}
		for _, found := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
			p, err := netip.ParseAddr(found[1])
			if err != nil {
				t.Fatal(err)
			}
			all[netip.PrefixFrom(p, 28).Masked()] = true
		}
		return all
	}
	network := find(s.Run(t, "cat", lanConflist), `"rangeStart": *"([^"]*)"`)
	claimed := find(s.Run(t, "patchbay-lan", "ls", "lan", "-o", "json", "--endpoints", "192.0.2.1:2379"), `"(192\.0\.2\.[0-9]+)/28"`)
	if len(network) == 0 {
		t.Fatal("the network has no range")
	}
	for block := range network {
		if !claimed[block] {
			t.Errorf("the network has %s, which etcd does not have for this host: %v", block, claimed)
		}
	}
	return slices.SortedFunc(maps.Keys(claimed), netip.Prefix.Compare)
}

// onLAN requires that the container has an address of a block, and reaches the LAN and what is beyond the router. It returns the address.
func (s *site) onLAN(t *testing.T) string {
	t.Helper()
	text := strings.TrimSpace(s.Shell(t, `ip -n web -4 -o address show eth0 | sed 's|.*inet \([0-9.]*\)/24 .*|\1|'`))
	addr, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := s.lanBlocks(t); !slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Contains(addr) }) {
		t.Errorf("%s is in none of the blocks %v", addr, blocks)
	}
	s.until(t, "the container reaches the outside", func() bool {
		return s.Try(t, "ip", "netns", "exec", "web", "ping", "-c", "1", "-W", "2", beyond4).Exit == 0
	})
	return text
}

// lanUpgraded upgrades the package, and requires the new program, and blocks, network and attachment of before.
func (s *site) lanUpgraded(t *testing.T) {
	t.Helper()
	pid := func() string {
		return strings.TrimSpace(s.Run(t, "systemctl", "show", "-P", "MainPID", "patchbay-lan@lan"))
	}
	was, blocks, addr := pid(), s.lanBlocks(t), s.onLAN(t)
	s.dpkg(t, "-i /root/lan.deb")
	s.hasPackage(t, "patchbay-lan", newer)
	s.active(t, "patchbay-lan@lan")
	if pid() == was {
		t.Error("patchbay-lan@lan was not restarted")
	}
	expect.Equal(t, "program of the instance", s.Shell(t, "readlink /proc/"+pid()+"/exe"), lanProgram+"\n")
	s.Shell(t, "patchbay-lan wait lan")
	s.lanKeeps(t, blocks)
	expect.Equal(t, "address after the upgrade", s.onLAN(t), addr)
	expect.Equal(t, "attachments", s.Run(t, "patchbay", "ls", "-o", "name"), "web\n")
	expect.Contains(t, s.Run(t, "patchbay", "doctor"), "no problems found; examined 1 attachment of 1 network")
}

// lanKeeps requires that the host still has blocks; it may have one more, because fewer than 16 addresses are free as soon as one is used.
func (s *site) lanKeeps(t *testing.T, blocks []netip.Prefix) {
	t.Helper()
	now := s.lanBlocks(t)
	for _, b := range blocks {
		if !slices.Contains(now, b) {
			t.Errorf("the host lost block %s: %v, now %v", b, blocks, now)
		}
	}
}

// lanRefused requires that the package is not removed, and that its network stays.
func (s *site) lanRefused(t *testing.T) {
	t.Helper()
	blocks := s.lanBlocks(t)
	r := s.Try(t, "sh", "-c", "dpkg -r patchbay-lan 2>&1")
	t.Logf("dpkg -r patchbay-lan: %s", r.Stdout)
	if r.Exit == 0 {
		t.Error("removal is not refused")
	}
	expect.Contains(t, r.Stdout, "1 in all, such as lan/web;", "patchbay down", "PATCHBAY_FORCE_REMOVE=1")
	s.hasPackage(t, "patchbay-lan", newer)
	s.active(t, "patchbay-lan@lan")
	s.lanKeeps(t, blocks)
}
