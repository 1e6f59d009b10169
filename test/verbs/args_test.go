package verbs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMAC: of CNI_ARGS, args.cni and runtimeConfig the last one that is set takes effect, in the kernel and in the
// result.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestMAC(t *testing.T) {
	t.Parallel()
	const one, two, three = "02:00:00:00:53:01", "02:00:00:00:53:02", "02:00:00:00:53:03"
	tests := []struct {
		name, args string
		conf       cni.Conf
		want       string
	}{
		{"CNI_ARGS", "MAC=" + one, nil, one},
		{"args.cni.mac", "", cni.Args(cni.Conf{"mac": two}), two},
		{"runtimeConfig.mac", "", cni.RuntimeConfig(cni.Conf{"mac": three}), three},
		{"args.cni.mac over CNI_ARGS", "MAC=" + one, cni.Args(cni.Conf{"mac": two}), two},
		{"runtimeConfig.mac over all", "MAC=" + one, cni.Args(cni.Conf{"mac": two}).With(cni.RuntimeConfig(cni.Conf{"mac": three})), three},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, cni.Network(tt.conf))
			a.args = tt.args
			r := a.add(t)
			expect.Equal(t, "MAC", c.MAC("eth0"), tt.want)
			expect.Equal(t, "MAC in the result", r.Interfaces[2].Mac, tt.want)
			expect.Equal(t, "host end", h.MAC(hostEnd(t, r))[:2], "fe")
			a.check(t)
		})
	}
}

// TestRequestedAddresses: the addresses of CNI_ARGS, args.cni and runtimeConfig are all assigned; a prefix length in a
// request is ignored.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestRequestedAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, args string
		conf       cni.Conf
		want       []string
	}{
		{"CNI_ARGS", "IP=10.1.0.77", nil, []string{"10.1.0.77/24", "fd00:1::2/64"}},
		{"CNI_ARGS with length", "IP=10.1.0.77/16", nil, []string{"10.1.0.77/24", "fd00:1::2/64"}},
		{"CNI_ARGS, several", "IP=10.1.0.77,fd00:1::77", nil, []string{"10.1.0.77/24", "fd00:1::77/64"}},
		{"args.cni.ips", "", cni.Args(cni.Conf{"ips": []string{"fd00:1::78"}}), []string{"10.1.0.2/24", "fd00:1::78/64"}},
		{"runtimeConfig.ips", "", cni.RuntimeConfig(cni.Conf{"ips": []string{"10.1.0.79/24", "fd00:1::79/64"}}), []string{"10.1.0.79/24", "fd00:1::79/64"}},
		{"all three", "IP=10.1.0.80", cni.RuntimeConfig(cni.Conf{"ips": []string{"fd00:1::80"}}), []string{"10.1.0.80/24", "fd00:1::80/64"}},
		{"the same twice", "IP=10.1.0.81", cni.Args(cni.Conf{"ips": []string{"10.1.0.81"}}), []string{"10.1.0.81/24", "fd00:1::2/64"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"), tt.conf))
			a.args = tt.args
			expect.Equal(t, "addresses", addresses(a.add(t)), tt.want)
			expect.Equal(t, "in the kernel", addressesOf(t, c.Netns, "eth0"), tt.want)
			a.check(t)
		})
	}
}

// TestIPRanges: the runtime's ranges come before the configured ones, or replace them.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestIPRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ranges := cni.RuntimeConfig(cni.Conf{"ipRanges": [][]cni.Conf{{{"subnet": "10.7.0.0/24"}}, {{"subnet": "fd00:7::/64"}}}})
	a, r := attach(t, h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24"), ranges))
	expect.Equal(t, "with ranges", addresses(r), []string{"10.7.0.2/24", "fd00:7::2/64", "10.1.0.2/24"})
	a.check(t)
	_, r = attach(t, h, h.Container("d"), cni.Network(cni.IPAM(), ranges, cni.Conf{"name": "other", "bridge": "cni1"}))
	expect.Equal(t, "alone", addresses(r), []string{"10.7.0.2/24", "fd00:7::2/64"})
}

// TestDelWithoutTheIPRanges: a restarted runtime does not pass the ranges that it passed to ADD.
func TestDelWithoutTheIPRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.IPAM(), cni.RuntimeConfig(cni.Conf{"ipRanges": [][]cni.Conf{{{"subnet": "10.7.0.0/24"}}}})))
	a.conf = cni.Network(cni.IPAM())
	a.del(t)
	noLeaks(t, h)
}

// TestGatewayOfArgs: the gateway of args.cni replaces that of the range whose subnet contains it, in result, record
// and route, but not on the bridge.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestGatewayOfArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	a.args = "IP=10.1.0.77;GATEWAY=10.1.0.254,fd00:1::fe"
	r := a.add(t)
	expect.Equal(t, "gateways", []string{r.IPs[0].Gateway.String(), r.IPs[1].Gateway.String()}, []string{"10.1.0.254", "fd00:1::fe"})
	expect.Equal(t, "bridge", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24", "fd00:1::1/64"})
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.254", Table: mainTable}, {Dst: "::/0", GW: "fd00:1::fe", Priority: 1024, Table: mainTable},
	})
	expect.Contains(t, files(t, h, "/run/patchbay/net")[a.id+"@eth0.json"], `"gateway": "10.1.0.254"`, `"gateway": "fd00:1::fe"`)
	ping(t, c.Netns, "10.1.0.1")
	a.check(t)
}

// TestKubernetesArgs: they are accepted without IgnoreUnknown, and the record names the pod.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestKubernetesArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24")))
	a.args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=" + a.id + ";K8S_POD_UID=1234-5678"
	a.add(t)
	var record struct {
		Pod struct{ Namespace, Name, UID string }
	}
	if err := json.Unmarshal([]byte(files(t, h, "/run/patchbay/net")[a.id+"@eth0.json"]), &record); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "pod", record.Pod, struct{ Namespace, Name, UID string }{"default", "web-0", "1234-5678"})
	a.check(t)
}

// TestIgnoreUnknown: unknown keys of CNI_ARGS are accepted with it and are an error without it.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestIgnoreUnknown(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network())
	a.args = "FOO=bar"
	expect.Contains(t, a.fails(t, "ADD", 4).Msg, "CNI_ARGS", "FOO")
	for _, yes := range []string{"1", "true", "TRUE"} {
		a.args = "FOO=bar;IgnoreUnknown=" + yes
		a.add(t)
		a.del(t)
	}
}

// TestUnknownKeysAreIgnored: unknown keys of the configuration are ignored, as the specification requires.
func TestUnknownKeysAreIgnored(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{
		"futureKey": 7, "capabilities": cni.Conf{"mac": true}, "ipMasq": false, "vlan": 0, "runtimeConfig": cni.Conf{"portMappings": []int{}},
	}))
	a.check(t)
}

// TestDNS: it comes from the runtime, else from the key dns, else from a resolv.conf.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestDNS(t *testing.T) {
	t.Parallel()
	own := cni.Conf{"dns": cni.Conf{"nameservers": []string{"10.1.0.53"}, "domain": "example.net", "search": []string{"a.example", "b.example"}, "options": []string{"ndots:2"}}}
	runtime := cni.RuntimeConfig(cni.Conf{"dns": cni.Conf{"servers": []string{"192.0.2.53"}, "searches": []string{"c.example"}, "options": []string{"rotate"}}})
	resolv := func(path string) cni.Conf {
		return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "resolvConf": path})
	}
	const file = "# servers\nnameserver 203.0.113.53\nnameserver 2001:db8::53\n; more\ndomain old.example\ndomain d.example\nsearch e.example f.example\noptions ndots:5 edns0\n"
	tests := []struct {
		name string
		conf cni.Conf
		want []string // servers, domain, search, options
	}{
		{"none", cni.Pool("10.1.0.0/24"), []string{"", "", "", ""}},
		{"dns", own.With(cni.Pool("10.1.0.0/24")), []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
		{"dns without ipam", own, []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
		{"runtimeConfig.dns", runtime.With(own), []string{"192.0.2.53", "", "c.example", "rotate"}},
		{"resolvConf", resolv("/run/resolv.conf"), []string{"203.0.113.53 2001:db8::53", "d.example", "e.example f.example", "ndots:5 edns0"}},
		{"dns over resolvConf", resolv("/run/resolv.conf").With(own), []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			writeFile(t, h, "/run/resolv.conf", file)
			a, r := attach(t, h, h.Container("c"), cni.Network(tt.conf))
			d := r.DNS
			expect.Equal(t, "dns", []string{strings.Join(d.Nameservers, " "), d.Domain, strings.Join(d.Search, " "), strings.Join(d.Options, " ")}, tt.want)
			a.check(t)
		})
	}
}

// TestResolvConfMissing: the error names the file, and ADD leaves nothing.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestResolvConfMissing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	a := on(h, h.Container("c"), cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "resolvConf": "/run/none.conf"})))
	expect.Contains(t, a.fails(t, "ADD", 5).Msg, "ipam.resolvConf", "/run/none.conf")
}
