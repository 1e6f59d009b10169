package reported

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const ofNothing = "a key with null or with the zero value of its type counts as not set"

func nothingGiven() []row {
	v4 := cni.Conf{"ipam": cni.Conf{"type": "patchbay", "subnet": "10.1.0.0/24"}}
	two := []string{"10.1.0.2/24"}
	var rows []row
	for number, c := range map[string]struct {
		name string
		conf cni.Conf
		args string
		want []string // addresses
	}{
		"25":    {"IP, MAC and GATEWAY of CNI_ARGS are empty", v4, "IP=;MAC=;GATEWAY=", two},
		"25.1":  {"IgnoreUnknown of CNI_ARGS is empty", v4, "IgnoreUnknown=;K8S_POD_NAME=web", two},
		"25.2":  {"ipam.type is null", cni.Conf{"ipam": cni.Conf{"type": nil}}, "", nil},
		"25.3":  {"ipam is null", cni.Conf{"ipam": nil}, "", nil},
		"25.4":  {"bandwidth is zeros", v4.With(cni.Conf{"runtimeConfig": cni.Conf{"bandwidth": cni.Conf{"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0}}}), "", two},
		"25.5":  {"preserveDefaultVlan without a vlan", v4.With(cni.Conf{"preserveDefaultVlan": true, "vlan": 0, "vlanTrunk": []cni.Conf{}}), "", two},
		"25.6":  {"everything is null", everything(nil).With(v4), "", two},
		"25.7":  {"runtimeConfig and args hold nothing but null", v4.With(cni.Conf{"runtimeConfig": allNull("mac", "ips", "ipRanges", "dns", "portMappings", "bandwidth"), "args": cni.Conf{"cni": allNull("mac", "ips")}}), "", two},
		"25.8":  {"a mac that is empty, from runtime and args", v4.With(cni.Conf{"runtimeConfig": cni.Conf{"mac": ""}, "args": cni.Conf{"cni": cni.Conf{"mac": "", "ips": []string{}}}}), "MAC=", two},
		"25.9":  {"keys of a range and of a route are null", cni.Conf{"ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{allNull("rangeStart", "rangeEnd", "gateway").With(cni.Conf{"subnet": "10.1.0.0/24"})}}, "routes": []cni.Conf{allNull("gw", "mtu", "advmss", "priority", "table", "scope").With(cni.Conf{"dst": "192.0.2.0/24"})}}}, "", two},
		"25.10": {"a port mapping of null", v4.With(cni.Conf{"runtimeConfig": cni.Conf{"portMappings": []cni.Conf{allNull("hostPort", "hostIP", "protocol", "range").With(cni.Conf{"containerPort": 80})}}}), "", two},
		"25.11": {"keys of other plugins are zero", v4.With(cni.Conf{"sysctl": cni.Conf{}, "mac": "", "promisc": false, "allmulti": false, "txQLen": 0, "ingressRate": 0, "portIsolation": false}), "", two},
	} {
		rows = append(rows, row{number, c.name, ofNothing, func(t *testing.T) {
			h := nettest.Host(t)
			conf := cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0"}.With(c.conf)
			a := &called{h: h, c: h.Container("c"), conf: conf, args: c.args}
			a.run(t, "STATUS").OK(t)
			expect.Equal(t, "addresses", addressesOf(a.cycle(t)), c.want)
		}})
	}
	return append(rows, row{"25.12", "impossible values of such keys are still refused", ofNothing, stillRefused})
}

// everything returns a value for every optional key of the top level.
func everything(value any) cni.Conf {
	all := cni.Conf{}
	for _, key := range []string{
		"capabilities", "args", "runtimeConfig", "prevResult", "bridge", "isGateway", "isDefaultGateway", "forceAddress", "hairpinMode", "promiscMode",
		"enabledad", "disableContainerInterface", "mtu", "dns", "statusOnFull", "stateDir", "logFile", "readyFile", "ipMasq", "masqExclude", "masqFamilies",
		"randomFully", "ipMasqBackend", "snat", "masqAll", "markMasqBit", "hostLocalhost", "backend", "externalSetMarkChain", "conditionsV4",
		"conditionsV6", "ingressPolicy", "firewall", "spoofCheck", "macspoofchk", "vlan", "vlanTrunk", "preserveDefaultVlan", "portIsolation", "sysctl",
		"mac", "promisc", "allmulti", "txQLen", "ingressRate", "ingressBurst", "egressRate", "egressBurst",
	} {
		all[key] = value
	}
	return all
}

func allNull(names ...string) cni.Conf {
	all := cni.Conf{}
	for _, name := range names {
		all[name] = nil
	}
	return all
}

func stillRefused(t *testing.T) {
	h := nettest.Host(t)
	for text, conf := range map[string]cni.Conf{
		"vlanTrunk[0].minID: 0":     {"vlanTrunk": []cni.Conf{{"minID": 0, "maxID": 5}}},
		"sysctl":                    {"sysctl": cni.Conf{"kernel.pid_max": "1"}},
		"ipam.type: missing":        {"ipam": cni.Conf{"type": nil, "subnet": "10.1.0.0/24"}},
		"ipam.ranges: no IP ranges": {"ipam": cni.Conf{"type": "patchbay", "ranges": nil}},
	} {
		a := &called{h: h, c: h.Container("c"), conf: cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay"}.With(conf)}
		expect.Contains(t, a.run(t, "ADD").Error(t).Msg, text)
		a.c.Delete()
	}
	h.NoLeaks(t)
}
