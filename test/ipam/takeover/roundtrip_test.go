package takeover

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// crowd is the number of containers of the reference that run when the configuration is changed, and of those that
// Patchbay adds.
const crowd = 20

// backend is the way in which the reference plugins masquerade and publish ports.
type backend struct {
	name    string
	masq    cni.Conf // keys of the main plugin
	portmap string
	subnets []string
}

// TestMigrationAndBack: two words of the conflist are changed while containers of the reference run, and later changed
// back, with traffic through every container all the time. No reply is lost, no address is assigned twice, and nothing
// is left.
//
// Claim: A node with running containers of the reference plugins is migrated by changing two words, and back, with traffic through every
// container: no reply is lost, no address given twice, nothing left behind; ipMasq and portmap by iptables and by nftables
func TestMigrationAndBack(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{
		{"iptables", cni.Conf{"ipMasq": true, "ipMasqBackend": "iptables"}, "iptables", []string{"10.88.0.0/24"}},
		{"nftables", cni.Conf{"ipMasq": true, "ipMasqBackend": "nftables"}, "nftables", []string{"10.88.0.0/24"}},
		{"nftables, two families", cni.Conf{"ipMasq": true, "ipMasqBackend": "nftables"}, "nftables", []string{"10.88.0.0/24", "fd00:88::/64"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			r := newRoundTrip(t, b)
			r.migrate(t)
			r.migrateBack(t)
			r.nothingLeft(t)
		})
	}
}

// roundTrip is a node that is migrated and back.
type roundTrip struct {
	*conflist.Runtime
	lan             *nettest.LAN
	traffic         *traffic
	reference, ours *libcni.NetworkConfigList
	running         map[string]*tenant // by name
	added           int
	bridge          string // state of cni0 before
}

// tenant is a container with its traffic.
type tenant struct {
	c      *nettest.Container
	port   conflist.Port
	addrs  []string
	stream *stream
}

func newRoundTrip(t *testing.T, b backend) *roundTrip {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"), nettest.Tool("nft"))
	r := &roundTrip{Runtime: conflist.New(t, nettest.Host(t)), running: map[string]*tenant{}}
	r.lan = r.LAN(t)
	r.traffic = newTraffic(t, r.Netns, r.lan.Outside)
	list := func(main, ipam string) *libcni.NetworkConfigList { // only two words differ
		var sets [][]cni.Conf
		for _, subnet := range b.subnets {
			sets = append(sets, []cni.Conf{{"subnet": subnet}})
		}
		return conflist.List(
			t, "net",
			cni.Conf{"type": main, "bridge": "cni0", "isDefaultGateway": true, "ipam": cni.Conf{"type": ipam, "ranges": sets}}.With(b.masq),
			cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": b.portmap},
		)
	}
	r.reference, r.ours = list("bridge", "host-local"), list("patchbay", "patchbay")
	first := r.Container("first") // whatever the reference leaves after the last container is there already
	r.Add(t, r.reference, first, conflist.Port{HostPort: 9999, ContainerPort: echoPort, Protocol: "udp"})
	r.Del(t, r.reference, first, conflist.Port{HostPort: 9999, ContainerPort: echoPort, Protocol: "udp"})
	first.Delete()
	r.Run(t, "sh", "-c", "rm -f /var/lib/cni/networks/net/last_reserved_ip.*")
	r.Allow("flow ") // the reference's portmap does not delete conntrack entries; they time out
	r.Baseline()
	r.bridge = r.theBridge(t)
	return r
}

func (r *roundTrip) theBridge(t *testing.T) string {
	t.Helper()
	l, err := r.Netlink().LinkByName("cni0")
	if err != nil {
		t.Fatal(err)
	}
	a := l.Attrs()
	return fmt.Sprint(a.HardwareAddr, " mtu ", a.MTU, " promiscuous ", a.Promisc, " alias ", a.Alias, " ", r.Addresses("cni0"))
}

// add attaches a container and sends traffic through it from then on.
func (r *roundTrip) add(t *testing.T, list *libcni.NetworkConfigList, name string) {
	t.Helper()
	r.added++
	n := &tenant{c: r.Container(name), port: conflist.Port{HostPort: 20000 + r.added, ContainerPort: echoPort, Protocol: "udp"}}
	result := r.Add(t, list, n.c, n.port)
	for _, ip := range result.IPs {
		addr := ip.Address.IP.String()
		for other, has := range r.running {
			if strings.Contains(" "+strings.Join(has.addrs, " ")+" ", " "+addr+" ") {
				t.Errorf("%s was given %s, which %s has", name, addr, other)
			}
		}
		n.addrs = append(n.addrs, addr)
	}
	n.stream = r.traffic.begin(t, n.c, r.questions(n, result))
	r.running[name] = n
}

// questions returns requests from the container to the outside, which has no route back to it, from the host to the
// container, and from the outside to its published port; of each family.
func (r *roundTrip) questions(n *tenant, result *types100.Result) (all []question) {
	at := func(addr string, port int) string { return net.JoinHostPort(addr, fmt.Sprint(port)) }
	for _, ip := range result.IPs {
		outside, host := nettest.LANOutside4, nettest.LANHost4
		if ip.Address.IP.To4() == nil {
			outside, host = nettest.LANOutside6, nettest.LANHost6
		}
		all = append(
			all,
			question{n.c.Netns, at(outside, echoPort), "outside"},
			question{r.Netns, at(ip.Address.IP.String(), echoPort), n.c.Name()},
			question{r.lan.Outside, at(host, n.port.HostPort), n.c.Name()},
		)
	}
	return all
}

// del ends the traffic of a container and detaches it, as a runtime does.
func (r *roundTrip) del(t *testing.T, list *libcni.NetworkConfigList, name string) {
	t.Helper()
	n := r.running[name]
	delete(r.running, name)
	n.stream.end()
	r.Del(t, list, n.c, n.port)
	n.c.Delete()
}

// migrate attaches containers with the reference, changes the configuration, attaches as many with Patchbay, and deletes half of each.
func (r *roundTrip) migrate(t *testing.T) {
	t.Helper()
	for i := range crowd {
		r.add(t, r.reference, fmt.Sprint("r", i))
	}
	r.traffic.nothingLost(t, "before")
	for i := range crowd {
		r.add(t, r.ours, fmt.Sprint("p", i))
	}
	r.traffic.nothingLost(t, "with both")
	expect.Equal(t, "cni0 with both", r.theBridge(t), r.bridge)
	for i := range crowd {
		if i%2 == 0 {
			r.del(t, r.ours, fmt.Sprint("r", i))
			r.del(t, r.ours, fmt.Sprint("p", i))
		}
	}
	r.traffic.nothingLost(t, "with half of each")
}

// migrateBack changes the configuration back, attaches some with the reference, and deletes all with it.
func (r *roundTrip) migrateBack(t *testing.T) {
	t.Helper()
	for i := range 3 {
		r.add(t, r.reference, fmt.Sprint("back", i))
	}
	expect.Equal(t, "cni0 on the way back", r.theBridge(t), r.bridge)
	for i := range crowd {
		if i%2 == 1 {
			r.del(t, r.reference, fmt.Sprint("p", i))
			r.del(t, r.reference, fmt.Sprint("r", i))
		}
	}
	r.traffic.nothingLost(t, "on the way back")
	for i := range 3 {
		r.del(t, r.reference, fmt.Sprint("back", i))
	}
	expect.Equal(t, "containers that run", len(r.running), 0)
}

// nothingLeft requires that gc removes what the reference's DEL leaves of our containers, and that a second gc finds nothing.
func (r *roundTrip) nothingLeft(t *testing.T) {
	t.Helper()
	r.traffic.nothingLost(t, "at the end")
	said := r.Patchbay(t, "gc")
	expect.Equal(t, "records that gc removed", strings.Count(said, "removed net/p"), crowd/2)
	second := r.Patchbay(t, "gc")
	expect.Equal(t, "what a second gc says", strings.Contains(second, "net/"), false)
	r.NoLeaks(t)
	r.Run(t, "iptables-save")
	r.Run(t, "ip6tables-save")
	t.Logf("%d requests, each answered by the right one", r.traffic.requests.Load())
}
