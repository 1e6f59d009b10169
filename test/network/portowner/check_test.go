package portowner

import (
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// drifted checks that CHECK reports a difference, with its remedy.
func (b *attachment) drifted(t *testing.T, what string) {
	t.Helper()
	e := b.do(t, "CHECK").Error(t)
	if e.Code != codeDrift || !strings.Contains(e.Msg+" "+e.Details, what) {
		t.Errorf("CHECK says %d, %s, %s; want %q", e.Code, e.Msg, e.Details, what)
	}
	expect.Contains(t, e.Details, "patchbay reload")
}

// TestCheckMissesEachThing: CHECK names each missing part of a published port or an isolated network; reload restores the ruleset exactly, and
// connections work.
//
// Claim: CHECK reports by name each missing part of a port or of isolation, and ports that differ from the runtime's; reload restores all
// of it
func TestCheckMissesEachThing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		keys cni.Conf
		rows map[string]string // what CHECK reports after a command
	}{
		"masquerading": {cni.Conf{"ipMasq": true, "markMasqBit": 20, "masqAll": true}, map[string]string{
			"nft delete element inet patchbay publish4 { tcp . 8080 }":                      "map publish4 of nftables lacks tcp . 8080",
			"nft delete element inet patchbay publish6 { tcp . 8080 }":                      "map publish6 of nftables lacks tcp . 8080",
			"nft delete element inet patchbay mark6 { tcp . 8080 }":                         "map mark6 of nftables lacks tcp . 8080",
			`nft delete element inet patchbay self4 { "cni0" . 10.88.0.2 . 10.88.0.2 }`:     "map self4 of nftables lacks cni0 . 10.88.0.2 . 10.88.0.2",
			`nft delete element inet patchbay all6 { "cni0" . fd00:88::2 }`:                 "map all6 of nftables lacks cni0 . fd00:88::2",
			`nft delete element inet patchbay intra { "cni0" . "cni0" }`:                    "lacks cni0 . cni0",
			`nft delete element inet patchbay localnet { "cni0" }`:                          "lacks cni0",
			"nft flush chain inet patchbay publish":                                         "chain publish of nftables has 0 rules",
			"nft flush chain inet patchbay publish_20":                                      "chain publish_20 of nftables has 0 rules",
			"nft flush chain inet patchbay output":                                          "chain output of nftables has 0 rules",
			"nft flush chain inet patchbay hairpin":                                         "chain hairpin of nftables has 0 rules",
			"echo 0 >/proc/sys/net/ipv4/conf/cni0/route_localnet":                           "published ports are not reached by 127.0.0.1: route_localnet of bridge cni0 is 0",
			"nft delete table inet patchbay":                                                "table inet patchbay of nftables is missing, and with it masquerading of 10.88.0.2 and fd00:88::2, the published ports of 10.88.0.2",
			"nft flush ruleset; echo 0 >/proc/sys/net/ipv4/conf/cni0/route_localnet":        "table inet patchbay of nftables is missing",
			"nft flush chain inet patchbay postrouting; nft delete map inet patchbay masq4": "map masq4 of nftables lacks cni0 . 10.88.0.2",
			"nft delete element inet patchbay publish4 { tcp . 8080 }; nft add element inet patchbay publish4 { tcp . 8080 comment unknown : 10.88.0.9 . 80 }": `map publish4 of nftables has tcp . 8080 with owner "unknown"`,
		}},
		"isolated": {cni.Conf{"ingressPolicy": "isolated", "firewall": "none"}, map[string]string{
			"nft delete table bridge patchbay":                           "map ports_apart of nftables lacks veth",
			"nft flush set bridge patchbay ports_apart":                  "map ports_apart of nftables lacks veth",
			"nft flush chain bridge patchbay forward":                    "chain forward of table bridge patchbay of nftables has 0 rules, not ",
			`nft delete element inet patchbay apart { "cni0" . "cni0" }`: "lacks cni0 . cni0",
			`nft delete element inet patchbay isolated { "cni0" }`:       "lacks cni0",
			"nft flush chain inet patchbay forward":                      "chain forward of nftables has 0 rules",
			"nft flush ruleset":                                          "table inet patchbay of nftables is missing, and with it the published ports of 10.88.0.2, the isolation of bridge cni0",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			b, neighbour := on(h, "web", network("net", "cni0", tc.keys), mapping(8080)), on(h, "neighbour", network("net", "cni0", tc.keys))
			b.add(t)
			b.serve(t)
			neighbour.add(t)
			b.do(t, "CHECK").OK(t)
			before := rules(t, h)
			for harm, what := range tc.rows {
				h.Run(t, "sh", "-c", harm)
				b.drifted(t, what)
				h.Run(t, nettest.Patchbay(t), "reload")
				b.do(t, "CHECK").OK(t)
				neighbour.do(t, "CHECK").OK(t)
				sameRules(t, h, before, "by "+harm+" and reload")
				b.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
			}
			b.del(t)
			neighbour.del(t)
		})
	}
}

// TestReloadIsolatesAgain: after a flush of the ruleset neighbours reach each other, after reload they do not.
//
// Claim: CHECK reports by name each missing part of a port or of isolation, and ports that differ from the runtime's; reload restores all
// of it
func TestReloadIsolatesAgain(t *testing.T) {
	t.Parallel()
	h := host(t)
	config := network("net", "cni0", cni.Conf{"ingressPolicy": "isolated", "firewall": "none"})
	one, other := on(h, "one", config, mapping(8080)), on(h, "other", config)
	one.add(t)
	one.serve(t)
	other.add(t)
	reaches := func(want bool, patience time.Duration) {
		t.Helper()
		for _, address := range []string{"10.88.0.2:80", "[fd00:88::2]:80"} {
			said, err := ask(other.Netns, address, patience)
			if (said == "one") != want {
				t.Errorf("%s reached by a neighbour: %q, %v; want %t", address, said, err, want)
			}
		}
	}
	reaches(false, 300*time.Millisecond)
	h.Run(t, "nft", "flush", "ruleset")
	reaches(true, 10*time.Second)
	h.Run(t, nettest.Patchbay(t), "reload")
	reaches(false, 300*time.Millisecond)
	one.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8080")
	one.del(t)
	other.del(t)
}

// TestCheckComparesTheRuntimesPorts: CHECK compares the port mappings that the runtime passes with the published ones; it may pass none.
//
// Claim: CHECK reports by name each missing part of a port or of isolation, and ports that differ from the runtime's; reload restores all
// of it
func TestCheckComparesTheRuntimesPorts(t *testing.T) {
	t.Parallel()
	h := host(t)
	b, none := on(h, "web", network("net", "cni0"), mapping(8080), mapping(8081, cni.Conf{"range": 2, "protocol": "udp"})), on(h, "none", network("net", "cni0"))
	b.add(t)
	none.add(t)
	for name, tc := range map[string]struct {
		of       *attachment
		mappings []cni.Conf
		want     string
	}{
		"the same":         {b, b.mappings, ""},
		"in another order": {b, []cni.Conf{b.mappings[1], b.mappings[0]}, ""},
		"not passed":       {b, nil, ""},
		"another number":   {b, []cni.Conf{mapping(8082), b.mappings[1]}, "port 8082/tcp of the configuration is not published by this attachment"},
		"another protocol": {b, []cni.Conf{mapping(8080, cni.Conf{"protocol": "sctp"}), b.mappings[1]}, "port 8080/sctp of the configuration is not published by this attachment"},
		"another target":   {b, []cni.Conf{mapping(8080, cni.Conf{"containerPort": 81}), b.mappings[1]}, "port 8080/tcp of the configuration is not published by this attachment"},
		"another address":  {b, []cni.Conf{mapping(8080, of(gateway4)), b.mappings[1]}, "port 8080/tcp of the configuration is not published by this attachment"},
		"another range":    {b, []cni.Conf{b.mappings[0], mapping(8081, cni.Conf{"range": 3, "protocol": "udp"})}, "port 8081/udp of the configuration is not published by this attachment"},
		"one more":         {b, append([]cni.Conf{mapping(9090)}, b.mappings...), "port 9090/tcp of the configuration is not published by this attachment"},
		"one less":         {b, b.mappings[:1], "the attachment publishes 4 mappings, the configuration has 2"},
		"none published":   {none, []cni.Conf{mapping(9090)}, "port 9090/tcp of the configuration is not published by this attachment"},
	} {
		call := tc.of.call(t, "CHECK")
		passed := &attachment{Container: tc.of.Container, h: h, config: tc.of.config, mappings: tc.mappings, prev: tc.of.prev}
		call.Config = passed.call(t, "CHECK").Config
		a := h.CNI(t, call)
		if tc.want == "" {
			a.OK(t)
			continue
		}
		if e := a.Error(t); e.Code != codeDrift || e.Msg != tc.want {
			t.Errorf("%s: CHECK says %d, %q, want %q", name, e.Code, e.Msg, tc.want)
		}
	}
	for _, key := range []cni.Conf{{"snat": false}, {"masqAll": true}, {"markMasqBit": 20}, {"hostLocalhost": false}} {
		changed := &attachment{Container: b.Container, h: h, config: network("net", "cni0", key), mappings: b.mappings, prev: b.prev}
		const want = "the ports were published with other settings than the configuration now has (snat, masqAll, markMasqBit, hostLocalhost)"
		if e := h.CNI(t, changed.call(t, "CHECK")).Error(t); e.Code != codeDrift || e.Msg != want {
			t.Errorf("%v: CHECK says %d, %q, want %q", key, e.Code, e.Msg, want)
		}
	}
	b.del(t)
	none.del(t)
}
