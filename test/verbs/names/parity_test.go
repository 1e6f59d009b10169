package names

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// parityRow is a configuration of one name, which the reference and the program run on two hosts of the same shape, behind the reference's
// bridge.
type parityRow struct {
	plugin, name string
	conf         cni.Conf
	args         string // CNI_ARGS
	differs      string // why the two may differ; "" if they may not
}

// observation is what a row compares: step and outcome.
type observation map[string]string

// steps are the columns of the table.
func steps() []string { return []string{"ADD", "result", "effect", "CHECK", "DEL", "after DEL"} }

// observed runs a row on a new host.
func observed(t *testing.T, r parityRow, ours bool) observation {
	t.Helper()
	reference := []string{"bridge", "host-local"}
	if !ours {
		reference = append(reference, r.plugin)
	}
	l := newList(t, reference, bridge(), r.conf.With(cni.Conf{"type": r.plugin}))
	if !ours {
		l.h.NoOracle("what the reference leaves is compared, and ours must not leave it")
	}
	l.h.AddAddress("lo", "192.0.2.1/32")
	if r.plugin == "loopback" {
		l.c.Run(t, "ip", "link", "set", "lo", "down")
	}
	l.h.Baseline()
	far := l.attached(t, "far", "far", l.sibling(r, bridge(cni.Conf{"bridge": "cni1", "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.2.0.0/24"), "routes": []cni.Conf{{"dst": "0.0.0.0/0"}}}}))...)
	near := l.attached(t, "near", "net", l.sibling(r, bridge())...)
	answer := l.call(t, "ADD", l.plugins[0], nil).OK(t)
	l.result = answer.Stdout
	serve.TCP(t, l.c.Netns, ":80", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 100)) // a close with unread data would reset the connection
		fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
	})
	serve.UDP(t, l.c.Netns, cni.Addresses(answer.Result(t))[0].String()+":80", func(from netip.Addr, _ string) string { return from.String() })
	o := observation{}
	o["ADD"], o["result"] = l.outcome(t, "ADD", r)
	o["effect"] = l.effect(t, r.plugin, near, far)
	o["CHECK"], _ = l.outcome(t, "CHECK", r)
	o["DEL"], _ = l.outcome(t, "DEL", r)
	o["after DEL"] = l.effect(t, r.plugin, near, far)
	for _, each := range []*list{l, near, far} {
		if ours {
			each.del(t)
			continue
		}
		each.call(t, "DEL", each.plugins[0], each.result) // what the reference's other plugins refuse was compared
	}
	return o
}

// sibling returns what the other containers of a row run: the same policy, and nothing of other plugins.
func (l *list) sibling(r parityRow, main cni.Conf) []cni.Conf {
	if r.plugin == "firewall" && r.differs == "" {
		return []cni.Conf{main, r.conf.With(cni.Conf{"type": r.plugin})}
	}
	return []cni.Conf{main}
}

// outcome calls a verb of the row's plugin. The result is without the names that the host's bridge chose at random.
func (l *list) outcome(t *testing.T, verb string, r parityRow) (passes, result string) {
	t.Helper()
	call := l.callOf(t, verb, l.plugins[1], l.result)
	call.Args = r.args
	answer := l.h.CNI(t, call)
	if answer.Exit != 0 {
		return "fails", ""
	}
	if verb == "ADD" {
		l.result = answer.Stdout
		result = l.neutral(t, answer.Stdout)
	}
	return "passes", result
}

// neutral returns a result in one form: members sorted, random names and MACs of the host replaced.
func (l *list) neutral(t *testing.T, text []byte) string {
	t.Helper()
	out, err := json.Marshal(decoded(t, text))
	if err != nil {
		t.Fatal(err)
	}
	line := strings.ReplaceAll(string(out), l.c.Path(), "NETNS")
	line = regexp.MustCompile(`"(veth|bwp|ifb|pbi)[0-9a-z]+"`).ReplaceAllString(line, `"$1..."`)
	line = regexp.MustCompile(`"(bwp|ifb|pbi)\.\.\."`).ReplaceAllString(line, `"IFB"`)
	return regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`).ReplaceAllStringFunc(line, func(mac string) string {
		if strings.HasPrefix(mac, "02:11:22") || strings.HasPrefix(mac, "00:00:00") {
			return mac
		}
		return "MAC"
	})
}

// effect describes what the plugin is for, as others see it.
func (l *list) effect(t *testing.T, plugin string, near, far *list) string {
	t.Helper()
	switch plugin {
	case "portmap":
		var all []string
		for _, from := range []struct {
			name string
			at   *nettest.Netns
			to   string
		}{{"host", l.h.Netns, "192.0.2.1:8080"}, {"localhost", l.h.Netns, "127.0.0.1:8080"}, {"neighbour", near.c.Netns, "192.0.2.1:8080"}, {"itself", l.c.Netns, "192.0.2.1:8080"}, {"other bridge", far.c.Netns, "192.0.2.1:8080"}} {
			for _, network := range []string{"tcp", "udp"} {
				all = append(all, network+" from "+from.name+": "+seenFrom(from.at, network, from.to))
			}
		}
		return strings.Join(all, ", ")
	case "firewall":
		return fmt.Sprintf("neighbour %t, other bridge %t", l.reaches(t, near), l.reaches(t, far))
	case "bandwidth":
		return l.trafficControl(t)
	case "loopback":
		return fmt.Sprint("up ", strings.Contains(l.c.Run(t, "ip", "link", "show", "lo"), ",UP"))
	}
	return l.inContainer(t, plugin)
}

// inContainer describes what tuning and sbr change.
func (l *list) inContainer(t *testing.T, plugin string) string {
	t.Helper()
	if plugin == "sbr" {
		table, _ := l.c.Command("ip", "-4", "route", "show", "table", "100").Output() // an error if it does not exist
		other, _ := l.c.Command("ip", "-4", "route", "show", "table", "200").Output()
		return squeezed(l.c.Run(t, "ip", "rule", "show") + " table 100: " + string(table) + " table 200: " + string(other) + " main: " + l.c.Run(t, "ip", "-4", "route", "show", "table", "main"))
	}
	link := l.c.Run(t, "ip", "-d", "link", "show", "eth0")
	link = regexp.MustCompile(`(@if|link-netnsid |eth0: ?)[0-9]*|^[0-9]+: |numtxqueues.*|minmtu.*`).ReplaceAllString(link, "")
	link = regexp.MustCompile(`link/ether [0-9a-f:]*`).ReplaceAllStringFunc(link, func(mac string) string {
		return map[bool]string{true: mac, false: ""}[strings.Contains(mac, "02:11:22")]
	})
	return squeezed(link) + " arp_filter " + l.c.Sysctl("net/ipv4/conf/eth0/arp_filter") + " somaxconn " + l.c.Sysctl("net/core/somaxconn")
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// seenFrom sends a word and returns the source address that the container saw, "no" without an answer.
func seenFrom(from *nettest.Netns, network, to string) (seen string) {
	seen = "no"
	from.Do(func() {
		conn, err := net.DialTimeout(network, to, time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		buf := make([]byte, 100)
		if _, err := conn.Write([]byte("who")); err != nil {
			return
		}
		if n, err := conn.Read(buf); err == nil {
			seen = string(buf[:n])
		}
	})
	return seen
}

// TestParity: each name with each of its keys, beside the reference; table.md has the results.
//
// Claim: Under each name of a reference plugin results, effect, CHECK and DEL are the reference's, except for a closed list; see `test/verbs/names/table.md`
func TestParity(t *testing.T) {
	var mu sync.Mutex
	seen := map[string][2]observation{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range parityRows() {
			t.Run(r.plugin+" "+r.name, func(t *testing.T) {
				t.Parallel()
				both := [2]observation{observed(t, r, false), observed(t, r, true)}
				mu.Lock()
				defer mu.Unlock()
				seen[r.plugin+" "+r.name] = both
				same := true
				for _, step := range steps() {
					same = same && both[0][step] == both[1][step]
				}
				switch {
				case r.differs == "":
					expect.Equal(t, "reference and this program", both[1], both[0])
				case same:
					t.Errorf("nothing differs (%s): remove the reason", r.differs)
				}
			})
		}
	})
	if len(seen) == len(parityRows()) {
		compareTable(t, seen)
	}
}

// compareTable compares table.md with the results or, with PATCHBAY_UPDATE, writes it.
func compareTable(t *testing.T, seen map[string][2]observation) {
	t.Helper()
	const file = "table.md"
	var out strings.Builder
	out.WriteString("# The names of the reference plugins, beside the reference\n\nWritten by `TestParity` with PATCHBAY_UPDATE=1: each row ran with the reference plugin v1.9.1 and with this program under its name, behind the\nreference's bridge and host-local on two hosts of the same shape. Compared are ADD and its result, the effect (who reaches whom, rates, settings), CHECK, DEL, and the\neffect afterwards.\n\n| plugin | configuration | ADD, CHECK, DEL | differs in | why |\n|---|---|---|---|---|\n")
	for _, r := range parityRows() {
		both := seen[r.plugin+" "+r.name]
		var in []string
		for _, step := range steps() {
			if both[0][step] != both[1][step] {
				in = append(in, step)
			}
		}
		fmt.Fprintf(&out, "| %s | %s | %s, %s, %s | %s | %s |\n", r.plugin, r.name, both[1]["ADD"], both[1]["CHECK"], both[1]["DEL"], strings.Join(in, ", "), r.differs)
	}
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	want, err := os.ReadFile(file)
	if (string(want) != out.String() || err != nil) && !t.Failed() {
		t.Error(errors.Join(err, fmt.Errorf("test/verbs/names/%s differs from the results; run with PATCHBAY_UPDATE=1", file)))
		expect.Equal(t, file, out.String(), string(want))
	}
}
