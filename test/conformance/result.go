package conformance

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// result is the result of ADD of any version; its fields are typed as the specification has them.
type result struct {
	raw json.RawMessage

	CNIVersion string      `json:"cniVersion"`
	Interfaces []inter     `json:"interfaces"`
	IPs        []ipConfig  `json:"ips"`
	Routes     []route     `json:"routes"`
	DNS        dns         `json:"dns"`
	IP4        *ipOfFamily `json:"ip4"` // before 0.3.0
	IP6        *ipOfFamily `json:"ip6"`
}

type inter struct {
	Name       string  `json:"name"`
	Mac        string  `json:"mac"`
	MTU        *uint32 `json:"mtu"`
	Sandbox    string  `json:"sandbox"`
	SocketPath string  `json:"socketPath"`
	PciID      string  `json:"pciID"`
}

type ipConfig struct {
	Version   string       `json:"version"` // before 1.0.0
	Interface *uint        `json:"interface"`
	Address   netip.Prefix `json:"address"`
	Gateway   *netip.Addr  `json:"gateway"`
}

type route struct {
	Dst      netip.Prefix `json:"dst"`
	GW       *netip.Addr  `json:"gw"`
	MTU      uint32       `json:"mtu"`
	AdvMSS   uint32       `json:"advmss"`
	Priority uint32       `json:"priority"`
	Table    *uint32      `json:"table"`
	Scope    *uint32      `json:"scope"`
}

type dns struct {
	Nameservers []string `json:"nameservers"`
	Domain      string   `json:"domain"`
	Search      []string `json:"search"`
	Options     []string `json:"options"`
}

type ipOfFamily struct {
	IP      netip.Prefix `json:"ip"`
	Gateway *netip.Addr  `json:"gateway"`
	Routes  []route      `json:"routes"`
}

// result decodes the result of an ADD, which must have succeeded and printed one JSON object.
func (t *trial) result(a nettest.Answer) *result {
	t.succeeds(a, "ADD")
	var r result
	if err := single(a.Stdout, &r, false); err != nil {
		t.Fatalf("the result of ADD: %v", err)
	}
	r.raw = a.Stdout
	for _, old := range []*ipOfFamily{r.IP4, r.IP6} {
		if old != nil {
			r.IPs = append(r.IPs, ipConfig{Address: old.IP, Gateway: old.Gateway})
			r.Routes = append(r.Routes, old.Routes...)
		}
	}
	return &r
}

// inside returns the interface of the container in the result.
func (t *trial) inside(r *result, c *nettest.Container) inter {
	for _, i := range r.Interfaces {
		if i.Sandbox == c.Path() && i.Name == "eth0" {
			return i
		}
	}
	t.Fatalf("the result has no interface eth0 whose sandbox is CNI_NETNS")
	return inter{}
}

// address returns the first address of the result.
func (t *trial) address(r *result) netip.Addr {
	if len(r.IPs) == 0 {
		t.Fatalf("the result has no address")
	}
	return r.IPs[0].Address.Addr()
}

// gateway returns the gateway of the first address.
func (t *trial) gateway(r *result) netip.Addr {
	if len(r.IPs) == 0 || r.IPs[0].Gateway == nil {
		t.Fatalf("the result has no gateway")
	}
	return *r.IPs[0].Gateway
}

// keys returns the keys that a section of a result has in the major version of a version: the format is compatible within one.
func keys(section, version string) []string {
	all := map[string]string{
		"": "cniVersion interfaces ips routes dns", "interfaces": "name mac sandbox", "ips": "interface address gateway", "routes": "dst gw",
		"dns": "nameservers domain search options",
	}
	later := map[string]string{"interfaces": " mtu socketPath pciID", "routes": " mtu advmss priority table scope"}
	switch {
	case older(version, "0.3.0"):
		all[""] = "cniVersion ip4 ip6 dns"
		all["ip4"], all["ip6"] = "ip gateway routes", "ip gateway routes"
	case older(version, "1.0.0"):
		all["ips"] += " version"
	default:
		return strings.Fields(all[section] + later[section])
	}
	return strings.Fields(all[section])
}

// strangeKeys returns the keys of a value that its version does not define, with the section.
func strangeKeys(value any, section, version string) []string {
	var strange []string
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			strange = append(strange, strangeKeys(v, section, version)...)
		}
	case map[string]any:
		for key, v := range value {
			if !slices.Contains(keys(section, version), key) {
				strange = append(strange, strings.TrimPrefix(section+"."+key, "."))
			} else if key != "cniVersion" {
				strange = append(strange, strangeKeys(v, key, version)...)
			}
		}
	}
	slices.Sort(strange)
	return slices.Compact(strange)
}
