package networks

import "github.com/patchbay-cni/patchbay/test/kit/cni"

// VLANs returns the families for kernels that filter by VLAN: a port with a native VLAN and a trunk, whose gateway is on the native VLAN. The
// calls before the first link are those of the family "gateway".
func VLANs() []Family {
	keys := cni.Conf{"isDefaultGateway": true, "vlan": 100, "vlanTrunk": []cni.Conf{{"id": 20}, {"minID": 30, "maxID": 32}}}
	return []Family{{Name: "vlan", Begins: "RTM_NEWLINK", conf: cni.Network(keys, cni.Pool("10.1.0.0/24"))}}
}
