package firewalls

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/expect"
	"github.com/patchbay-cni/patchbay/test/hostfw"
)

// ill is what a firewall does to a network, and how doctor speaks of it.
type ill struct {
	open  []string // what it lets through even so, of a family that it filters; the neighbours where nothing of the bridge is seen
	words []string // of doctor's sentence and evidence
	table string   // as CHECK names it
	fix   string   // one of the commands
}

func ills() map[string]ill {
	return map[string]ill{
		"docker": {
			nil,
			[]string{"docker drops IPv4 packets of bridge cni0: its containers do not reach the outside", "chain FORWARD of table ip filter: policy drop"},
			"chain FORWARD of table ip filter",
			"iptables -I DOCKER-USER -i cni0 -j ACCEPT",
		},
		"ufw": {
			nil,
			[]string{"ufw drops packets of bridge cni0: its containers do not reach the outside, nobody reaches their published ports", "chain FORWARD of table ip filter: policy drop", "chain FORWARD of table ip6 filter: policy drop"},
			"chain FORWARD of table ip filter", "ufw route allow in on cni0",
		},
		"firewalld": {
			[]string{published, across},
			[]string{"firewalld drops packets of bridge cni0: its containers do not reach the outside", "chain filter_FWD_public of table inet firewalld: rule "},
			"chain filter_FWD_public of table inet firewalld", "firewall-cmd --permanent --zone=trusted --add-interface=cni0",
		},
		"policy drop": {
			nil,
			[]string{"table inet filter of nftables drops packets of bridge cni0: ", "chain forward of table inet filter: policy drop"},
			"chain forward of table inet filter", `nft 'insert rule inet filter forward iifname "cni0" accept'`,
		},
		"legacy iptables": {
			nil,
			[]string{"iptables-legacy drops packets of bridge cni0: ", "chain FORWARD of table ip filter: policy drop"},
			"chain FORWARD of table ip filter", "iptables-legacy -I FORWARD -i cni0 -j ACCEPT",
		},
	}
}

// Each firewall drops; nothing but docker's own chain is edited, whatever the network says; doctor and CHECK name it; and the lines
// that doctor prints heal it, and open nothing else.
func TestDoctorHeals(t *testing.T) {
	for _, kind := range hostfw.Kinds() {
		for _, value := range []string{"0", "1"} {
			t.Run(kind.Name+"/bridge-nf-call="+value, func(t *testing.T) {
				t.Parallel()
				s, is := newSite(t, kind.Start), ills()[kind.Name]
				s.bridgeNetfilter(value)
				s.Baseline()
				config := network(conf{"firewall": "auto"})
				if kind.Name == "docker" {
					config = network(nil)
				}
				before := s.rulesOfOthers(t)
				s.populate(t, config)
				expect.Equal(t, "rules of others after ADD", s.rulesOfOthers(t), before)
				open4, open6 := is.open, is.open
				if value == "0" {
					open4 = append(open4, neighbours)
					open6 = open4
				} else if len(open6) > 0 { // whoever answers a neighbour of IPv6 looks for it first, by packets that are dropped
					open6 = []string{published}
				}
				s.eachFamily(t, "before", kind.IPv6, open4, open6)
				s.checkSays(t, config, is)
				s.heal(t, is)
				s.eachFamily(t, "healed", kind.IPv6, everything(shut), everything(shut))
				s.healthy(t, "healed")
				s.check(t, s.web, config.publishing(webPort())).OK(t)
				s.leave(t, config)
				s.collect(t)
				s.Allow("nft ") // the administrator's rules stay
			})
		}
	}
}

// eachFamily wants what is open of each family that is filtered, and everything of the other.
func (s *site) eachFamily(t *testing.T, when string, filters6 bool, open4, open6 []string) {
	t.Helper()
	s.connects(t, when, 0, open4...)
	if !filters6 {
		open6 = everything()
	}
	s.connects(t, when, 1, open6...)
}

// rulesOfOthers is all of nftables but our tables, and legacy iptables; without counters.
func (s *site) rulesOfOthers(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for line := range strings.Lines(s.Run(t, "nft", "list", "tables")) {
		f := strings.Fields(line)
		if f[2] != "patchbay" {
			all.WriteString(s.Run(t, "nft", "--stateless", "list", "table", f[1], f[2]))
		}
	}
	// Looking would make legacy tables where there are none.
	all.WriteString(s.Run(t, "sh", "-ec", "for p in ip ip6; do if grep -q filter /proc/net/${p}_tables_names; then ${p}tables-legacy -S; fi; done"))
	return all.String()
}

// heal runs, one by one, the lines that doctor prints for a firewall, as they are.
func (s *site) heal(t *testing.T, is ill) {
	t.Helper()
	found := s.doctor(t)
	if len(found) != 1 || found[0].About != "firewall" {
		t.Fatalf("doctor finds %+v, want the firewall alone", found)
	}
	expect.Contains(t, found[0].Says+"\n"+found[0].Seen, is.words...)
	expect.Contains(t, strings.Join(found[0].Fix, "\n"), is.fix)
	for _, line := range found[0].Fix {
		s.fw.Shell(t, line)
	}
}

// checkSays wants CHECK to name table, chain and command, unless the network says none.
func (s *site) checkSays(t *testing.T, config conf, is ill) {
	t.Helper()
	config = config.publishing(webPort())
	e := s.check(t, s.web, config).Error(t)
	expect.Equal(t, "code of CHECK", e.Code, uint(106))
	expect.Contains(t, e.Msg+e.Details, is.table)
	expect.Contains(t, e.Details, "the host's firewall drops what the network needs: ", is.fix)
	s.check(t, s.web, config.with("firewall", "none")).OK(t)
}

// The line of an ADD in the log has what the firewall does to it; on a well host it has none, and where nobody asked for it.
func TestLogWarns(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	warnings := func(config conf) []string {
		t.Helper()
		s.add(t, s.web, config.with("logFile", "/run/log").publishing(webPort()))
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
	expect.Equal(t, "warnings on a well host", len(warnings(network(nil))), 0)
	var listener net.Listener
	var err error
	s.Do(func() { listener, err = net.Listen("tcp4", ":8080") })
	if err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, strings.Join(warnings(network(nil)), "\n"), "port 8080/tcp is published by ", "wanted by a socket of the host (0.0.0.0:8080)", "ss -lnp")
	listener.Close()
	s.fw = hostfw.StartPolicyDrop(t, s.Node)
	for _, value := range []string{"report", "auto"} {
		got := strings.Join(warnings(network(conf{"firewall": value})), "\n")
		expect.Contains(t, got, "chain forward of table inet filter drops", `nft 'insert rule inet filter forward oifname "cni0" ct status dnat accept'`)
	}
	expect.Equal(t, "warnings with none", len(warnings(network(conf{"firewall": "none"}))), 0)
}
