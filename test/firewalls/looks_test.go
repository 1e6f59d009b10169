package firewalls

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const udpPort = 5300

// fault is a fault of a host, what doctor reports, and which connections fail meanwhile.
type fault struct {
	about, says, seen, fix string // parts of the report; fix is part of one line
	before                 func(t *testing.T, s *site)
	breaks                 func(t *testing.T, s *site)
	manualFix              func(t *testing.T, s *site, fix []string) // does what the comment lines of the fix say
	closed4, closed6       []string
	closed                 func(t *testing.T, s *site, is bool) // checks that something else fails (is), or works
}

func sh(lines string) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		s.Run(t, "sh", "-ec", lines)
	}
}

func faults() map[string]fault {
	all := routeFaults()
	maps.Copy(all, mtuFaults())
	maps.Copy(all, bridgeFaults())
	return all
}

// routeFaults returns faults of forwarding, rules, ports and routes.
func routeFaults() map[string]fault {
	routed := []string{published, leaving, across, shut}
	return map[string]fault{
		"IPv4 is not forwarded": {
			about: "forwarding", says: "IPv4 forwarding is disabled: containers on bridge cni0 cannot reach other networks", seen: "net.ipv4.ip_forward is 0",
			fix: "sysctl -w net.ipv4.ip_forward=1", breaks: sh("sysctl -qw net.ipv4.ip_forward=0"), closed4: routed,
		},
		"IPv6 is not forwarded": {
			about: "forwarding", says: "IPv6 forwarding is disabled: ", seen: "net.ipv6.conf.all.forwarding is 0",
			fix: "sysctl -w net.ipv6.conf.all.forwarding=1", breaks: sh("sysctl -qw net.ipv6.conf.all.forwarding=0"), closed6: routed,
		},
		"ruleset flushed": {
			about: "rules", says: "(and 1 more) are missing: masquerade, published ports or isolation do not work", seen: "(and ",
			fix: "patchbay reload", breaks: sh("nft flush ruleset"), closed4: []string{published, across}, closed6: []string{published, across},
		},
		"port of a TCP socket": portOfSocket("tcp"),
		"port of a UDP socket": portOfSocket("udp"),
		"two interfaces in one subnet": {
			about: "routes", says: "the host's route to 10.88.0.3 (db-7bdc25d16 of network net) does not use bridge cni0", seen: "dev eth1; rp_filter of cni0 is 1, which drops what the container sends",
			fix:    "# two interfaces are in the same subnet: ip route show match 10.88.0.3",
			before: sh(`ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up; ip address add 10.88.7.7/16 dev eth1`),
			breaks: sh("sysctl -qw net.ipv4.conf.cni0.rp_filter=1"), closed4: routed,
			manualFix: func(t *testing.T, s *site, fix []string) {
				for _, line := range fix {
					if command, is := strings.CutPrefix(line, "# if the host does not need it: "); is {
						s.shell(t, command)
					}
				}
				s.Run(t, "ip", "link", "del", "eth1")
			},
		},
		"gateway address lost": {
			about: "routes", says: "the host's route to 10.88.0.3 (db-7bdc25d16 of network net) does not use bridge cni0", seen: "ip route get 10.88.0.3: dev eth0",
			fix: "patchbay reload", breaks: sh("ip address del 10.88.0.1/16 dev cni0"), closed4: routed,
		},
	}
}

// mtuFaults returns faults of br_netfilter and MTUs.
func mtuFaults() map[string]fault {
	webLink := `link=$(ip -o link | sed -n 's|^[0-9]*: \(veth[^@]*\)@.*alias .*/web-.*|\1|p')`
	return map[string]fault{
		"br_netfilter after the ADD": {
			about: "br_netfilter", says: "cannot reach its own published ports: br_netfilter was enabled after it was attached", seen: "bridge-nf-call-iptables or -ip6tables is 1, hairpin mode of veth",
			fix: "bridge link set dev veth", breaks: func(_ *testing.T, s *site) { s.bridgeNetfilter("1") },
			manualFix: func(*testing.T, *site, []string) {},
			closed: func(t *testing.T, s *site, is bool) {
				for _, addr := range hostAddrs {
					if err := dial(s.web.Netns, addr, hostPort, patience(is)); (err == nil) == is {
						t.Errorf("web reaches its own port by %s: %v, want it closed: %v", addr, err, is)
					}
				}
			},
		},
		"MTU of the bridge lowered": {
			about: "mtu", says: "the MTU of bridge cni0 is smaller than that of its containers: large transfers to them hang where ICMP is filtered",
			seen: "MTU of cni0 is 1400, of containers 1500", fix: "ip link set cni0 mtu 1500", breaks: sh("ip link set cni0 mtu 1400"),
			closed: func(t *testing.T, s *site, is bool) {
				s.outside.Run(t, "ip", "route", "flush", "cache")
				s.fullLength(t, s.outside, "do", is)
			},
		},
		"MTU of a port lowered": {
			about: "mtu", says: "bridge cni0 silently drops full-size frames that containers send to veth", seen: " is 1400, of containers 1500", fix: `# set "mtu": 1400 in the network's configuration, and attach the containers again`,
			breaks: sh(webLink + "; ip link set $link mtu 1400"),
			manualFix: func(t *testing.T, s *site, fix []string) {
				_, command, _ := strings.Cut(fix[1], ": ")
				s.shell(t, command)
			},
			closed: func(t *testing.T, s *site, is bool) { s.fullLength(t, s.db, "dont", is) },
		},
		"MTU of the uplink": {
			about: "mtu", says: "the MTU of containers on bridge cni0 exceeds that of eth0", seen: "MTU of eth0 is 1400, of containers 1500",
			fix: `# set "mtu": 1400 in the network's configuration`, breaks: sh("ip link set eth0 mtu 1400"),
			manualFix: func(t *testing.T, s *site, _ []string) {
				s.leave(t, network())
				s.populateWithUDP(t, network(cni.Conf{"mtu": 1400}))
				s.Run(t, "ip", "link", "set", "cni0", "mtu", "1400") // the bridge stays, and the leak oracle expects this MTU
			},
		},
	}
}

// bridgeFaults returns faults of bridges and their ports.
func bridgeFaults() map[string]fault {
	webLink := `link=$(ip -o link | sed -n 's|^[0-9]*: \(veth[^@]*\)@.*alias .*/web-.*|\1|p')`
	return map[string]fault{
		"bridge gone": {
			about: "host interfaces", says: "bridge cni0 does not exist: its containers (2) are unreachable", seen: "no interface has that name",
			fix: "patchbay reload", breaks: sh("ip link del cni0"), closed4: everything(), closed6: everything(),
		},
		"bridge down": {
			about: "host interfaces", says: "bridge cni0 is down: its containers (2) are unreachable", seen: "administratively down",
			fix: "ip link set cni0 up", breaks: sh("ip link set cni0 down"), closed4: everything(), closed6: everything(),
		},
		"host interface without bridge": {
			about: "host interfaces", says: "is unreachable: its host interface is no active port of bridge cni0", seen: "is no port of a bridge",
			fix: "patchbay reload", breaks: sh(webLink + "; ip link set $link nomaster"), closed4: everything(), closed6: everything(),
		},
		"host interface in another bridge": {
			about: "host interfaces", says: "is unreachable: its host interface is no active port of bridge cni0", seen: "is a port of another",
			fix: " master cni0", before: sh("ip link add other0 type bridge; ip link set other0 up"), breaks: sh(webLink + "; ip link set $link master other0"),
			closed4: everything(), closed6: everything(),
			manualFix: func(t *testing.T, s *site, _ []string) { s.Run(t, "ip", "link", "del", "other0") },
		},
		"host interface down": {
			about: "host interfaces", says: "is unreachable: its host interface is no active port of bridge cni0", seen: "is down",
			fix: " up", breaks: sh(webLink + "; ip link set $link down"), closed4: everything(), closed6: everything(),
		},
	}
}

// portOfSocket returns the fault of a published port that a socket of the host listens on; network is tcp or udp.
func portOfSocket(network string) fault {
	var leave func()
	return fault{
		about: "ports", says: "is in use twice: web-4b5e57f6 of network net publishes it", seen: "a socket of the host listens on ", fix: "ss -lnp 'sport = ",
		breaks:    func(t *testing.T, s *site) { t.Helper(); leave = s.occupy(t, network) },
		manualFix: func(*testing.T, *site, []string) { leave() },
	}
}

// fullLength sends 1500 bytes to web; cut is the argument of ping -M.
func (s *site) fullLength(t *testing.T, from *nettest.Container, cut string, lost bool) {
	t.Helper()
	ping := from.Command("ping", "-n", "-c", "1", "-W", "2", "-M", cut, "-s", "1472", s.address(t, s.web, 0))
	if out, err := ping.CombinedOutput(); (err != nil) != lost {
		t.Errorf("1500 bytes from %s to web: %v, want them lost: %v\n%s", from.Name(), err, lost, out)
	}
}

func patience(closed bool) time.Duration {
	if closed {
		return 700 * time.Millisecond
	}
	return patient
}

// TestDoctorLooks: doctor finds each single fault and nothing else, and the commands that it prints fix it.
//
// Claim: `patchbay doctor` finds nothing on a correct host, and each single fault on others; the command it prints fixes it: forwarding,
// lost rules, ports of the host's sockets, routes, br_netfilter, MTUs, bridges and host interfaces
func TestDoctorLooks(t *testing.T) { runFaults(t, faults()) }

// runFaults tests each fault by itself: its symptoms, the report, and the fix.
func runFaults(t *testing.T, all map[string]fault) {
	t.Helper()
	for name, b := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			if b.before != nil {
				b.before(t, s)
			}
			s.populateWithUDP(t, network())
			if b.before == nil {
				s.healthy(t, "before")
				s.connects(t, "before", 0, everything()...)
				s.connects(t, "before", 1, everything()...)
			}
			b.breaks(t, s)
			s.connects(t, "broken", 0, everything(b.closed4...)...)
			s.connects(t, "broken", 1, everything(b.closed6...)...)
			if b.closed != nil {
				b.closed(t, s, true)
			}
			found := s.doctor(t)
			if len(found) != 1 || found[0].About != b.about {
				t.Fatalf("doctor finds %+v, want one finding about %s", found, b.about)
			}
			expect.Contains(t, found[0].Says, b.says)
			expect.Contains(t, found[0].Seen, b.seen)
			expect.Contains(t, strings.Join(found[0].Fix, "\n"), b.fix)
			for _, line := range found[0].Fix {
				s.shell(t, line)
			}
			if b.manualFix != nil {
				b.manualFix(t, s, found[0].Fix)
			}
			s.connects(t, "fixed", 0, everything()...)
			s.connects(t, "fixed", 1, everything()...)
			if b.closed != nil {
				b.closed(t, s, false)
			}
			s.healthy(t, "fixed")
			s.check(t, s.db, network()).OK(t)
			s.leave(t, network())
			s.SetSysctl("net/ipv4/conf/all/rp_filter", "0")
			s.bridgeNetfilter("0")
			s.Run(t, "ip", "link", "set", "eth0", "mtu", "1500")
		})
	}
}

func (s *site) populateWithUDP(t testing.TB, config cni.Conf) {
	t.Helper()
	s.add(t, s.web, config.With(cni.Ports(webPort(), cni.Conf{"hostPort": udpPort, "containerPort": 53, "protocol": "udp"})))
	s.add(t, s.db, config)
}

// shell runs a line that doctor prints, with this patchbay in PATH.
func (s *site) shell(t testing.TB, line string) {
	t.Helper()
	cmd := s.Command("sh", "-ec", line)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(nettest.Patchbay(t))+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// occupy listens on the published TCP or UDP port in the host's namespace.
func (s *site) occupy(t testing.TB, network string) (leave func()) {
	t.Helper()
	var err error
	s.Do(func() {
		if network == "tcp" {
			var l net.Listener
			l, err = net.Listen("tcp", fmt.Sprint(":", hostPort))
			leave = func() { _ = l.Close() }
			return
		}
		var l net.PacketConn
		l, err = net.ListenPacket("udp4", fmt.Sprint(":", udpPort))
		leave = func() { _ = l.Close() }
	})
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// TestDoctorCountsPorts: doctor warns about a bridge that is nearly full.
//
// Claim: `patchbay doctor` finds nothing on a correct host, and each single fault on others; the command it prints fixes it: forwarding,
// lost rules, ports of the host's sockets, routes, br_netfilter, MTUs, bridges and host interfaces
func TestDoctorCountsPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.NoOracle("a thousand links are deleted with their host")
	s.populateWithUDP(t, network())
	batch := s.Command("ip", "-batch", "-")
	var lines strings.Builder
	for i := range 490 {
		fmt.Fprintf(&lines, "link add a%[1]d master cni0 type veth peer name b%[1]d\nlink set b%[1]d master cni0\n", i)
	}
	batch.Stdin = strings.NewReader(lines.String())
	if out, err := batch.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := s.doctor(t)
	if len(found) != 1 || found[0].About != "bridge capacity" {
		t.Fatalf("doctor finds %+v", found)
	}
	expect.Equal(t, "says", found[0].Says, "bridge cni0 is nearly full: ADD fails after 41 more containers")
	expect.Equal(t, "seen", found[0].Seen, "982 of the 1023 ports that Linux allows are in use")
}

// TestDoctorFields: help documents the fields of the JSON report, and doctor rejects an unknown format.
//
// Claim: `patchbay doctor` finds nothing on a correct host, and each single fault on others; the command it prints fixes it: forwarding,
// lost rules, ports of the host's sockets, routes, br_netfilter, MTUs, bridges and host interfaces
func TestDoctorFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.healthy(t, "an empty host")
	_, out, _ := s.patchbay(t, "doctor", "-o", "json")
	var report map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	_, help, _ := s.patchbay(t, "help", "doctor")
	for field := range report {
		expect.Contains(t, help, field)
	}
	expect.Equal(t, "fields", len(report), 7)
	expect.Equal(t, "findings", string(report["findings"]), "[]")
	exit, _, errs := s.patchbay(t, "doctor", "-o", "yaml")
	expect.Equal(t, "exit of an unknown format", exit, 1)
	expect.Contains(t, errs, `--output: unknown format "yaml"`)
}
