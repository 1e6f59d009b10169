package firewalls

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const udpPort = 5300

// breach is something that goes wrong with a host, how doctor speaks of it, and what does not work meanwhile.
type breach struct {
	about, says, seen, fix string // parts; fix is of one line
	before                 func(t *testing.T, s *site)
	breaks                 func(t *testing.T, s *site)
	person                 func(t *testing.T, s *site, fix []string) // does what the lines with # say
	closed4, closed6       []string
	closed                 func(t *testing.T, s *site, is bool) // that something else does not work, or does
}

func sh(lines string) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		s.Run(t, "sh", "-ec", lines)
	}
}

func breaches() map[string]breach {
	routed := []string{published, leaving, across, shut}
	webLink := `link=$(ip -o link | sed -n 's|^[0-9]*: \(veth[^@]*\)@.*alias .*/web-.*|\1|p')`
	occupy := func(network string) breach {
		var leave func()
		return breach{
			about: "ports", says: "is wanted twice: web-4b5e57f6 of network net publishes it", seen: "a socket of the host waits on ", fix: "ss -lnp 'sport = ",
			breaks: func(t *testing.T, s *site) { t.Helper(); leave = s.occupy(t, network) },
			person: func(*testing.T, *site, []string) { leave() },
		}
	}
	return map[string]breach{
		"IPv4 is not forwarded": {
			about: "forwarding", says: "the host does not forward IPv4: containers on bridge cni0 reach nothing beyond the host", seen: "net.ipv4.ip_forward is 0",
			fix: "sysctl -w net.ipv4.ip_forward=1", breaks: sh("sysctl -qw net.ipv4.ip_forward=0"), closed4: routed,
		},
		"IPv6 is not forwarded": {
			about: "forwarding", says: "the host does not forward IPv6: ", seen: "net.ipv6.conf.all.forwarding is 0",
			fix: "sysctl -w net.ipv6.conf.all.forwarding=1", breaks: sh("sysctl -qw net.ipv6.conf.all.forwarding=0"), closed6: routed,
		},
		"ruleset flushed": {
			about: "rules", says: "(and 1 more) are gone: masquerade, published ports or isolation do not work there", seen: "(and ",
			fix: "patchbay reload", breaks: sh("nft flush ruleset"), closed4: []string{published, across}, closed6: []string{published, across},
		},
		"port of a TCP socket": occupy("tcp"),
		"port of a UDP socket": occupy("udp"),
		"two interfaces in one subnet": {
			about: "routes", says: "the host does not send to 10.88.0.3 of db-7bdc25d16 of network net by bridge cni0", seen: "dev eth1; rp_filter of cni0 is 1, so that what the container sends is dropped",
			fix:    "# two interfaces are in one subnet: ip route show match 10.88.0.3",
			before: sh(`ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up; ip address add 10.88.7.7/16 dev eth1`),
			breaks: sh("sysctl -qw net.ipv4.conf.cni0.rp_filter=1"), closed4: routed,
			person: func(t *testing.T, s *site, fix []string) {
				for _, line := range fix {
					if command, is := strings.CutPrefix(line, "# if the host can do without: "); is {
						s.shell(t, command)
					}
				}
				s.Run(t, "ip", "link", "del", "eth1")
			},
		},
		"gateway address lost": {
			about: "routes", says: "the host does not send to 10.88.0.3 of db-7bdc25d16 of network net by bridge cni0", seen: "ip route get 10.88.0.3: dev eth0",
			fix: "patchbay reload", breaks: sh("ip address del 10.88.0.1/16 dev cni0"), closed4: routed,
		},
		"br_netfilter after the ADD": {
			about: "br_netfilter", says: "does not reach the ports that it publishes itself: br_netfilter was switched on after it was attached", seen: "bridge-nf-call-iptables or -ip6tables is 1, hairpin mode of veth",
			fix: "bridge link set dev veth", breaks: func(_ *testing.T, s *site) { s.bridgeNetfilter("1") },
			person: func(*testing.T, *site, []string) {},
			closed: func(t *testing.T, s *site, is bool) {
				for _, addr := range hostAddrs {
					if err := dial(s.web.Netns, addr, hostPort, patience(is)); (err == nil) == is {
						t.Errorf("web reaches its own port by %s: %v, want it closed: %v", addr, err, is)
					}
				}
			},
		},
		"MTU of the bridge lowered": {
			about: "mtu", says: "the host sends only short packets to containers on bridge cni0: where ICMP is filtered, large transfers to them hang",
			seen: "MTU of cni0 is 1400, of containers 1500", fix: "ip link set cni0 mtu 1500", breaks: sh("ip link set cni0 mtu 1400"),
			closed: func(t *testing.T, s *site, is bool) {
				s.outside.Run(t, "ip", "route", "flush", "cache")
				s.fullLength(t, s.outside, "do", is)
			},
		},
		"MTU of a port lowered": {
			about: "mtu", says: "bridge cni0 drops what containers send to veth", seen: " is 1400, of containers 1500", fix: `# set "mtu": 1400 in the network's configuration, and attach the containers again`,
			breaks: sh(webLink + "; ip link set $link mtu 1400"),
			person: func(t *testing.T, s *site, fix []string) {
				_, command, _ := strings.Cut(fix[1], ": ")
				s.shell(t, command)
			},
			closed: func(t *testing.T, s *site, is bool) { s.fullLength(t, s.db, "dont", is) },
		},
		"MTU of the uplink": {
			about: "mtu", says: "containers on bridge cni0 send longer packets than eth0 takes", seen: "MTU of eth0 is 1400, of containers 1500",
			fix: `# set "mtu": 1400 in the network's configuration`, breaks: sh("ip link set eth0 mtu 1400"),
			person: func(t *testing.T, s *site, _ []string) {
				s.leave(t, network(nil))
				s.populateWithUDP(t, network(conf{"mtu": 1400}))
				s.Run(t, "ip", "link", "set", "cni0", "mtu", "1400") // which lives on without ports; the oracle knows no other
			},
		},
		"bridge gone": {
			about: "cables", says: "bridge cni0 is gone: its containers (2) reach nobody", seen: "there is no interface of that name",
			fix: "patchbay reload", breaks: sh("ip link del cni0"), closed4: everything(), closed6: everything(),
		},
		"bridge down": {
			about: "cables", says: "bridge cni0 is down: its containers (2) reach nobody", seen: "set it down",
			fix: "ip link set cni0 up", breaks: sh("ip link set cni0 down"), closed4: everything(), closed6: everything(),
		},
		"cable unplugged": {
			about: "cables", says: "is not plugged into bridge cni0, and reaches nobody", seen: "is no port of a bridge",
			fix: "patchbay reload", breaks: sh(webLink + "; ip link set $link nomaster"), closed4: everything(), closed6: everything(),
		},
		"cable in another bridge": {
			about: "cables", says: "is not plugged into bridge cni0, and reaches nobody", seen: "is a port of another",
			fix: " master cni0", before: sh("ip link add other0 type bridge; ip link set other0 up"), breaks: sh(webLink + "; ip link set $link master other0"),
			closed4: everything(), closed6: everything(),
			person: func(t *testing.T, s *site, _ []string) { s.Run(t, "ip", "link", "del", "other0") },
		},
		"cable down": {
			about: "cables", says: "is not plugged into bridge cni0, and reaches nobody", seen: "is down",
			fix: " up", breaks: sh(webLink + "; ip link set $link down"), closed4: everything(), closed6: everything(),
		},
	}
}

// fullLength sends 1500 bytes to web, to be cut on the way or not as ping's option -M says.
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

// A well host; one thing goes wrong; doctor finds that and nothing else; the lines that it prints mend it.
func TestDoctorLooks(t *testing.T) {
	for name, b := range breaches() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			if b.before != nil {
				b.before(t, s)
			}
			s.populateWithUDP(t, network(nil))
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
				t.Fatalf("doctor finds %+v, want one thing about %s", found, b.about)
			}
			expect.Contains(t, found[0].Says, b.says)
			expect.Contains(t, found[0].Seen, b.seen)
			expect.Contains(t, strings.Join(found[0].Fix, "\n"), b.fix)
			for _, line := range found[0].Fix {
				s.shell(t, line)
			}
			if b.person != nil {
				b.person(t, s, found[0].Fix)
			}
			s.connects(t, "mended", 0, everything()...)
			s.connects(t, "mended", 1, everything()...)
			if b.closed != nil {
				b.closed(t, s, false)
			}
			s.healthy(t, "mended")
			s.check(t, s.db, network(nil)).OK(t)
			s.leave(t, network(nil))
			s.SetSysctl("net/ipv4/conf/all/rp_filter", "0")
			s.bridgeNetfilter("0")
			s.Run(t, "ip", "link", "set", "eth0", "mtu", "1500")
		})
	}
}

func (s *site) populateWithUDP(t testing.TB, config conf) {
	t.Helper()
	s.add(t, s.web, config.publishing(webPort(), conf{"hostPort": udpPort, "containerPort": 53, "protocol": "udp"}))
	s.add(t, s.db, config)
}

// shell runs a line as doctor prints it, where this patchbay is installed.
func (s *site) shell(t testing.TB, line string) {
	t.Helper()
	cmd := s.Command("sh", "-ec", line)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(nettest.Patchbay(t))+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// occupy has a process of the host wait on the published port; of UDP on that one.
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

// A bridge that is nearly full, with cables for containers.
func TestDoctorCountsPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.NoOracle("a thousand links go with their host")
	s.populateWithUDP(t, network(nil))
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
	if len(found) != 1 || found[0].About != "room" {
		t.Fatalf("doctor finds %+v", found)
	}
	expect.Equal(t, "says", found[0].Says, "bridge cni0 has room for 41 containers more, then ADD fails")
	expect.Equal(t, "seen", found[0].Seen, "982 of the 1023 ports that Linux gives a bridge are in use")
}

// The fields that help documents, on a host where nothing is; and words that doctor does not take.
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
	expect.Equal(t, "fields", len(report), 4)
	expect.Equal(t, "findings", string(report["findings"]), "[]")
	exit, _, errs := s.patchbay(t, "doctor", "-o", "yaml")
	expect.Equal(t, "exit of a word that is none", exit, 1)
	expect.Contains(t, errs, `--output "yaml": it is text or json`)
}
