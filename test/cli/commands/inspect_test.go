package commands

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestInspectText: the lines name what restricts an attachment.
//
// Claim: `inspect -o text` prints addresses, ports, rate limits, policies and outbound addresses
func TestInspectText(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	const conf = `{
		"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isGateway": true, "ipMasq": true,
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}, "dns": {"nameservers": ["10.9.9.9"]},
		"outboundAddr4": "10.0.0.9", "ingressPolicy": "published", "egress": {"default": "drop", "allow": ["10.2.0.0/16", "10.3.0.1/32"]},
		"ingressRate": 8000000, "egressRate": 4000000, "egressBurst": 1000000,
		"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}`
	l.Run(t, "ip", "address", "add", "10.0.0.9/32", "dev", "lo")
	c := l.Container("web")
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf)}
	l.CNI(t, call).OK(t)
	expect.Contains(t, l.ok(t, "inspect", "-o", "text", "web"),
		"\n  state up, by cni\n", "\n  eth0 on network net, bridge cni0\n", "\n  address 10.1.0.2/24\n",
		"\n  outbound address 10.0.0.9\n", "\n  ingressPolicy published\n", "\n  egress only to 10.2.0.0/16, 10.3.0.1/32, DNS at 10.9.9.9\n",
		"\n  received at most 8000000 bit/s\n", "\n  sent at most 4000000 bit/s with a burst of 1000000 bits\n", "\n  port 8080/tcp -> 10.1.0.2:80\n")
	expect.Equal(t, "boxes of the picture with the port", strings.Count(l.ok(t, "show"), "8080/tcp"), 1)
	var view struct{ Attachments []any }
	if err := json.Unmarshal([]byte(l.ok(t, "show", "-o", "json")), &view); err != nil || len(view.Attachments) != 1 {
		t.Errorf("show has %d attachments, %v, want 1: the ifb device of the limits is none", len(view.Attachments), err)
	}
	call.Command = "DEL"
	l.Run(t, "ip", "address", "del", "10.0.0.9/32", "dev", "lo")
	l.CNI(t, call).OK(t)
}
