package restore

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) { expect.Main(m, 6) }

// TestRestore: whatever another program removes is there again, and the report names program and object.
//
// Claim: `reload --watch` restores tables, rules and elements of nftables, bridge ports, bridges, gateway addresses and forwarding after
// another program has removed them, and names the program that changed nftables
func TestRestore(t *testing.T) {
	t.Parallel()
	// A bridge that is deleted loses its ports and addresses first: on a slow machine these are restored before its deletion is reported.
	for name, row := range map[string]struct {
		remove string   // shell
		says   []string // parts of the report
	}{
		"flush":             {"nft flush ruleset", []string{"nft (process", "deleted", "inet patchbay", "restored in", "built anew"}},
		"flush and replace": {"printf 'flush ruleset\ntable inet filter { chain input { type filter hook input priority 0; policy accept; }; }\n' | nft -f -", []string{"nft (process", "restored in"}},
		"delete table":      {"nft delete table inet patchbay", []string{"nft (process", "table inet patchbay"}},
		"flush chain":       {"nft flush chain inet patchbay postrouting", []string{"deleted rules of table inet patchbay"}},
		"flush map":         {"nft flush map inet patchbay \"$(nft list maps | awk '$1 == \"map\" {print $2; exit}')\"", []string{"deleted elements of table inet patchbay"}},
		"flush user chain":  {"iptables -F DOCKER-USER", []string{"deleted rules of chain DOCKER-USER", "DOCKER-USER has the rules for bridge br7 again"}},
		"bridge port":       {"ip link set \"$(ip -o link show master br7 | sed 's/^[0-9]*: \\([^@]*\\)@.*/\\1/' | head -n 1)\" nomaster", []string{"was taken from its bridge; restored in", "is a port of bridge br7 again"}},
		"bridge":            {"ip link delete br7", []string{"interface br7 was deleted; |was taken from its bridge; ", "bridge br7 made again", "is a port of bridge br7 again"}},
		"gateway":           {"ip address delete 10.9.7.1/24 dev br7", []string{"address 10.9.7.1/24 was removed from br7; restored in", "bridge br7 has 10.9.7.1/24 again"}},
		"forwarding of br7": {"echo 0 > /proc/sys/net/ipv4/conf/br7/forwarding", []string{"IPv4 forwarding from br7 was disabled; restored in", "the host forwards IPv4 from bridge br7 again"}},
		"forwarding":        {"echo 0 > /proc/sys/net/ipv4/ip_forward", []string{"IPv4 forwarding was disabled; ", "the host forwards IPv4 again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if strings.Contains(row.remove, "DOCKER-USER") {
				s.docker(t)
				s.attachMore(t)
			}
			w := s.watch(t)
			before := s.state(t)
			s.Shell(t, row.remove)
			if s.state(t) == before && !strings.Contains(w.text(), "again") && !strings.Contains(w.text(), "restored") {
				t.Fatalf("%s removed nothing", row.remove)
			}
			s.awaitState(t, before, w)
			for _, part := range row.says {
				w.await(t, part)
			}
			w.end(t)
		})
	}
}

// TestNoCause: the verbs of the plugin are no reason to restore, nor is what has nothing to do with it.
//
// Claim: `reload --watch` does nothing after ADD, DEL and changes of other tables
func TestNoCause(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	for i := range 5 {
		c := s.Container(fmt.Sprintf("c%d", i))
		s.cni(t, "ADD", c).OK(t)
		s.cni(t, "DEL", c).OK(t)
	}
	s.Shell(t, "nft add table inet other && nft add chain inet other c && nft add rule inet other c drop && nft flush ruleset inet && nft list ruleset >/dev/null || true")
	w.await(t, "restored in") // of the last line: all before it has been looked at
	if text := w.text(); strings.Count(text, "restored in") != 1 || strings.Contains(text, " again") || strings.Contains(text, " was ") || strings.Contains(text, "inet other") || strings.Contains(text, "patchbay (process") {
		t.Errorf("report:\n%s", text)
	}
	s.Shell(t, "nft delete table inet other 2>/dev/null; nft add table ip mine && nft delete table ip mine")
	w.end(t)
	expect.Equal(t, "restorations", strings.Count(w.text(), "restored in"), 1)
}

// TestDockerStartsLater: docker starts when containers run already, and drops what is forwarded: its chain gets the rules of "firewall": "auto".
//
// Claim: `reload --watch` adds the rules of `"firewall": "auto"` when docker creates its chain DOCKER-USER after the containers were attached
func TestDockerStartsLater(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	s.docker(t)
	w.await(t, "created chain DOCKER-USER; restored in")
	w.await(t, "docker's chain DOCKER-USER has the rules for bridge br7 again")
	expect.Equal(t, "rules of bridge br7", strings.Count(s.Shell(t, "iptables -S DOCKER-USER"), "patchbay:br7"), 2)
	w.end(t)
}

// TestSeldom: a program that removes the table again and again does not keep the host busy.
func TestSeldom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	begun := time.Now()
	for range 30 {
		s.Shell(t, "nft flush ruleset")
		time.Sleep(50 * time.Millisecond) // the pace of the other program
	}
	w.await(t, "restored in")
	took := time.Since(begun)
	if n := strings.Count(w.text(), "restored in"); n < 1 || n > 3*(1+int(took/(3*time.Second))) {
		t.Errorf("%d restorations in %v, want at most three in three seconds", n, took)
	}
	w.awaitTables(t, s)
	w.end(t)
}

// TestHangup: SIGHUP restores everything, also what the kernel does not notify.
func TestHangup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	w.signal(t, syscall.SIGHUP)
	w.await(t, "a signal asked for it; restored in")
	w.end(t)
}

// TestAtStart: what is missing when it starts is restored before it is ready.
func TestAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	before := s.state(t)
	s.Shell(t, "nft flush ruleset; ip link delete br7")
	w := s.watch(t)
	expect.Equal(t, "state", s.state(t), before)
	w.end(t)
}

// TestNamesAtStart: hosts files that are missing, as after an upgrade from a version that wrote none, are there when it is ready, and after SIGHUP.
//
// Claim: `reload --watch` writes hosts files that are missing or not up to date at its start and after SIGHUP
func TestNamesAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Shell(t, nettest.Patchbay(t)+" up one two")
	before := s.Shell(t, "cat /etc/netns/one/hosts /etc/netns/two/hosts; rm /etc/netns/*/hosts")
	w := s.watch(t)
	expect.Equal(t, "hosts files", s.Shell(t, "cat /etc/netns/one/hosts /etc/netns/two/hosts"), before)
	s.Shell(t, "rm /etc/netns/two/hosts")
	w.signal(t, syscall.SIGHUP)
	w.awaitTimes(t, "created /etc/netns/two/hosts", 2)
	w.end(t)
	s.Shell(t, nettest.Patchbay(t)+" down one two; rmdir /etc/netns; ip link delete patchbay0")
}

// TestFailedRestoration: an error is reported, and the restoration is repeated when something changes.
func TestFailedRestoration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	before := s.state(t)
	s.Shell(t, "nft 'delete table inet patchbay; add table inet patchbay'") // in one transaction; a foreign one is not replaced
	w.await(t, "restore: ")
	w.await(t, "next attempt in 10s")
	s.Shell(t, "nft delete table inet patchbay")
	s.awaitState(t, before, w)
	w.end(t)
}

// TestRetry: a restoration that failed is repeated without another change: here another process holds the lock of the ruleset.
func TestRetry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.watch(t)
	before := s.state(t)
	release := s.lockRuleset(t)
	s.Shell(t, "nft delete table inet patchbay")
	w.awaitTimes(t, "next attempt in 10s", 2) // what changed during the first attempt may have caused the second one
	release()
	s.awaitState(t, before, w)
	w.end(t)
}
