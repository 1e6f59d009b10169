package firewall_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// site is a host with two containers on cni0, one with a published port, and another host behind eth0.
type site struct {
	*nettest.Node
	web, db *nettest.Container
	outside *nettest.Container
}

// newSite returns a site, with masquerading and the port in a table that drops nothing.
func newSite(t *testing.T) *site {
	t.Helper()
	h := host(t)
	s := &site{Node: h, web: h.Container("web"), db: h.Container("db"), outside: h.Container("outside")}
	h.Bridge("cni0", "10.88.0.1/16", "fd00:88::1/64")
	for i, c := range []*nettest.Container{s.web, s.db} {
		h.Veth(fmt.Sprint("veth", i), c.Netns, "eth0")
		h.Plug(fmt.Sprint("veth", i), "cni0")
		c.AddAddress("eth0", fmt.Sprintf("10.88.0.%d/16", i+2), fmt.Sprintf("fd00:88::%d/64", i+2))
		c.Run(t, "ip", "route", "add", "default", "via", "10.88.0.1")
		c.Run(t, "ip", "route", "add", "default", "via", "fd00:88::1")
	}
	h.Veth("eth0", s.outside.Netns, "eth0")
	h.AddAddress("eth0", "192.0.2.1/24", "2001:db8::1/64")
	s.outside.AddAddress("eth0", "192.0.2.7/24", "2001:db8::7/64")
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	load(t, h, `table inet site {
chain pre { type nat hook prerouting priority dstnat; meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.88.0.2:80; meta nfproto ipv6 fib daddr type local tcp dport 8080 dnat ip6 to [fd00:88::2]:80; }
chain post { type nat hook postrouting priority srcnat; iifname "cni0" oifname "eth0" masquerade; }
}
`)
	for _, n := range []*nettest.Netns{s.web.Netns, s.db.Netns, s.outside.Netns} {
		serve(t, n)
	}
	h.Baseline()
	return s
}

// serve accepts connections to port 80 until the test ends.
func serve(t *testing.T, n *nettest.Netns) {
	t.Helper()
	var l net.Listener
	var err error
	n.Do(func() { l, err = net.Listen("tcp", "[::]:80") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

// connects reports whether a connection is established: within 10 s if it is expected, otherwise within 200 ms.
func connects(n *nettest.Netns, address string, isExpected bool) bool {
	timeout := 200 * time.Millisecond
	if isExpected {
		timeout = 10 * time.Second
	}
	var c net.Conn
	var err error
	n.Do(func() { c, err = net.DialTimeout("tcp", address, timeout) })
	if err == nil {
		c.Close()
	}
	return err == nil
}

// agree checks that connections fail exactly if Drops reports a drop, in both versions of IP.
func (s *site) agree(t *testing.T, when string) []firewall.Drop {
	t.Helper()
	b := usual()
	b.NFCall4, b.NFCall6 = s.nfCall("iptables"), s.nfCall("ip6tables")
	all := drops(t, s.Node, b)
	for _, way := range []struct {
		from     *nettest.Container
		to4, to6 string
		needs    []firewall.Traffic
	}{
		{s.web, "192.0.2.7:80", "[2001:db8::7]:80", []firewall.Traffic{firewall.Leaving, firewall.Returning}},
		{s.outside, "192.0.2.1:8080", "[2001:db8::1]:8080", []firewall.Traffic{firewall.Published}},
		{s.web, "10.88.0.3:80", "[fd00:88::3]:80", []firewall.Traffic{firewall.Neighbours}},
	} {
		for _, isIPv6 := range []bool{false, true} {
			to := way.to4
			if isIPv6 {
				to = way.to6
			}
			expected := passes(all, isIPv6, way.needs)
			if got := connects(way.from.Netns, to, expected); got != expected {
				t.Errorf("%s, from %s to %s: connected %v, and Drops returns\n%s", when, way.from.Name(), to, got, strings.Join(sentences(all), "\n"))
			}
		}
	}
	for _, d := range all {
		if !d.Certain {
			t.Errorf("%s: not certain: %s", when, d)
		}
	}
	return all
}

func passes(all []firewall.Drop, isIPv6 bool, needs []firewall.Traffic) bool {
	for _, d := range all {
		for _, what := range needs {
			if d.What == what && (isIPv6 && d.IPv6 || !isIPv6 && d.IPv4) {
				return false
			}
		}
	}
	return true
}

// nfCall reads bridge-nf-call-iptables, or -ip6tables.
func (s *site) nfCall(of string) (is bool) {
	s.Do(func() {
		data, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-" + of)
		is = err == nil && strings.TrimSpace(string(data)) == "1"
	})
	return is
}

// setNFCall sets both; the kernel has br_netfilter.
func (s *site) setNFCall(t *testing.T, value string) {
	t.Helper()
	s.Do(func() {
		for _, of := range []string{"iptables", "ip6tables"} {
			if err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+of, []byte(value), 0o600); err != nil {
				t.Errorf("br_netfilter: %v", err)
			}
		}
	})
}

// restore loads the output of iptables-save or nft(8) from a host on which the program ran.
func (s *site) restore(t *testing.T, name string) {
	t.Helper()
	for suffix, command := range map[string]string{".nft": "nft -f", ".iptables": "iptables-restore", ".ip6tables": "ip6tables-restore"} {
		file, err := filepath.Abs("testdata/" + name + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); err == nil {
			s.Run(t, "sh", "-c", command+" "+file)
		}
	}
}

// Drops agrees with real connections, and its fix lets them pass, with bridge-nf-call-iptables 0 and 1.
//
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDropsIsWhatHappens(t *testing.T) {
	for _, tc := range []struct {
		name, rules string
		by          string
		// fix does what the commands of ufw, firewalld and docker do, which are not installed. If nil, Drop.Fix is run.
		fix       func(t *testing.T, s *site, all []firewall.Drop)
		onBridges bool // drops bridged packets only
	}{
		{name: "nothing"},
		{name: "no solicitations", rules: "table inet filter {\nchain forward { type filter hook forward priority filter; policy drop; ct state established,related,new accept; }\n}\n", onBridges: true},
		{"bare", "table inet filter { chain forward { type filter hook forward priority filter; policy drop; }; }", "", nil, false},
		{"iptables", "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP", "iptables", nil, false},
		{"iptables-legacy", "iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP", "iptables-legacy", nil, false},
		{"docker", "docker", "docker", nil, false},
		{"docker", "docker", "docker", func(t *testing.T, s *site, _ []firewall.Drop) { allow(t, s.Node, "cni0") }, false},
		{"ufw", "ufw", "ufw", func(t *testing.T, s *site, _ []firewall.Drop) {
			for _, v := range [][2]string{{"iptables", "ufw-"}, {"ip6tables", "ufw6-"}} {
				s.Run(t, v[0], "-A", v[1]+"user-forward", "-i", "cni0", "-j", "ACCEPT")
				s.Run(t, v[0], "-I", v[1]+"before-forward", "2", "-o", "cni0", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT")
			}
		}, false},
		{"firewalld", "firewalld", "firewalld", func(t *testing.T, s *site, _ []firewall.Drop) {
			s.Run(t, "nft", "add chain inet firewalld filter_FWD_trusted; add rule inet firewalld filter_FWD_trusted accept; insert rule inet firewalld filter_FORWARD_ZONES iifname cni0 goto filter_FWD_trusted")
		}, false},
	} {
		for _, nfCall := range []string{"0", "1"} {
			t.Run(tc.name+" "+nfCall, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				s.setNFCall(t, nfCall)
				switch {
				case strings.Contains(tc.rules, "iptables"):
					s.Run(t, "sh", "-c", tc.rules)
				case strings.Contains(tc.rules, "table"):
					load(t, s.Node, tc.rules)
				default:
					s.restore(t, tc.rules)
				}
				all := s.agree(t, "before")
				for _, d := range all {
					if d.By != tc.by {
						t.Errorf("by %q, want %q", d.By, tc.by)
					}
				}
				if isPassing := tc.rules == "" || tc.onBridges && nfCall == "0"; isPassing != (len(all) == 0) {
					t.Fatalf("%d drops", len(all))
				}
				if tc.fix == nil {
					runFixes(t, s.Node, all)
				} else {
					tc.fix(t, s, all)
				}
				if left := s.agree(t, "after"); len(left) > 0 {
					t.Errorf("still:\n%s", strings.Join(sentences(left), "\n"))
				}
			})
		}
	}
}
