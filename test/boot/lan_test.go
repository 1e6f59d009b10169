package boot

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/etcd"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	lanConflist = "/etc/cni/net.d/lan.patchbay-lan.conflist"

	// bridgeAtBoot makes br0 with eth0 as its port, at once and at each boot, as the files of `patchbay bridge create --persist` do.
	bridgeAtBoot = `printf '[NetDev]\nName=br0\nKind=bridge\n' >/etc/systemd/network/05-br0.netdev
		printf '[Match]\nName=eth0\n[Network]\nBridge=br0\n' >/etc/systemd/network/06-eth0.network
		printf '[Match]\nName=br0\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\nIPv6AcceptRA=no\n' >/etc/systemd/network/07-br0.network
		systemctl enable --now systemd-networkd`

	// installLAN is what docs/lan.md says for each host, from source.
	installLAN = `sed 's|/usr/bin/|/usr/local/bin/|' /root/conf/patchbay-lan@.service | install -m 0644 /dev/stdin /etc/systemd/system/patchbay-lan@.service
		install -D -m 0644 /root/conf/patchbay-lan.tmpfiles.conf /etc/tmpfiles.d/patchbay-lan.conf
		echo ETCDCTL_ENDPOINTS=192.0.2.1:2379 | install -D -m 0600 /dev/stdin /etc/patchbay/lan-lan.env
		systemctl daemon-reload && systemctl enable --now patchbay-lan@lan
		patchbay-lan wait lan`
)

// TestLANUnit: patchbay-lan@.service as docs/lan.md installs it from source, with etcd on another host of the LAN.
//
// Claim: patchbay-lan@.service starts before containerd, keeps the network of a LAN over a SIGKILL, and after a reboot there is no network before etcd
// has confirmed the addresses
func TestLANUnit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Shell(t, bridgeAtBoot)
	server := etcd.Start(t, s.router, router4)
	s.installLAN(t)
	expect.Equal(t, "systemd-analyze verify", s.Shell(t, "systemd-analyze verify --man=no /etc/systemd/system/patchbay-lan@lan.service 2>&1"), "")
	expect.Contains(t, s.Run(t, "systemctl", "show", "-P", "Before", "patchbay-lan@lan"), "containerd.service", "lxc.service")
	block := s.blocks(t)[0] // there may be a second one: fewer than 16 addresses are free as soon as one is used
	s.inBlock(t)

	s.Shell(t, "systemctl kill -s KILL patchbay-lan@lan; until ! [ -e "+lanConflist+" ]; do sleep 0.1; done")
	s.Shell(t, "patchbay-lan wait lan")
	expect.Equal(t, "the block after a SIGKILL", slices.Contains(s.blocks(t), block), true)

	server.Stop()
	s.Reboot(t)
	s.until(t, "patchbay-lan waits for etcd", func() bool {
		return strings.Contains(s.Shell(t, "cat /run/patchbay/.lan/lan.json 2>/dev/null || :"), `"waiting"`)
	})
	expect.Equal(t, "network before etcd answers", s.Shell(t, "ls "+lanConflist+" 2>/dev/null || :"), "")
	expect.Contains(t, s.Shell(t, "journalctl -b -o cat -u patchbay-lan@lan"), "etcd")
	r := s.Try(t, "patchbay", "up", "web", "--network", "lan")
	expect.Equal(t, "exit of up without the network", r.Exit, 1)
	expect.Contains(t, r.Stderr, "lan")

	server.Resume()
	s.Shell(t, "patchbay-lan wait lan")
	expect.Equal(t, "the block after the reboot", slices.Contains(s.blocks(t), block), true)
	s.inBlock(t)

	s.Shell(t, "systemctl disable --now patchbay-lan@lan")
	expect.Equal(t, "network after the end", s.Shell(t, "ls "+lanConflist+" 2>/dev/null || :"), "")
	s.Shell(t, "patchbay-lan release lan --endpoints 192.0.2.1:2379")
	expect.Contains(t, s.Shell(t, "patchbay-lan ls lan --endpoints 192.0.2.1:2379"), "8 free")
}

// installLAN writes the configuration of the LAN to etcd, and starts the unit.
func (s *site) installLAN(t *testing.T) {
	t.Helper()
	for from, to := range map[string]string{
		filepath.Join(filepath.Dir(nettest.Patchbay(t)), "patchbay-lan"): "/usr/local/bin/patchbay-lan",
		"../../conf/patchbay-lan/patchbay-lan@.service":                  "/root/conf/patchbay-lan@.service",
		"../../conf/patchbay-lan/patchbay-lan.tmpfiles.conf":             "/root/conf/patchbay-lan.tmpfiles.conf",
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(t, to, "0755", content)
	}
	s.until(t, "etcd answers", func() bool {
		r := s.Try(t, "patchbay-lan", "init", "lan", "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/25", "--block", "28", "--gateway", "192.0.2.1", "--endpoints", "192.0.2.1:2379")
		return r.Exit == 0
	})
	s.Shell(t, installLAN)
}

// blocks returns the first address of each range of the network.
func (s *site) blocks(t *testing.T) (first []string) {
	t.Helper()
	for _, found := range regexp.MustCompile(`"rangeStart": *"([^"]*)"`).FindAllStringSubmatch(s.Run(t, "cat", lanConflist), -1) {
		first = append(first, found[1])
	}
	if len(first) == 0 {
		t.Fatal("the network has no range")
	}
	return first
}

// inBlock attaches a container, which reaches the router with an address of the pool, and detaches it.
func (s *site) inBlock(t *testing.T) {
	t.Helper()
	s.Shell(t, "patchbay up web --network lan")
	expect.Contains(t, s.Shell(t, "ip -n web -4 -o address show eth0"), "inet 192.0.2.")
	s.until(t, "the container reaches the LAN", func() bool {
		return s.Try(t, "ip", "netns", "exec", "web", "ping", "-c", "1", "-W", "2", router4).Exit == 0
	})
	s.Shell(t, "patchbay down web")
}
