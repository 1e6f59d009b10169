package verbs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestMAC of CNI_ARGS, args.cni and runtimeConfig: the later in this list wins, and it is in kernel and result.
func TestMAC(t *testing.T) {
	t.Parallel()
	const one, two, three = "02:00:00:00:53:01", "02:00:00:00:53:02", "02:00:00:00:53:03"
	tests := []struct {
		name, args string
		conf       conf
		want       string
	}{
		{"CNI_ARGS", "MAC=" + one, nil, one},
		{"args.cni.mac", "", cniArgs(conf{"mac": two}), two},
		{"runtimeConfig.mac", "", runtimeConfig(conf{"mac": three}), three},
		{"args.cni.mac over CNI_ARGS", "MAC=" + one, cniArgs(conf{"mac": two}), two},
		{"runtimeConfig.mac over all", "MAC=" + one, cniArgs(conf{"mac": two}).with(runtimeConfig(conf{"mac": three})), three},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, network(tt.conf))
			a.args = tt.args
			r := a.add(t)
			expect.Equal(t, "MAC", c.MAC("eth0"), tt.want)
			expect.Equal(t, "MAC in the result", r.Interfaces[2].Mac, tt.want)
			expect.Equal(t, "host end", h.MAC(hostEnd(t, r))[:2], "fe")
			a.check(t)
		})
	}
}

// TestRequestedAddresses of CNI_ARGS, args.cni and runtimeConfig; the three add up, and a length says nothing.
func TestRequestedAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, args string
		conf       conf
		want       []string
	}{
		{"CNI_ARGS", "IP=10.1.0.77", nil, []string{"10.1.0.77/24", "fd00:1::2/64"}},
		{"CNI_ARGS with length", "IP=10.1.0.77/16", nil, []string{"10.1.0.77/24", "fd00:1::2/64"}},
		{"CNI_ARGS, several", "IP=10.1.0.77,fd00:1::77", nil, []string{"10.1.0.77/24", "fd00:1::77/64"}},
		{"args.cni.ips", "", cniArgs(conf{"ips": []string{"fd00:1::78"}}), []string{"10.1.0.2/24", "fd00:1::78/64"}},
		{"runtimeConfig.ips", "", runtimeConfig(conf{"ips": []string{"10.1.0.79/24", "fd00:1::79/64"}}), []string{"10.1.0.79/24", "fd00:1::79/64"}},
		{"all three", "IP=10.1.0.80", runtimeConfig(conf{"ips": []string{"fd00:1::80"}}), []string{"10.1.0.80/24", "fd00:1::80/64"}},
		{"the same twice", "IP=10.1.0.81", cniArgs(conf{"ips": []string{"10.1.0.81"}}), []string{"10.1.0.81/24", "fd00:1::2/64"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, network(gateway(), pool("10.1.0.0/24", "fd00:1::/64"), tt.conf))
			a.args = tt.args
			expect.Equal(t, "addresses", addresses(a.add(t)), tt.want)
			expect.Equal(t, "in the kernel", addressesOf(t, c.Netns, "eth0"), tt.want)
			a.check(t)
		})
	}
}

// TestIPRanges of the runtime come before the configured ones, or instead of them.
func TestIPRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ranges := runtimeConfig(conf{"ipRanges": [][]conf{{{"subnet": "10.7.0.0/24"}}, {{"subnet": "fd00:7::/64"}}}})
	a, r := attach(t, h, h.Container("c"), network(pool("10.1.0.0/24"), ranges))
	expect.Equal(t, "with ranges", addresses(r), []string{"10.7.0.2/24", "fd00:7::2/64", "10.1.0.2/24"})
	a.check(t)
	_, r = attach(t, h, h.Container("d"), network(ipam(), ranges, conf{"name": "other"}))
	expect.Equal(t, "alone", addresses(r), []string{"10.7.0.2/24", "fd00:7::2/64"})
}

// TestDelWithoutTheIPRanges that ADD had: a runtime that lost its memory.
func TestDelWithoutTheIPRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(ipam(), runtimeConfig(conf{"ipRanges": [][]conf{{{"subnet": "10.7.0.0/24"}}}})))
	a.conf = network(ipam())
	a.del(t)
	noLeaks(t, h)
}

// TestGatewayOfArgs replaces the range's for the address whose subnet holds it: in result, record, route and bridge.
func TestGatewayOfArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
	a.args = "IP=10.1.0.77;GATEWAY=10.1.0.254,fd00:1::fe"
	r := a.add(t)
	expect.Equal(t, "gateways", []string{r.IPs[0].Gateway.String(), r.IPs[1].Gateway.String()}, []string{"10.1.0.254", "fd00:1::fe"})
	expect.Equal(t, "bridge", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.254/24", "fd00:1::fe/64"})
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.254", Table: mainTable}, {Dst: "::/0", GW: "fd00:1::fe", Priority: 1024, Table: mainTable},
	})
	expect.Contains(t, files(t, h, "/run/patchbay/net")[a.id+"@eth0.json"], `"gateway": "10.1.0.254"`, `"gateway": "fd00:1::fe"`)
	ping(t, c.Netns, "10.1.0.254")
	a.check(t)
}

// TestKubernetesArgs are known without IgnoreUnknown, and the record names the pod.
func TestKubernetesArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), network(pool("10.1.0.0/24")))
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

// TestIgnoreUnknown lets keys pass that nobody here knows; without it they are an error.
func TestIgnoreUnknown(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), network())
	a.args = "FOO=bar"
	expect.Contains(t, a.fails(t, "ADD", 4).Msg, "CNI_ARGS", "FOO")
	for _, yes := range []string{"1", "true", "TRUE"} {
		a.args = "FOO=bar;IgnoreUnknown=" + yes
		a.add(t)
		a.del(t)
	}
}

// TestUnknownKeysAreIgnored in the configuration, as the specification wants.
func TestUnknownKeysAreIgnored(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(conf{
		"futureKey": 7, "capabilities": conf{"mac": true}, "ipMasq": false, "vlan": 0, "runtimeConfig": conf{"portMappings": []int{}},
	}))
	a.check(t)
}

// TestDNS comes from the key, from the runtime, or from a resolv.conf; the runtime wins, then the key.
func TestDNS(t *testing.T) {
	t.Parallel()
	own := conf{"dns": conf{"nameservers": []string{"10.1.0.53"}, "domain": "example.net", "search": []string{"a.example", "b.example"}, "options": []string{"ndots:2"}}}
	runtime := runtimeConfig(conf{"dns": conf{"servers": []string{"192.0.2.53"}, "searches": []string{"c.example"}, "options": []string{"rotate"}}})
	resolv := func(path string) conf {
		return ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "resolvConf": path})
	}
	const file = "# servers\nnameserver 203.0.113.53\nnameserver 2001:db8::53\n; more\ndomain old.example\ndomain d.example\nsearch e.example f.example\noptions ndots:5 edns0\n"
	tests := []struct {
		name string
		conf conf
		want []string // servers, domain, search, options
	}{
		{"none", pool("10.1.0.0/24"), []string{"", "", "", ""}},
		{"dns", own.with(pool("10.1.0.0/24")), []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
		{"dns without ipam", own, []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
		{"runtimeConfig.dns", runtime.with(own), []string{"192.0.2.53", "", "c.example", "rotate"}},
		{"resolvConf", resolv("/run/resolv.conf"), []string{"203.0.113.53 2001:db8::53", "d.example", "e.example f.example", "ndots:5 edns0"}},
		{"dns over resolvConf", resolv("/run/resolv.conf").with(own), []string{"10.1.0.53", "example.net", "a.example b.example", "ndots:2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			writeFile(t, h, "/run/resolv.conf", file)
			a, r := attach(t, h, h.Container("c"), network(tt.conf))
			d := r.DNS
			expect.Equal(t, "dns", []string{strings.Join(d.Nameservers, " "), d.Domain, strings.Join(d.Search, " "), strings.Join(d.Options, " ")}, tt.want)
			a.check(t)
		})
	}
}

// TestResolvConfMissing is an error that names the file, and leaves nothing.
func TestResolvConfMissing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	a := on(h, h.Container("c"), network(ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "resolvConf": "/run/none.conf"})))
	expect.Contains(t, a.fails(t, "ADD", 5).Msg, "ipam.resolvConf", "/run/none.conf")
}
