package power

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// network is a kind of network with files on the disk. Its pool has four addresses.
type network struct {
	name   string
	conf   cni.Conf
	sticky bool
	ports  bool
	// memoryOnly: nothing but sticky memory is on the disk
	memoryOnly bool
	sample     bool // it is small
	// unmarked: address files in a state directory have no marks, so that after a power failure only DEL and GC release them
	unmarked bool
}

// kinds returns the networks.
func kinds() []network {
	four, six := cni.Conf{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.5"}, cni.Conf{"subnet": "fd00:1::/64", "rangeEnd": "fd00:1::5"}
	one, both := cni.Conf{"ranges": [][]cni.Conf{{four}}}, cni.Conf{"ranges": [][]cni.Conf{{four}, {six}}}
	data, sticky, state := cni.Conf{"dataDir": dataDir}, cni.Conf{"sticky": true}, cni.Conf{"stateDir": stateDir}
	// Other plugins make the interfaces of most networks: what Patchbay writes to the disk is the same, and a boot takes a fifth of the time.
	addressesOnly := cni.Conf{"type": "macvlan", "master": "eth0"}
	return []network{
		{name: "data directory", conf: cni.Network(cni.DefaultGateway(), cni.IPAM(one, data)), sample: true},
		{name: "data directory, dual stack", conf: cni.Network(addressesOnly, cni.IPAM(both, data))},
		{name: "sticky", conf: cni.Network(addressesOnly, cni.IPAM(one, sticky)), sticky: true, memoryOnly: true, sample: true},
		{name: "sticky, data directory, dual stack", conf: cni.Network(addressesOnly, cni.IPAM(both, data, sticky)), sticky: true},
		{name: "state directory, published ports", conf: cni.Network(cni.DefaultGateway(), state, cni.IPAM(one)), ports: true, unmarked: true},
		{name: "state and data directory, sticky", conf: cni.Network(addressesOnly, state, cni.IPAM(one, data, sticky)), sticky: true},
	}
}

// host is a host with containers.
type host struct {
	*nettest.Node
	network
	containers map[string]*nettest.Container
	results    map[string]json.RawMessage // of ADD, by container
}

func newHost(t testing.TB, n network, names ...string) *host {
	t.Helper()
	return (&host{Node: nettest.Host(t), network: n}).with(names...)
}

// with replaces the containers.
func (h *host) with(names ...string) *host {
	h.containers, h.results = map[string]*nettest.Container{}, map[string]json.RawMessage{}
	for _, name := range names {
		h.containers[name] = h.Container(name)
	}
	return h
}

// call returns the call of a verb for a container, or of GC with that container as the only valid attachment.
func (h *host) call(t testing.TB, verb, name string) nettest.Call {
	t.Helper()
	conf, id := h.conf, ""
	c := h.containers[name]
	if c != nil {
		id = c.ID()
	}
	if verb == "GC" {
		valid := []cni.Conf{}
		if id != "" {
			valid = append(valid, cni.Conf{"containerID": id, "ifname": "eth0"})
		}
		conf = conf.With(cni.Conf{"cni.dev/valid-attachments": valid})
		return nettest.Call{Command: verb, Config: conf.JSON(t), Path: plugins(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}}
	}
	if h.ports {
		port := map[string]int{"one": 8001, "beside": 8002, "next": 8003, "third": 8004, "fourth": 8005}[name]
		conf = conf.With(cni.Ports(cni.Conf{"hostPort": port, "containerPort": 80, "protocol": "tcp"}))
	}
	if result := h.results[name]; result != nil && verb != "ADD" {
		conf = conf.With(cni.Prev(result))
	}
	return nettest.Call{Command: verb, ContainerID: id, Netns: c.Path(), IfName: "eth0", Path: plugins(t), Config: conf.JSON(t)}
}

// do makes a call and returns what is wrong with its answer; "" for nothing.
func (h *host) do(t testing.TB, verb, name string) (wrong string) {
	t.Helper()
	answer := h.CNI(t, h.call(t, verb, name))
	if answer.Exit != 0 {
		return fmt.Sprintf("%s %s: %s", verb, name, answer)
	}
	if verb == "ADD" {
		h.results[name] = answer.Stdout
	}
	return ""
}

// addresses returns the addresses of a result of ADD.
func addresses(result json.RawMessage) (addrs []netip.Addr) {
	var r struct {
		IPs []struct{ Address netip.Prefix } `json:"ips"`
	}
	_ = json.Unmarshal(result, &r)
	for _, ip := range r.IPs {
		addrs = append(addrs, ip.Address.Addr())
	}
	return addrs
}

// left returns records, addresses and marks on the host. Cursors, locks, notes and directories stay, and so may an address file that is empty,
// because its address is free.
func (h *host) left(t testing.TB) []string {
	t.Helper()
	find := "find " + dataDir + " " + stateDir + " /run/patchbay ! -type d ! '(' -type f -name '*[.:]*' -empty ')' 2>/dev/null | sort"
	lines := strings.Fields(h.Run(t, "sh", "-c", find+"; true"))
	return slices.DeleteFunc(lines, func(path string) bool {
		name := path[strings.LastIndex(path, "/")+1:]
		return name == "lock" || strings.HasPrefix(name, "last_reserved_ip.") || name == ".life" || name == ".ruleset" ||
			strings.Contains(path, "/.elsewhere/") || strings.Contains(path, "/.bridges/")
	})
}

// plugins returns the CNI_PATH, which has the main plugin of the networks whose interfaces Patchbay does not make. It is not called.
func plugins(t testing.TB) string { return filepath.Dir(nettest.Program(t, "macvlan")) }
