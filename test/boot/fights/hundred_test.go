package fights

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

//go:embed testdata/hundred.sh
var hundred []byte

// TestHundred: 100 ADDs at once, while udev handles the interfaces and has a rule that renames each veth, alone and beside systemd-networkd and
// NetworkManager.
//
// Claim: 100 ADDs at once under systemd-udevd with MACAddressPolicy=persistent and a rule that renames veths, also beside systemd-networkd or
// NetworkManager: all succeed, with the names and MAC addresses of Patchbay and different addresses, CHECK passes, and DEL leaves nothing
func TestHundred(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{"udev": "", "systemd-networkd": "systemctl start systemd-networkd", "NetworkManager": noProfiles} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Write(t, "/root/hundred.sh", "0755", hundred)
			s.copyFile(t, filepath.Join(conf, "modules-load.d/patchbay.conf"), "/etc/modules-load.d/patchbay.conf", "0644")
			s.renamesVeths(t)
			s.Shell(t, "systemctl restart systemd-modules-load") // as at boot; otherwise one ADD loads them while all others wait
			s.shell(t, start)
			before := s.Shell(t, leftovers)
			s.hundred(t, "ADD")
			s.asMade(t)
			s.hundred(t, "CHECK")
			s.hundred(t, "DEL")
			s.Shell(t, "udevadm settle")
			expect.Equal(t, "after all DELs", s.Shell(t, leftovers), before)
		})
	}
}

// noProfiles starts NetworkManager, which makes no DHCP profile of its own for each new Ethernet interface, as on servers.
const noProfiles = `mkdir -p /etc/NetworkManager/conf.d; printf '[main]\nno-auto-default=*\n' >/etc/NetworkManager/conf.d/10-auto.conf
	systemctl start NetworkManager`

// renamesVeths makes udev rename each veth when it appears, and requires that it does so with one of another program. It also creates the
// network namespaces.
func (s *site) renamesVeths(t *testing.T) {
	t.Helper()
	s.Write(t, "/etc/udev/rules.d/81-rename.rules", "0644", []byte(`SUBSYSTEM=="net", ACTION=="add", ENV{ID_NET_DRIVER}=="veth", NAME="other$attr{ifindex}"`+"\n"))
	s.Shell(t, `systemctl is-active -q systemd-udevd; grep -q MACAddressPolicy=persistent /usr/lib/systemd/network/99-default.link; udevadm control --reload
		for i in $(seq 100); do echo netns add h$i; done | ip -batch -
		ip link add veth1 type veth peer name veth2 netns h1
		udevadm settle
		ip -o link show type veth | grep -q ': other[0-9]'
		ip -n h1 link delete veth2`)
}

// leftovers prints what a DEL removes: veths, their ends in the namespaces, records, addresses, and elements of nftables.
const leftovers = `ip -o link show type veth
	for i in $(seq 100); do ip -n h$i -o link | grep -v ': lo:' || true; done
	find /run/patchbay /var/lib/cni -type f -name '*.json' -o -name '10.88.*' 2>/dev/null || true
	nft list ruleset 2>/dev/null | grep -c patchbay: || true`

// TestModules: what the kernel loads itself while a container is attached is what systemd-modules-load.service loads at boot.
//
// Claim: `modules-load.d/patchbay.conf` names each kernel module that the interfaces and rules of a container with masquerade and published ports need
func TestModules(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.copyFile(t, filepath.Join(conf, "modules-load.d/patchbay.conf"), "/etc/modules-load.d/patchbay.conf", "0644")
	const loaded = "lsmod | cut -d ' ' -f 1 | sort"
	expect.Equal(t, "nf_tables before", strings.Contains(s.Shell(t, loaded), "nf_tables"), false)
	s.Shell(t, "systemctl restart systemd-modules-load")
	before := s.Shell(t, loaded)
	expect.Contains(t, before, "bridge\n", "nf_tables\n")
	s.attach(t)
	expect.Equal(t, "modules", s.Shell(t, loaded), before)
}

// hundred calls a verb for all, at once, and requires that each succeeds without a warning.
func (s *site) hundred(t *testing.T, verb string) {
	t.Helper()
	failed := s.Shell(t, "/root/hundred.sh "+verb+`
		cd /run/hundred
		for i in $(seq 100); do
			read -r exit time <`+verb+`.$i.end
			if [ "$exit" != 0 ] || [ -s `+verb+`.$i.err ]; then echo "c$i: exit $exit after $time ms: $(cat `+verb+`.$i.out `+verb+`.$i.err)"; fi
		done`)
	if failed != "" {
		t.Errorf("%s: %d of 100 failed:\n%s\n%s", verb, strings.Count(failed, "exit "), failed, s.Try(t, "dmesg").Stdout)
	}
	t.Logf("%s: all ended within %s", verb, strings.TrimSpace(s.Shell(t, "sort -n -k 2 /run/hundred/"+verb+".*.end | tail -n 1 | cut -d ' ' -f 2"))+" ms")
}

// made is a result of ADD, as far as it is compared.
type made struct {
	Interfaces []struct{ Name, Mac string }
	IPs        []struct{ Address string }
}

// asMade compares the interfaces of the kernel with the results, and requires that all addresses differ.
func (s *site) asMade(t *testing.T) {
	t.Helper()
	s.Shell(t, "udevadm settle")
	host := s.Shell(t, addresses)
	inside := s.Shell(t, `for i in $(seq 100); do ip -n h$i -o link show eth0; ip -n h$i -4 -o address show eth0; done`)
	owners := map[string]bool{}
	for results := json.NewDecoder(strings.NewReader(s.Shell(t, "cd /run/hundred; for i in $(seq 100); do cat ADD.$i.out; done"))); ; {
		var one made
		if err := results.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil || len(one.Interfaces) != 3 || len(one.IPs) != 1 {
			t.Fatalf("result %+v: %v", one, err)
		}
		expect.Contains(t, host, one.Interfaces[1].Name+" "+one.Interfaces[1].Mac)
		expect.Contains(t, inside, "link/ether "+one.Interfaces[2].Mac+" ", "inet "+one.IPs[0].Address+" ")
		owners[one.IPs[0].Address] = true
	}
	expect.Equal(t, "different addresses", len(owners), 100)
}
