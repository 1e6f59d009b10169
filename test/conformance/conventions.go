package conformance

import (
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

func conventionChecks() []Check {
	return []Check{
		{
			ID: "capability-ips", Level: Should, Source: "CONVENTIONS, ips", Needs: []string{"ips"}, run: func(t *trial) { requested(t, capability("ips", []string{t.profile().Address}), "") },
			Text: "assigns the address of the capability ips",
		},
		{
			ID: "capability-ips-taken", Level: Practice, Source: "two attachments with one address", Needs: []string{"ips"}, run: requestTaken,
			Text: "refuses an address that another attachment has, and leaves nothing",
		},
		{
			ID: "capability-ip-ranges", Level: Should, Source: "CONVENTIONS, ipRanges", Needs: []string{"ipRanges"}, run: ipRanges,
			Text: "assigns an address of the capability ipRanges",
		},
		{
			ID: "capability-mac", Level: Should, Source: "CONVENTIONS, mac", Needs: []string{"mac"}, run: func(t *trial) { requestedMAC(t, capability("mac", laterMAC), "") },
			Text: "assigns the MAC address of the capability mac",
		},
		{
			ID: "capability-port-mappings", Level: Should, Source: "CONVENTIONS, portMappings", Needs: []string{"portMappings"}, run: portMappings,
			Text: "forwards a TCP port of the host to the container, and leaves nothing after DEL",
		},
		{
			ID: "capability-bandwidth", Level: Should, Source: "CONVENTIONS, bandwidth", Needs: []string{"bandwidth"}, run: bandwidth,
			Text: "limits the rates with a queueing discipline, and leaves nothing after DEL",
		},
		{ID: "args-ips", Level: Should, Source: "CONVENTIONS, args: ips", Needs: []string{"args.ips"}, run: func(t *trial) {
			requested(t, conf{"args": conf{"cni": conf{"ips": []string{t.profile().Address}}}}, "")
		}, Text: "assigns the address of args.cni.ips"},
		{ID: "cni-args-ip", Level: Should, Source: "CONVENTIONS, CNI_ARGS: IP", Needs: []string{"IP"}, run: func(t *trial) {
			requested(t, nil, "IgnoreUnknown=1;IP="+strings.Split(t.profile().Address, "/")[0])
		}, Text: "assigns the address of the field IP of CNI_ARGS"},
		{
			ID: "cni-args-mac", Level: Practice, Source: "the reference plugins", Needs: []string{"MAC"}, run: func(t *trial) { requestedMAC(t, nil, "IgnoreUnknown=1;MAC="+laterMAC) },
			Text: "assigns the MAC address of the field MAC of CNI_ARGS",
		},
	}
}

// requestAdd attaches a container with a patch and CNI_ARGS, and detaches it when the check ends.
func (t *trial) requestAdd(patch conf, args string) (*nettest.Container, *result) {
	c := t.host.Container("c")
	call := t.call("ADD", c, t.conf(patch))
	call.Args = args
	return c, t.result(t.do(call))
}

func requested(t *trial, patch conf, args string) {
	c, r := t.requestAdd(patch, args)
	want := netip.MustParsePrefix(t.profile().Address)
	if t.address(r) != want.Addr() {
		t.Fatalf("the result has another address")
	}
	if list := c.Addresses("eth0"); len(list) != 1 || list[0] != want {
		t.Fatalf("the interface has %v", list)
	}
}

func requestTaken(t *trial) {
	config := t.conf(capability("ips", []string{t.profile().Address}))
	c := t.newcomer(config)
	t.refuses(t.do(t.call("ADD", c, config)), "ADD")
	t.clean("ADD")
}

func ipRanges(t *trial) {
	_, r := t.requestAdd(conf{"runtimeConfig": conf{"ipRanges": t.profile().Ranges}}, "")
	for _, ip := range r.IPs {
		if strings.Contains(string(t.profile().Ranges), `"`+ip.Address.Masked().String()+`"`) {
			return
		}
	}
	t.Fatalf("no address is of the ranges")
}

func requestedMAC(t *trial, patch conf, args string) {
	c, r := t.requestAdd(patch, args)
	if !older(t.version, "0.3.0") && t.inside(r, c).Mac != laterMAC {
		t.Fatalf("the result has another MAC address")
	}
	if c.MAC("eth0") != laterMAC {
		t.Fatalf("the interface has another MAC address")
	}
}

func portMappings(t *trial) {
	config := t.conf(capability("portMappings", []conf{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}))
	t.resident(t.conf(capability("portMappings", []conf{{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}})))
	client, _ := t.attach("client", t.conf())
	c := t.host.Container("c")
	t.baseline()
	r := t.add(c, config)
	serve.TCP(t, c.Netns, "0.0.0.0:80", nil)
	if err := serve.Connect(client.Netns, netip.AddrPortFrom(t.gateway(r), 8080), 3*time.Second); err != nil {
		t.Fatalf("the host's port does not lead to the container")
	}
	t.del(c, config)
	t.clean("DEL")
}

func bandwidth(t *trial) {
	const rate = 8 << 20
	config := t.conf(capability("bandwidth", conf{"ingressRate": rate, "ingressBurst": rate, "egressRate": rate, "egressBurst": rate}))
	c := t.newcomer(t.conf())
	t.add(c, config)
	qdiscs, err := t.host.Netlink().QdiscList(t.link(t.host.Netns, t.hostEnd(c)))
	if err != nil {
		t.Fatal(err)
	}
	limited := 0
	for _, q := range qdiscs {
		if _, is := q.(*netlink.Tbf); is || q.Type() == "htb" || q.Type() == "ingress" || q.Type() == "clsact" {
			limited++
		}
	}
	if limited == 0 {
		t.Fatalf("the host interface has no queueing discipline that limits")
	}
	t.del(c, config)
	t.clean("DEL")
}
