package names

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// portmap returns the configuration of the plugin portmap with port mappings of the runtime.
func portmap(mappings ...cni.Conf) cni.Conf {
	conf := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}}
	if len(mappings) > 0 {
		conf = conf.With(cni.Ports(mappings...))
	}
	return conf
}

// web is a mapping of port 8080 of the host.
func web() cni.Conf { return cni.Conf{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"} }

// mains are the main plugins that a chained plugin may follow: which plugins of the list are the reference's, and the first one.
func mains() map[string]struct {
	reference []string
	conf      cni.Conf
} {
	type main = struct {
		reference []string
		conf      cni.Conf
	}
	return map[string]main{
		"bridge":                               {nil, bridge()},
		"patchbay":                             {nil, bridge(cni.Conf{"type": "buildkit-cni-bridge"})},
		"bridge of the reference":              {[]string{"bridge", "host-local"}, bridge()},
		"bridge of the reference, host-local":  {[]string{"bridge"}, bridge()},
		"ptp":                                  {[]string{"host-local"}, bridge(cni.Conf{"type": "ptp"})},
		"ptp with host-local of this program":  {nil, bridge(cni.Conf{"type": "ptp"})},
		"ptp with static of this program":      {nil, sources(true, false, false).With(cni.Conf{"type": "ptp"})},
		"bridge with static, in one process":   {nil, bridge(sources(true, false, false))},
		"bridge with static of the reference":  {[]string{"static"}, bridge(sources(true, false, false))},
		"bridge of the reference, with static": {[]string{"bridge"}, bridge(sources(true, false, false))},
	}
}

// answers reports whether a port of the host leads to the container, from the host itself.
func (l *list) answers(address string) bool {
	var conn net.Conn
	var err error
	l.h.Do(func() { conn, err = net.DialTimeout("tcp", address, 500*time.Millisecond) })
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// TestPortmap: behind each main plugin a port of the host leads to the container, by 127.0.0.1 too; CHECK passes; a second DEL, and one
// without namespace and prevResult, succeed; nothing is left.
//
// Claim: As portmap the program publishes ports behind its own bridge, the reference's bridge and ptp, in its nftables table
func TestPortmap(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, portmap(web(), cni.Conf{"hostPort": 5353, "containerPort": 53, "protocol": "udp"}))
			l.h.AddAddress("lo", "192.0.2.1/32")
			l.h.Baseline()
			before := l.h.CNI(t, l.callOf(t, "ADD", main.conf, nil)).OK(t)
			l.result = before.Stdout
			added := l.call(t, "ADD", l.plugins[1], l.result).OK(t)
			expect.Equal(t, "prevResult is passed on", decoded(t, added.Stdout), decoded(t, before.Stdout))
			serve.TCP(t, l.c.Netns, ":80", func(c net.Conn) {})
			for _, address := range []string{"192.0.2.1:8080", "127.0.0.1:8080"} {
				if !l.answers(address) {
					t.Errorf("%s does not answer", address)
				}
			}
			l.check(t)
			l.call(t, "DEL", l.plugins[1], l.result).OK(t)
			if l.answers("192.0.2.1:8080") {
				t.Error("the port answers after DEL")
			}
			if host := added.Result(t).Interfaces[0].Name; main.conf["type"] == "ptp" && l.h.Sysctl("net/ipv4/conf/"+host+"/route_localnet") != "0" {
				t.Errorf("%s routes 127.0.0.0/8 without the rule that keeps the container from it", host)
			}
			l.call(t, "DEL", l.plugins[1], nil).OK(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestPortmapDelNeedsNothing: DEL of portmap, and of the main plugin, after the container is gone.
//
// Claim: The DEL of a chained plugin needs neither network namespace nor prevResult, and the main plugin's removes what is left
func TestPortmapDelNeedsNothing(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, portmap(web()))
			l.add(t)
			l.c.Delete()
			call := l.callOf(t, "DEL", portmap(), nil)
			call.Netns = ""
			l.h.CNI(t, call).OK(t)
			call = l.callOf(t, "DEL", main.conf, nil)
			call.Netns = ""
			l.h.CNI(t, call).OK(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestMainPluginRemovesAll: a list of which portmap and firewall were removed since.
//
// Claim: The DEL of a chained plugin needs neither network namespace nor prevResult, and the main plugin's removes what is left
func TestMainPluginRemovesAll(t *testing.T) {
	t.Parallel()
	for _, main := range []cni.Conf{bridge(), bridge(cni.Conf{"type": "ptp"})} {
		l := newList(t, nil, main, portmap(web()), cni.Conf{"type": "firewall", "ingressPolicy": "isolated"})
		l.add(t)
		l.call(t, "DEL", main, l.result).OK(t)
		l.h.NoLeaks(t)
	}
}

// TestPortmapKeys: what the keys of the reference do.
//
// Claim: Keys of portmap and firewall that need iptables are refused or reported, whichever does no harm
func TestPortmapKeys(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, bridge())
	l.add(t)
	for name, row := range map[string]struct {
		conf cni.Conf
		code uint   // 0: succeeds
		says string // in the error or on stderr
	}{
		"snat false":                     {cni.Conf{"snat": false}, 0, ""},
		"masqAll":                        {cni.Conf{"masqAll": true}, 0, ""},
		"markMasqBit":                    {cni.Conf{"markMasqBit": 14}, 0, ""},
		"markMasqBit 32":                 {cni.Conf{"markMasqBit": 32}, 7, "markMasqBit"},
		"externalSetMarkChain":           {cni.Conf{"externalSetMarkChain": "KUBE-MARK-MASQ"}, 0, "externalSetMarkChain: \"KUBE-MARK-MASQ\" is a chain of iptables"},
		"externalSetMarkChain and a bit": {cni.Conf{"externalSetMarkChain": "KUBE-MARK-MASQ", "markMasqBit": 3}, 7, "externalSetMarkChain"},
		"conditionsV4":                   {cni.Conf{"conditionsV4": []string{"-s", "192.0.2.0/24"}}, 2, "conditionsV4"},
		"conditionsV6 of nothing":        {cni.Conf{"conditionsV6": []string{}}, 0, ""},
		"backend iptables":               {cni.Conf{"backend": "iptables"}, 0, ""},
		"backend of another":             {cni.Conf{"backend": "pf"}, 7, "backend"},
		"a port out of range":            {cni.Ports(cni.Conf{"hostPort": 70000, "containerPort": 80}), 7, "hostPort"},
		"a protocol of another":          {cni.Ports(cni.Conf{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}), 7, "protocol"},
	} {
		conf := portmap(web()).With(row.conf)
		answer := l.call(t, "ADD", conf, l.result)
		switch row.code {
		case 0:
			if answer.Exit != 0 || !strings.Contains(string(answer.Stderr), row.says) {
				t.Errorf("%s: %s", name, answer)
			}
			l.call(t, "CHECK", conf, l.result).OK(t)
			l.call(t, "DEL", conf, l.result).OK(t)
		default:
			if e := answer.Error(t); e.Code != row.code || !strings.Contains(e.Msg, row.says) {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	if e := l.call(t, "ADD", portmap(web()), nil).Error(t); e.Code != 7 || !strings.Contains(e.Msg, "prevResult") {
		t.Errorf("without prevResult: %+v", e)
	}
	l.del(t)
}

// TestPortmapTaken: a host port of another attachment is refused, and the record is as before.
//
// Claim: An ADD of a chained plugin that fails removes its own part and leaves the rest of the attachment
func TestPortmapTaken(t *testing.T) {
	t.Parallel()
	l := newList(t, []string{"bridge", "host-local"}, bridge(), portmap(web()))
	l.add(t)
	other := *l
	other.c = l.h.Container("c2")
	other.result = other.call(t, "ADD", bridge(), nil).OK(t).Stdout
	if e := other.call(t, "ADD", portmap(web()), other.result).Error(t); e.Code != 102 || !strings.Contains(e.Msg, "8080/tcp") {
		t.Errorf("%+v", e)
	}
	other.del(t)
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// TestPortsOfTheMainPlugin: where bridge has published the ports already, portmap has nothing to do and says so; a mapping that bridge
// does not have is published, with a warning.
//
// Claim: Where the own bridge has done the whole work, a later plugin of the list is a no-op that says so
func TestPortsOfTheMainPlugin(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, bridge(cni.Ports(web())), portmap(web()))
	l.h.AddAddress("lo", "192.0.2.1/32")
	l.h.Baseline()
	l.result = l.call(t, "ADD", l.plugins[0], nil).OK(t).Stdout
	call := l.callOf(t, "ADD", l.plugins[1], l.result)
	call.Env = []string{"PATCHBAY_VERBOSE=1"}
	if answer := l.h.CNI(t, call).OK(t); !strings.Contains(string(answer.Stderr), "portmap: done by the main plugin of the list: nothing to do") {
		t.Errorf("stderr: %s", answer.Stderr)
	}
	serve.TCP(t, l.c.Netns, ":80", func(c net.Conn) {})
	l.check(t)
	more := portmap(web(), cni.Conf{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"})
	if answer := l.call(t, "ADD", more, l.result).OK(t); !strings.Contains(string(answer.Stderr), "give portMappings to one of them") {
		t.Errorf("stderr: %s", answer.Stderr)
	}
	for _, port := range []string{"8080", "8081"} {
		if !l.answers("192.0.2.1:" + port) {
			t.Errorf("port %s does not answer", port)
		}
	}
	l.plugins[1] = more
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// TestForgedPrevResult: interfaces that prevResult names are not changed; the ends of the container interface are found in the kernel.
//
// Claim: prevResult is only a hint: a chained plugin changes no interface but those that the kernel shows for the container
func TestForgedPrevResult(t *testing.T) {
	t.Parallel()
	l := newList(t, []string{"bridge", "host-local"}, bridge())
	l.h.Run(t, "ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "uplink1")
	l.h.Baseline()
	l.add(t)
	forged := []byte(`{"cniVersion": "1.1.0", "interfaces": [{"name": "uplink0"}, {"name": "uplink0"}, {"name": "eth0", "sandbox": "` + l.c.Path() + `"}],
		"ips": [{"address": "10.9.9.9/24", "interface": 2}]}`)
	answer := l.call(t, "ADD", portmap(web()), forged).OK(t)
	if !strings.Contains(string(answer.Stderr), "prevResult has 10.9.9.9, which eth0 in the container does not have") {
		t.Errorf("stderr: %s", answer.Stderr)
	}
	policy := cni.Conf{"type": "firewall", "ingressPolicy": "isolated"}
	l.call(t, "ADD", policy, forged).OK(t)
	rules := l.h.Run(t, "nft", "list", "ruleset")
	if strings.Contains(rules, "uplink0") {
		t.Errorf("rules name the uplink:\n%s", rules)
	}
	l.call(t, "DEL", policy, forged).OK(t)
	l.call(t, "DEL", portmap(web()), forged).OK(t)
	l.del(t)
	l.h.NoLeaks(t)
}
