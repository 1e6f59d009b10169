package firewalls

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/firewalls/hostfw"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// symptom is the effect of a firewall on a network, and what doctor reports.
type symptom struct {
	open  []string // connections that it allows over a family that it filters
	words []string // parts of the finding and its evidence
	fix   string   // one of the printed commands
}

func symptoms() map[string]symptom {
	return map[string]symptom{
		"docker": {
			nil,
			[]string{"docker drops IPv4 packets of bridge cni0: its containers cannot reach other networks", "chain FORWARD of table ip filter: policy drop"},
			"iptables -I DOCKER-USER -i cni0 -j ACCEPT",
		},
		"ufw": {
			nil,
			[]string{"ufw drops packets of bridge cni0: its containers cannot reach other networks, their published ports are unreachable", "chain FORWARD of table ip filter: policy drop", "chain FORWARD of table ip6 filter: policy drop"},
			"ufw route allow in on cni0",
		},
		"firewalld": {
			[]string{published, across},
			[]string{"firewalld drops packets of bridge cni0: its containers cannot reach other networks", "chain filter_FWD_public of table inet firewalld: rule "},
			"firewall-cmd --permanent --zone=trusted --add-interface=cni0",
		},
		"policy drop": {
			nil,
			[]string{"table inet filter of nftables drops packets of bridge cni0: ", "chain forward of table inet filter: policy drop"},
			`nft 'insert rule inet filter forward iifname "cni0" accept'`,
		},
		"legacy iptables": {
			nil,
			[]string{"iptables-legacy drops packets of bridge cni0: ", "chain FORWARD of table ip filter: policy drop"},
			"iptables-legacy -I FORWARD -i cni0 -j ACCEPT",
		},
	}
}

// TestDoctorFixes: each firewall drops packets; ADD edits only Docker's own chain, whatever the configuration; doctor names the firewall, CHECK
// passes because the attachment is complete; and the commands that doctor prints fix the connections, and open no others.
//
// Claim: For ufw, firewalld, a chain with policy drop, iptables-legacy and docker doctor names program or table, chain and the commands,
// CHECK passes, nothing edits them, and these commands fix every direction and open no other port
func TestDoctorFixes(t *testing.T) {
	for _, kind := range hostfw.Kinds() {
		for _, value := range []string{"0", "1"} {
			t.Run(kind.Name+"/bridge-nf-call="+value, func(t *testing.T) {
				t.Parallel()
				s, is := newSite(t, kind.Start), symptoms()[kind.Name]
				s.bridgeNetfilter(value)
				s.Baseline()
				config := network(cni.Conf{"firewall": "auto"})
				if kind.Name == "docker" {
					config = network()
				}
				before := s.rulesOfOthers(t)
				s.populate(t, config)
				expect.Equal(t, "rules of others after ADD", s.rulesOfOthers(t), before)
				open4, open6 := is.open, is.open
				if value == "0" {
					open4 = append(open4, neighbours)
					open6 = open4
				} else if len(open6) > 0 { // a reply to an IPv6 neighbour starts with neighbour discovery, by packets that are dropped
					open6 = []string{published}
				}
				s.eachFamily(t, "before", kind.IPv6, open4, open6)
				s.check(t, s.web, config.With(cni.Ports(webPort()))).OK(t)
				s.runFix(t, is)
				s.eachFamily(t, "fixed", kind.IPv6, everything(shut), everything(shut))
				s.healthy(t, "fixed")
				s.check(t, s.web, config.With(cni.Ports(webPort()))).OK(t)
				s.leave(t, config)
				s.collect(t)
				s.Allow("nft ") // the rules of the fix stay
			})
		}
	}
}

// eachFamily checks the open connections of each filtered family, and all connections of the other.
func (s *site) eachFamily(t *testing.T, when string, filters6 bool, open4, open6 []string) {
	t.Helper()
	s.connects(t, when, 0, open4...)
	if !filters6 {
		open6 = everything()
	}
	s.connects(t, when, 1, open6...)
}

// rulesOfOthers returns all nftables tables except those of Patchbay, and legacy iptables, without counters.
func (s *site) rulesOfOthers(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for line := range strings.Lines(s.Run(t, "nft", "list", "tables")) {
		f := strings.Fields(line)
		if f[2] != "patchbay" {
			all.WriteString(s.Run(t, "nft", "--stateless", "list", "table", f[1], f[2]))
		}
	}
	// iptables-legacy would create its tables if there are none.
	all.WriteString(s.Run(t, "sh", "-ec", "for p in ip ip6; do if grep -q filter /proc/net/${p}_tables_names; then ${p}tables-legacy -S; fi; done"))
	return all.String()
}

// runFix runs the commands that doctor prints for a firewall, unchanged.
func (s *site) runFix(t *testing.T, is symptom) {
	t.Helper()
	found := s.doctor(t)
	if len(found) != 1 || found[0].About != "firewall" {
		t.Fatalf("doctor finds %+v, want the firewall only", found)
	}
	expect.Contains(t, found[0].Says+"\n"+found[0].Seen, is.words...)
	expect.Contains(t, strings.Join(found[0].Fix, "\n"), is.fix)
	for _, line := range found[0].Fix {
		s.fw.Shell(t, line)
	}
}

// TestLogWarns: the log line of an ADD has a warning about a host process on its published port, and none about the host's
// firewall, which only doctor interprets: reading every ruleset takes too long for a verb.
//
// Claim: An ADD's line in the log warns of a host process that listens on its published port; an ADD does not interpret the rules of other firewalls
func TestLogWarns(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	warnings := func(config cni.Conf) []string {
		t.Helper()
		s.add(t, s.web, config.With(cni.Conf{"logFile": "/run/log"}, cni.Ports(webPort())))
		text := s.Run(t, "tail", "-n", "1", "/run/log")
		s.del(t, s.web, config)
		s.Run(t, "rm", "/run/log")
		var line struct {
			Verb     string
			Warnings []string
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Verb != "ADD" {
			t.Fatalf("%v: %s", err, text)
		}
		return line.Warnings
	}
	expect.Equal(t, "warnings on a correct host", len(warnings(network())), 0)
	var listener net.Listener
	var err error
	s.Do(func() { listener, err = net.Listen("tcp4", ":8080") })
	if err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, strings.Join(warnings(network()), "\n"), "port 8080/tcp is published by ", "a process of the host listens on 0.0.0.0:8080 but receives no traffic", "ss -lnp")
	listener.Close()
	s.fw = hostfw.StartPolicyDrop(t, s.Node)
	for _, value := range []string{"report", "auto", "none"} {
		expect.Equal(t, "warnings with "+value+", where a firewall drops", len(warnings(network(cni.Conf{"firewall": value}))), 0)
	}
}
