package parity

import (
	"strings"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// limitRows are the keys of the reference bandwidth behind bridge, and in the one plugin of Patchbay. It has no keys for subnets. The bursts are
// of 100 ms, beyond which Patchbay bounds them, and the queues longer than its shortest one.
func limitRows() []row {
	behind := func(keys ...cni.Conf) []cni.Conf { return []cni.Conf{cni.Conf{"type": "bandwidth"}.With(keys...)} }
	ingress := cni.Conf{"ingressRate": 8000000, "ingressBurst": 800000}
	egress := cni.Conf{"egressRate": 16000000, "egressBurst": 1600000}
	offered := cni.Conf{"capabilities": cni.Conf{"bandwidth": true}}
	of := func(keys ...cni.Conf) map[string]map[string]any {
		return map[string]map[string]any{"one": {"bandwidth": cni.Conf{}.With(keys...)}, "two": {"bandwidth": cni.Conf{}}}
	}
	return []row{
		{name: "bandwidth, no key", keys: gatewayed(), behind: behind()},
		{name: "bandwidth, ingress", keys: gatewayed(), behind: behind(ingress)},
		{name: "bandwidth, egress", keys: gatewayed(), behind: behind(egress)},
		{name: "bandwidth, both", keys: dual(), behind: behind(ingress, egress)},
		{name: "bandwidth, both, no ipam", behind: behind(ingress, egress)},
		{name: "bandwidth, of the runtime", keys: gatewayed(), behind: behind(offered), capabilities: of(ingress, egress)},
		{name: "bandwidth, of the runtime and of the file", keys: gatewayed(), behind: behind(offered, egress), capabilities: of(ingress)},
		{name: "bandwidth, of a runtime that has none", keys: gatewayed(), behind: behind(offered)},
	}
}

// isLimited reports whether a row has the reference bandwidth.
func (r row) isLimited() bool {
	return len(r.behind) > 0 && r.behind[0]["type"] == "bandwidth"
}

// isIFB reports whether a link has the name of an ifb device of either side.
func isIFB(link string) bool { return strings.HasPrefix(link, "ifb") || strings.HasPrefix(link, "bwp") }
