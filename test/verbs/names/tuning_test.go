package names

import (
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// tuned sets a sysctl and properties of the container interface.
func tuned(more ...cni.Conf) cni.Conf {
	return cni.Conf{
		"type": "tuning", "sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "500"},
		"mac": "02:11:22:33:44:55", "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 500,
	}.With(more...)
}

// TestTuning: the values behind each main plugin, the MAC in the result, CHECK, and what DEL restores on an interface that it keeps.
//
// Claim: As tuning the program sets and restores sysctls and properties of the container interface behind any main plugin
func TestTuning(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, tuned())
			l.result = l.call(t, "ADD", main.conf, nil).OK(t).Stdout
			before := l.inContainer(t, "tuning")
			l.result = l.call(t, "ADD", tuned(), l.result).OK(t).Stdout
			if strings.Count(string(l.result), "02:11:22:33:44:55") != 1 {
				t.Errorf("result: %s", l.result)
			}
			after := l.inContainer(t, "tuning")
			expect.Contains(t, after, "PROMISC", "mtu 1400", "qlen 500", "02:11:22:33:44:55", " arp_filter 1 somaxconn 500")
			l.check(t)
			l.c.Run(t, "ip", "link", "set", "eth0", "mtu", "1300")
			if e := l.call(t, "CHECK", tuned(), l.result).Error(t); e.Code != 106 || !strings.Contains(e.Msg, "1300") {
				t.Errorf("CHECK with another MTU: %+v", e)
			}
			l.call(t, "DEL", tuned(), l.result).OK(t)
			if main.conf["type"] == "ptp" || len(main.reference) > 0 && main.reference[0] == "bridge" { // of an interface that is not ours
				restored := l.inContainer(t, "tuning")
				expect.Equal(t, "restored", strings.TrimSuffix(restored, " somaxconn 500"), strings.TrimSuffix(before, " somaxconn 4096"))
			}
			l.call(t, "DEL", tuned(), nil).OK(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestTuningAndSpoofCheck: tuning changes the MAC of a container whose source addresses are checked: its frames still pass.
//
// Claim: A MAC that tuning sets is the one that the spoof check of the attachment lets pass
func TestTuningAndSpoofCheck(t *testing.T) {
	t.Parallel()
	for _, reference := range [][]string{nil, {"bridge", "host-local"}} {
		l := newList(t, reference, bridge(), firewall("isolated"), tuned())
		result := l.add(t)
		gateway := "10.1.0.1"
		if result.IPs[0].Gateway.String() != gateway {
			t.Fatalf("gateway: %v", result.IPs[0])
		}
		if out, err := l.c.Command("ping", "-c", "1", "-W", "2", gateway).CombinedOutput(); err != nil {
			t.Errorf("ping of the gateway: %v: %s", err, out)
		}
		l.check(t)
		l.del(t)
		l.h.NoLeaks(t)
	}
}

// TestTuningRefused: wrong sysctls change nothing.
//
// Claim: An ADD of a chained plugin that fails removes its own part and leaves the rest of the attachment
func TestTuningRefused(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, bridge())
	l.add(t)
	before := l.inContainer(t, "tuning")
	for name, conf := range map[string]cni.Conf{
		"kernel.hostname": {"sysctl": cni.Conf{"kernel.hostname": "x"}}, "net.ipv4.nothing": {"sysctl": cni.Conf{"net.ipv4.nothing": "1"}},
		"mac": {"mac": "01:02"}, "mtu": {"mtu": 10},
	} {
		if e := l.call(t, "ADD", tuned(conf), l.result).Error(t); !strings.Contains(e.Msg, strings.ReplaceAll(name, "ipv4.nothing", "ipv4.nothing")) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	expect.Equal(t, "the interface", l.inContainer(t, "tuning"), before)
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// TestSourceRouting: policy rules for the addresses of the interface behind each main plugin; DEL removes them, also twice.
//
// Claim: As sbr the program routes by source address behind any main plugin, and its DEL removes rules and tables
func TestSourceRouting(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sbr := cni.Conf{"type": "sbr"}
			l := newList(t, main.reference, main.conf, sbr)
			result := l.add(t)
			address := result.IPs[0].Address.IP.String()
			rules := l.c.Run(t, "ip", "rule", "show")
			if !strings.Contains(rules, "from "+address+" lookup 100") {
				t.Errorf("rules:\n%s", rules)
			}
			if table := l.c.Run(t, "ip", "route", "show", "table", "100"); !strings.Contains(table, "default via 10.1.0.1") {
				t.Errorf("table 100:\n%s", table)
			}
			l.checkBehind(t, main.reference)
			l.c.Run(t, "ip", "rule", "del", "from", address, "lookup", "100")
			if e := l.call(t, "CHECK", sbr, l.result).Error(t); e.Code != 106 {
				t.Errorf("CHECK without a rule: %+v", e)
			}
			l.call(t, "DEL", sbr, l.result).OK(t)
			l.call(t, "DEL", sbr, nil).OK(t)
			if rules := l.c.Run(t, "ip", "rule", "show"); strings.Contains(rules, address) {
				t.Errorf("rules after DEL:\n%s", rules)
			}
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestSourceRoutingTwice: ADD is called twice, behind each main plugin. The second one finds the routes that the first one moved.
//
// Claim: A second ADD of sbr succeeds, and CHECK after it
func TestSourceRoutingTwice(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sbr := cni.Conf{"type": "sbr"}
			l := newList(t, main.reference, main.conf, sbr)
			l.add(t)
			routes := func() string {
				return l.c.Run(t, "sh", "-c", "ip rule show; ip -4 route show table all; ip -6 rule show; ip -6 route show table all | grep -v fe80")
			}
			before := routes()
			l.call(t, "ADD", sbr, l.result).OK(t)
			expect.Equal(t, "rules and routes after the second ADD", routes(), before)
			l.call(t, "CHECK", sbr, l.result).OK(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestAllFive: the whole list, of which every plugin is this program, with traffic; then every DEL without the container.
//
// Claim: A list of the reference's names runs unmodified with the program under each name
func TestAllFive(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugins := []cni.Conf{main.conf, portmap(web()), firewall("same-bridge"), tuned(), slow(), {"type": "sbr"}}
			l := newList(t, main.reference, plugins...)
			l.add(t)
			l.checkBehind(t, main.reference)
			l.del(t)
			l.h.NoLeaks(t)
			l.add(t)
			l.deleteContainer(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// deleteContainer deletes the namespace and waits for the kernel, which deletes its interfaces later.
func (l *list) deleteContainer(t *testing.T) {
	t.Helper()
	l.c.Delete()
	for range 100 {
		if l.h.Run(t, "ip", "-o", "link", "show", "type", "veth") == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the veth pair of a deleted namespace is there after 10 s")
}

// checkBehind calls CHECK of each plugin. Those of the reference's main plugins fail once sbr has moved the routes, with the reference's sbr
// too.
func (l *list) checkBehind(t *testing.T, reference []string) {
	t.Helper()
	whole := l.plugins
	if l.plugins[0]["type"] == "ptp" || len(reference) > 0 && reference[0] == "bridge" {
		l.plugins = l.plugins[1:]
	}
	l.check(t)
	l.plugins = whole
}
