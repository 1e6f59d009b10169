package verbs

import (
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// pair is a container's two networks: one that gives the first default route, one that gives the second.
func pair() (first, second cni.Conf) {
	first = cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))
	second = cni.Network(cni.DefaultGateway(), cni.Pool("10.2.0.0/24", "fd00:2::/64"), cni.Conf{"name": "second", "bridge": "cni1"})
	return first, second
}
