package attach

import (
	"net"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

// resultText returns a result of version 1.0.0 or later as its method PrintTo of the library writes it: members sorted by name, as in a
// map, with an indent of four spaces. The library encodes and decodes it, and encodes it again. TestResultText compares the two.
func resultText(r *types100.Result) []byte {
	w := jsonwriter.New("    ")
	w.Object(func() {
		w.StringIfSet("cniVersion", r.CNIVersion)
		if !r.DNS.IsEmpty() {
			w.Member("dns", func() { w.Object(func() { writeDNS(w, r.DNS) }) })
		}
		if len(r.Interfaces) > 0 {
			jsonwriter.List(w, "interfaces", r.Interfaces, func(i *types100.Interface) { w.Object(func() { writeInterface(w, i) }) })
		}
		if len(r.IPs) > 0 {
			jsonwriter.List(w, "ips", r.IPs, func(ip *types100.IPConfig) { w.Object(func() { writeIP(w, ip) }) })
		}
		if len(r.Routes) > 0 {
			jsonwriter.List(w, "routes", r.Routes, func(route *types.Route) { w.Object(func() { writeRoute(w, route) }) })
		}
	})
	return w.Text()
}

func writeDNS(w *jsonwriter.Writer, dns types.DNS) {
	w.StringIfSet("domain", dns.Domain)
	for _, list := range []struct {
		name  string
		texts []string
	}{{"nameservers", dns.Nameservers}, {"options", dns.Options}, {"search", dns.Search}} {
		if len(list.texts) > 0 {
			jsonwriter.List(w, list.name, list.texts, w.String)
		}
	}
}

func writeInterface(w *jsonwriter.Writer, i *types100.Interface) {
	w.StringIfSet("mac", i.Mac)
	w.IntIfSet("mtu", i.Mtu)
	w.Member("name", func() { w.String(i.Name) })
	w.StringIfSet("pciID", i.PciID)
	w.StringIfSet("sandbox", i.Sandbox)
	w.StringIfSet("socketPath", i.SocketPath)
}

func writeIP(w *jsonwriter.Writer, ip *types100.IPConfig) {
	w.Member("address", func() { w.String(ip.Address.String()) })
	writeIPIfSet(w, "gateway", ip.Gateway)
	writeIntIfNotNil(w, "interface", ip.Interface)
}

func writeRoute(w *jsonwriter.Writer, r *types.Route) {
	w.IntIfSet("advmss", r.AdvMSS)
	w.Member("dst", func() { w.String(r.Dst.String()) })
	writeIPIfSet(w, "gw", r.GW)
	w.IntIfSet("mtu", r.MTU)
	w.IntIfSet("priority", r.Priority)
	writeIntIfNotNil(w, "scope", r.Scope)
	writeIntIfNotNil(w, "table", r.Table)
}

func writeIPIfSet(w *jsonwriter.Writer, name string, ip net.IP) {
	if len(ip) > 0 {
		w.Member(name, func() { w.String(ip.String()) })
	}
}

// writeIntIfNotNil writes a number of which 0 is a value.
func writeIntIfNotNil(w *jsonwriter.Writer, name string, n *int) {
	if n != nil {
		w.Member(name, func() { w.Number(int64(*n)) })
	}
}
