package names

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func firewall(policy string) cni.Conf { return cni.Conf{"type": "firewall", "ingressPolicy": policy} }

// attached adds a container to a list of its own on the host of another one.
func (l *list) attached(t *testing.T, name, network string, plugins ...cni.Conf) *list {
	t.Helper()
	other := &list{h: l.h, c: l.h.Container(name), dir: l.dir, name: network, version: l.version, plugins: plugins}
	other.add(t)
	return other
}

// reaches reports whether a container has replies from another one.
func (l *list) reaches(t *testing.T, other *list) bool {
	t.Helper()
	var result struct {
		IPs []struct{ Address string } `json:"ips"`
	}
	decodeInto(t, other.result, &result)
	address, _, _ := strings.Cut(result.IPs[0].Address, "/")
	_, err := l.c.Command("ping", "-c", "1", "-W", "1", address).CombinedOutput()
	return err == nil
}

// TestIngressPolicy: who reaches whom, behind the bridge of either and behind ptp.
//
// Claim: As firewall the program isolates containers behind any main plugin with a veth pair, as ingressPolicy of the reference says
func TestIngressPolicy(t *testing.T) {
	t.Parallel()
	for name, reference := range map[string][]string{"bridge": nil, "bridge of the reference": {"bridge", "host-local"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for policy, neighbour := range map[string]bool{"open": true, "same-bridge": true, "isolated": false} {
				l := newList(t, reference, bridge(), firewall(policy))
				l.add(t)
				second := l.attached(t, "c2", "net", l.plugins...)
				far := l.attached(t, "c3", "far", bridge(cni.Conf{"bridge": "cni1", "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.2.0.0/24"), "routes": []cni.Conf{{"dst": "0.0.0.0/0"}}}}), firewall(policy))
				expect.Equal(t, policy+": a neighbour on the bridge", l.reaches(t, second), neighbour)
				expect.Equal(t, policy+": a container of another bridge", l.reaches(t, far), policy == "open")
				for _, each := range []*list{l, second, far} {
					each.check(t)
					each.del(t)
				}
				l.h.NoLeaks(t)
			}
		})
	}
}

// TestIngressPolicyPointToPoint: containers of ptp, each of which has an interface of the host of its own.
//
// Claim: As firewall the program isolates containers behind any main plugin with a veth pair, as ingressPolicy of the reference says
func TestIngressPolicyPointToPoint(t *testing.T) {
	t.Parallel()
	ptp := bridge(cni.Conf{"type": "ptp"})
	for policy, reached := range map[string]bool{"open": true, "isolated": false} {
		l := newList(t, nil, ptp, portmap(web()), firewall(policy))
		l.add(t)
		other := l.attached(t, "c2", "net", ptp, firewall(policy))
		expect.Equal(t, policy, l.reaches(t, other), reached)
		l.check(t)
		l.del(t)
		other.check(t)
		other.del(t)
		l.h.NoLeaks(t)
	}
}

// TestFirewallKeys: what the keys of the reference do.
//
// Claim: Keys of portmap and firewall that need iptables are refused or reported, whichever does no harm
func TestFirewallKeys(t *testing.T) {
	t.Parallel()
	l := newList(t, []string{"bridge", "host-local"}, bridge())
	l.add(t)
	for name, row := range map[string]struct {
		conf cni.Conf
		code uint
		says string
	}{
		"nothing":                     {cni.Conf{}, 0, ""},
		"backend of Podman":           {cni.Conf{"backend": ""}, 0, ""},
		"backend iptables":            {cni.Conf{"backend": "iptables"}, 0, ""},
		"backend firewalld":           {cni.Conf{"backend": "firewalld", "firewalldZone": "trusted"}, 0, ""},
		"backend of another":          {cni.Conf{"backend": "pf"}, 0, "backend: pf is not known"},
		"iptablesAdminChainName":      {cni.Conf{"iptablesAdminChainName": "MINE"}, 0, "iptablesAdminChainName: MINE is a chain of iptables"},
		"firewalldZone":               {cni.Conf{"firewalldZone": "work"}, 0, "firewalldZone: work is not changed"},
		"ingressPolicy of another":    {cni.Conf{"ingressPolicy": "closed"}, 7, "ingressPolicy"},
		"ingressPolicy as a number":   {cni.Conf{"ingressPolicy": 1}, 7, "ingressPolicy"},
		"backend that is no string":   {cni.Conf{"backend": 1}, 7, "backend"},
		"same-bridge and isolated no": {firewall("same-bridge"), 0, ""},
	} {
		conf := cni.Conf{"type": "firewall"}.With(row.conf)
		answer := l.call(t, "ADD", conf, l.result)
		if row.code == 0 {
			if answer.Exit != 0 || !strings.Contains(string(answer.Stderr), row.says) {
				t.Errorf("%s: %s", name, answer)
			}
			l.call(t, "CHECK", conf, l.result).OK(t)
			l.call(t, "DEL", conf, l.result).OK(t)
			continue
		}
		if e := answer.Error(t); e.Code != row.code || !strings.Contains(e.Msg, row.says) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	l.del(t)
	l.h.NoLeaks(t)
}

// TestContradictingPolicies: the bridge of the list has a policy, and firewall another one.
//
// Claim: Where the own bridge has done the whole work, a later plugin of the list is a no-op that says so
func TestContradictingPolicies(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, bridge(cni.Conf{"ingressPolicy": "isolated"}))
	l.add(t)
	second := l.attached(t, "c2", "net", l.plugins...)
	if answer := l.call(t, "ADD", firewall("same-bridge"), l.result).OK(t); !strings.Contains(string(answer.Stderr), "the main plugin of this list has applied isolated") {
		t.Errorf("stderr: %s", answer.Stderr)
	}
	l.call(t, "CHECK", firewall("same-bridge"), l.result).OK(t)
	l.call(t, "DEL", firewall("same-bridge"), l.result).OK(t)
	if l.reaches(t, second) {
		t.Error("the policy of the bridge is gone")
	}
	second.check(t)
	second.del(t)
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// TestMacvlan: the container interface has no other end on the host. Ports are published, but not on 127.0.0.1; a policy is refused.
//
// Claim: As portmap the program publishes ports behind its own bridge, the reference's bridge and ptp, in its nftables table
func TestMacvlan(t *testing.T) {
	t.Parallel()
	macvlan := cni.Conf{"type": "macvlan", "master": "up0", "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24")}}
	l := newList(t, nil, macvlan, portmap(web()), cni.Conf{"type": "firewall"})
	l.h.Run(t, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
	l.h.Run(t, "ip", "link", "set", "up0", "up")
	l.h.Baseline()
	l.add(t)
	if rules := l.h.Run(t, "nft", "list", "map", "inet", "patchbay", "publish4"); !strings.Contains(rules, "tcp . 8080") {
		t.Errorf("the port is not published:\n%s", rules)
	}
	if e := l.call(t, "ADD", firewall("isolated"), l.result).Error(t); e.Code != 7 || !strings.Contains(e.Msg, "ingressPolicy: eth0 of the container has no other end") {
		t.Errorf("%+v", e)
	}
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// TestWholeList: five programs of one list, with a node reload between.
//
// Claim: A list of the reference's names runs unmodified with the program under each name
func TestWholeList(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, cni.Conf{"type": "loopback"}, main.conf, portmap(web()), firewall("same-bridge"))
			l.c.Run(t, "ip", "link", "set", "lo", "down") // as DEL of loopback leaves it
			l.h.Baseline()
			l.add(t)
			l.check(t)
			l.h.Run(t, "nft", "flush", "ruleset")
			l.h.Run(t, nettest.Patchbay(t), "reload")
			l.check(t)
			l.collect(t, map[string]string{"containerID": l.c.ID(), "ifname": "eth0"})
			l.check(t)
			l.call(t, "STATUS", l.plugins[2], nil).OK(t)
			l.call(t, "STATUS", l.plugins[3], nil).OK(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// collect calls GC of each plugin of this program with the valid attachments.
func (l *list) collect(t *testing.T, valid ...map[string]string) {
	t.Helper()
	for _, plugin := range l.plugins {
		if plugin["type"] == "ptp" || plugin["type"] == "macvlan" {
			continue
		}
		l.call(t, "GC", plugin.With(cni.Conf{"cni.dev/valid-attachments": append([]map[string]string{}, valid...)}), nil).OK(t)
	}
}

// TestGCRemovesParts: containers that were deleted without DEL.
//
// Claim: GC of a chained plugin removes what unlisted attachments have, behind another main plugin too
func TestGCRemovesParts(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, portmap(web()), firewall("same-bridge"))
			l.add(t)
			l.c.Delete()
			l.plugins = l.plugins[1:]
			l.collect(t)
			for _, entry := range []string{"tcp . 8080", "patchbay:"} {
				if rules := l.h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, entry) {
					t.Errorf("the ruleset has %q", entry)
				}
			}
			l.call(t, "DEL", main.conf, l.result).OK(t) // of the reference's address file
			l.h.NoLeaks(t)
		})
	}
}
