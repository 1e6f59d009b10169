package commands

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestLostPorts: each kind of loss has a state, a mark in the picture and, if rules are missing, a remedy.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestLostPorts(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "80-82", "-p", "90")
	l.ok(t, "up", "db", "-p", "70")
	states := func() map[string]string { return l.portStates(t) }
	well := map[string]string{"80 web": "ok", "90 web": "ok", "70 db": "ok"}
	with := func(changes ...string) map[string]string { return changed(well, changes...) }
	expect.Equal(t, "as made", states(), well)
	for what, tt := range map[string]struct {
		do   string
		want map[string]string
	}{
		"a port":               {"nft delete element inet patchbay publish4 '{ tcp . 90 }'", with("90 web", "lost")},
		"one of a range":       {"nft delete element inet patchbay publish4 '{ tcp . 81 }'", with("80 web", "1 of 3 lost", "90 web", "rules lost")},
		"another attachment's": {"nft delete element inet patchbay publish4 '{ tcp . 90 }'; nft add element inet patchbay publish4 '{ tcp . 90 : 10.77.0.9 . 9 }'", with("90 web", "lost")},
		"of no attachment":     {"nft add element inet patchbay publish4 '{ tcp . 99 : 10.77.0.9 . 9 }'", with("99 -", "no record")},
		"rules":                {"nft flush chain inet patchbay translate", with("80 web", "rules lost", "90 web", "rules lost", "70 db", "rules lost")},
		"all":                  {"nft flush ruleset", with("80 web", "lost", "90 web", "lost", "70 db", "lost")},
	} {
		l.Run(t, "sh", "-c", tt.do)
		got := states()
		if state, there := got["99 "]; there {
			delete(got, "99 ")
			got["99 -"] = state
		}
		if what == "a port" || what == "another attachment's" {
			got["80 web"] = "ok" // a port conflict is reported for both
			tt.want["80 web"] = "ok"
			expect.Contains(t, l.ok(t, "show"), "! 90/tcp -> 90", map[string]string{
				"a port":               "map publish4 of nftables lacks tcp . 90",
				"another attachment's": `map publish4 of nftables has tcp . 90 with owner ""`,
			}[what])
			expect.Contains(t, l.ok(t, "inspect", "web"), `"lostPorts"`, "publish4")
		}
		expect.Equal(t, what, got, tt.want)
		l.ok(t, "reload")
		expect.Equal(t, "after reload of "+what, states(), well)
	}
	link := ""
	for _, a := range l.list(t) {
		if a.Name == "web" {
			link = a.HostLink
		}
	}
	l.Run(t, "ip", "link", "set", link, "nomaster")
	expect.Equal(t, "unplugged", states(), with("80 web", "unplugged", "90 web", "unplugged"))
	l.Run(t, "ip", "link", "del", link)
	expect.Equal(t, "stale", states(), with("80 web", "stale", "90 web", "stale"))
	l.Run(t, "sh", "-c", "echo '{' >/run/patchbay/patchbay/web@eth0.json")
	expect.Equal(t, "torn", states(), map[string]string{"70 db": "ok", "80 web": "unreadable", "81 web": "unreadable", "82 web": "unreadable", "90 web": "unreadable"})
	l.Run(t, "rm", "/run/patchbay/patchbay/web@eth0.json")
	expect.Equal(t, "without a record", states(), map[string]string{"70 db": "ok", "80 web": "no record", "81 web": "no record", "82 web": "no record", "90 web": "no record"})
	l.ok(t, "reload")
	expect.Equal(t, "after reload", states(), map[string]string{"70 db": "ok"})
	l.ok(t, "down", "db")
	l.NoOracle("the record was taken away, and the namespace stays")
}

// portStates returns the state of each port, by "PORT NAME".
func (l *laptop) portStates(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range l.ports(t) {
		all[fmt.Sprintf("%d %s", p.HostPort, p.Name)] = p.State
	}
	return all
}

// changed returns a copy of states with changes, each a key and a value.
func changed(states map[string]string, changes ...string) map[string]string {
	all := maps.Clone(states)
	for i := 0; i < len(changes); i += 2 {
		all[changes[i]] = changes[i+1]
	}
	return all
}

// TestPortsOnANarrowTerminal: no line is longer than the terminal, and nothing is left out.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPortsOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "10.77.0.1:8000-8099:9000-9099/udp")
	narrow := l.onTerminal(t, 40, "ports")
	for line := range strings.Lines(narrow) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	expect.Contains(t, narrow, "8000-8099/udp\r\n", "  of 10.77.0.1\r\n", "  to 10.77.0.2:9000-9099\r\n", "  web, on patchbay\r\n", "  ok\r\n")
	expect.Contains(t, l.onTerminal(t, 120, "ports"), "HOST ", " STATE\r\n")
	l.ok(t, "down", "web")
}

// TestPortsOfAThousand: the command reads lists from the kernel, and makes no request for each attachment.
//
// Claim: `ls`, `ports` and `show` request lists from the kernel, however many attachments there are
func TestPortsOfAThousand(t *testing.T) {
	l := newLaptop(t)
	l.NoOracle("a thousand veth pairs are deleted with their host")
	nettest.Need(t, nettest.Tool("strace"))
	const count, most = 1000, 100
	l.crowdOfPorts(t, count)
	expect.Equal(t, "attachments", len(l.list(t)), count+1)
	all := l.ports(t)
	expect.Equal(t, "ports", len(all), count+1)
	for _, p := range all { // the interfaces of a crowd are down
		if p.State != "ok" && p.State != "down" || len(p.Problems) > 0 {
			t.Fatalf("one is not well: %+v", p)
		}
	}
	for _, command := range []string{"ls", "ports", "show"} {
		trace := filepath.Join(t.TempDir(), "trace")
		l.Run(t, "strace", "-f", "-o", trace, "-e", "trace=sendto,sendmsg", nettest.Patchbay(t), command)
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		questions := strings.Count(string(text), "sendto(") + strings.Count(string(text), "sendmsg(")
		t.Logf("%s of %d attachments: %d questions", command, count+1, questions)
		if questions == 0 || questions > most {
			t.Errorf("%s asks the kernel %d times, at most %d were in order", command, questions, most)
		}
	}
	expect.Contains(t, l.ok(t, "ports", "20500"), "20500/tcp  10.77.2.")
}

// crowdOfPorts returns a crowd in which each attachment publishes a port, which reload adds to the ruleset.
func (l *laptop) crowdOfPorts(t *testing.T, count int) {
	t.Helper()
	l.crowd(t, count, "-p", "20000:80")
	dir := "/run/patchbay/patchbay"
	l.Do(func() {
		for i := range count {
			path := filepath.Join(dir, fmt.Sprintf("crowd%04d@eth0.json", i))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("10.77.%d.%d", 1+i/250, i%250+2)
			changed := strings.NewReplacer(`"hostPort": 20000`, fmt.Sprintf(`"hostPort": %d`, 20001+i), `"container": "10.77.0.2"`, `"container": "`+address+`"`, `"10.77.0.2/24"`, `"`+address+`/24"`).Replace(string(text))
			write(t, path, changed)
		}
	})
	l.ok(t, "reload")
}
