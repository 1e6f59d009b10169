package firewall_test

import (
	"fmt"
	"strings"
	"testing"
)

// Each chain jumps to the next one more than once: an evaluation of every path would visit 3^14 chains.
//
// Claim: Such rules are found whatever the ruleset's size, and while it changes
func TestDropsOfEntangledChains(t *testing.T) {
	t.Parallel()
	h := host(t)
	var rules strings.Builder
	rules.WriteString("table inet filter { chain c14 { meta cpu 0 accept; meta cpu 1 drop; }\n")
	for i := 13; i >= 0; i-- {
		fmt.Fprintf(&rules, "chain c%d { meta cpu 0 jump c%d; meta cpu 1 goto c%d; ct state new jump c%d; }\n", i, i+1, i+1, i+1)
	}
	rules.WriteString("chain forward { type filter hook forward priority filter; policy drop;\njump c0\n}\n}\n")
	load(t, h, rules.String())
	if got, want := verdicts(drops(t, h, usual())), kinds(leaving+"?", returning+"?", published+"?", neighbours+"?"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A rule and a chain for each of many services, as kube-proxy has them, more than mostChains. Rules for one
// address do not decide.
//
// Claim: Such rules are found whatever the ruleset's size, and while it changes
func TestDropsOfManyChains(t *testing.T) {
	t.Parallel()
	h := host(t)
	const services = 6000
	var chains, jumps strings.Builder
	for i := range services {
		fmt.Fprintf(&chains, "chain svc-%d { ct state invalid drop; }\n", i)
		fmt.Fprintf(&jumps, "ip daddr 10.96.%d.%d tcp dport 80 jump svc-%d\n", i/250, i%250, i)
	}
	load(t, h, "table ip filter {\n"+chains.String()+"chain services {\n"+jumps.String()+"}\nchain forward { type filter hook forward priority filter; policy drop;\njump services\n"+`oifname "cni0" accept`+"\n}\n}\n")
	b := usual()
	b.IPv6 = false
	if got, want := verdicts(drops(t, h, b)), kinds(leaving+"/4?", published+"/4?"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A chain with 20000 rules and a set with 20001 elements.
//
// Claim: Such rules are found whatever the ruleset's size, and while it changes
func TestDropsOfManyRules(t *testing.T) {
	t.Parallel()
	h := host(t)
	var rules, members strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&rules, "iifname \"cali%d\" accept\n", i)
		fmt.Fprintf(&members, "\"veth%d\",\n", i)
	}
	load(t, h, "table inet filter {\nset links { type ifname; elements = {\n"+members.String()+"\"cni0\" }\n}\n"+
		"chain long {\n"+rules.String()+"}\nchain forward { type filter hook forward priority filter; policy drop;\njump long\niifname @links accept\n}\n}\n")
	if got, want := verdicts(drops(t, h, usual())), kinds(returning, published); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
