package reported

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Claim: ADD keeps other addresses of the bridge beside the gateway; without `forceAddress` another subnet is a conflict on an existing
// bridge, and `forceAddress` removes only addresses that overlap
// Claim: A bridge that Patchbay created gets the gateway of a changed subnet: instead of the old gateway if no attachment uses that, else
// beside it until the last such attachment is deleted; addresses added by an administrator stay; after a crash the next ADD, DEL or GC
// repairs it
// Claim: A new bridge gets the smallest MTU of the host's routes to the internet, at least 1280 for IPv6; unreachable routes, lo and
// interfaces that are down do not count; a bridge that cannot be completed is removed
// Claim: A route to the network's own subnet works as with the reference plugin; a gateway outside the subnet must be reachable over the
// bridge
func TestBridgeAndRoutes(t *testing.T) { runRows(t, bridge()) }

func bridge() []row {
	const others, moved, connected = "addresses beside the gateway", "the subnet of a bridge that Patchbay created changes", "a route to the network's own subnet"
	const stray, uplink = "a gateway that is not on the bridge", "the MTU of a bridge that ADD creates"
	return []row{
		{"8", "a VIP beside the gateway stays, every ADD passes", others, vipBesideGateway},
		{"8.1", "the same in IPv6", others, vipBesideGateway6},
		{"8.2", "management address, secondary and other subnet before the gateway", others, manyBesideGateway},
		{"8.3", "two ranges, one gateway there, one missing", others, twoGatewaysAndVIP},
		{"8.4", "forceAddress removes only overlapping addresses", others, forceOverlapping},
		{"8.5", "the gateway is missing: a VIP is no conflict, another subnet is", others, gatewayMissing},
		{"8.6", "a VIP on a bridge that Patchbay created", others, vipOnOwnBridge},

		{"9", "the bridge is empty: the gateway is replaced", moved, movedEmpty},
		{"9.1", "live attachments: a second gateway until the last one is deleted", moved, movedLive},
		{"9.2", "IPv6, and a runtime that keeps the configuration of ADD for DEL", moved, movedLive6},
		{"9.3", "a shorter and a longer prefix", moved, movedPrefix},
		{"9.4", "another gateway in the same subnet", moved, movedGateway},
		{"9.5", "addresses that an administrator added stay", moved, movedByHand},
		{"9.6", "ADDs with the old and the new configuration at once", moved, movedAtOnce},
		{"9.7", "the last old DEL, and an old ADD at once", moved, movedBack},
		{"9.8", "ADD, GC and DEL repair the state after a crash", moved, movedAfterCrash},
		{"9.9", "an adopted bridge: error 105", moved, movedForeign},
		{"9.10", "a bridge port without a record may use the old gateway", moved, movedUnknownPort},
		{"9.11", "killed before each change of ADD and DEL", moved, movedKilled},
		{"9.13", "another network that has no attachment keeps its gateway", moved, movedBesideIdle},
		{"9.14", "the state directory has two names", moved, movedTwoNames},
		{"9.12", "a verb that waited for the lock checks again", moved, movedLocked},

		{"11", "with a gateway", connected, connectedWithGateway},
		{"11.1", "without a gateway", connected, connectedWithout},
		{"11.2", "IPv6, with and without", connected, connected6},
		{"11.3", "no gateway at all, and scope link", connected, connectedOnLink},
		{"11.4", "two networks with the same subnet: the first keeps its route", connected, connectedTwice},
		{"11.5", "in a chain, whose interface stays", connected, connectedInChain},

		{"12", "a router of the host's uplink", stray, strayUplink},
		{"12.1", "the same in IPv6", stray, strayUplink6},
		{"12.2", "an address of the host on another interface", stray, strayOwnAddress},
		{"12.3", "no route to it, or an unreachable route", stray, strayNowhere},
		{"12.4", "the gateway of a range, which routes without gateway get", stray, strayRange},
		{"12.5", "from another IPAM plugin", stray, strayForeign},
		{"12.6", "a router on an adopted LAN stays on the link", stray, routerOnLAN},
		{"12.7", "a route with onlink or scope link", stray, routerDeclared},

		{"13", "unreachable default, no other", uplink, mtuUnreachable},
		{"13.1", "every type of unreachable route, in either family, and through lo", uplink, mtuRefusing},
		{"13.2", "uplink MTU 1000, with and without IPv6", uplink, mtuSmall},
		{"13.3", "several hops: the smallest; several metrics: the lowest", uplink, mtuHops},
		{"13.4", "default route in two halves, and in a table of its own", uplink, mtuHalves},
		{"13.5", "the route has an MTU", uplink, mtuOfRoute},
		{"13.6", "mtu below 1280 with IPv6: refused before anything is created", uplink, mtuRefused},
		{"13.7", "the MTU of an existing bridge is too small for IPv6", uplink, mtuOfBridge},
		{"13.8", "a bridge that cannot be completed is removed", uplink, bridgeUnfinished},
	}
}

// brConf returns a network on bridge cni0 whose default gateway is the host, with a set of ranges for each subnet.
func brConf(subnets ...string) string {
	var sets []string
	for _, subnet := range subnets {
		sets = append(sets, `[{"subnet": "`+subnet+`"}]`)
	}
	return brSets(strings.Join(sets, ", "))
}

// brSets returns the network of brConf with sets in JSON.
func brSets(sets string) string {
	return `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipam": {"type": "patchbay", "ranges": [` + sets + `]}}`
}

// brOn returns a configuration on another bridge.
func brOn(bridge, conf string) string { return addrWith(conf, `"bridge": "`+bridge+`"`) }

// brRoutes returns a configuration with routes, in JSON.
func brRoutes(conf, routes string) string {
	return strings.Replace(conf, `"ranges"`, `"routes": [`+routes+`], "ranges"`, 1)
}

// adds calls ADD for each container, which must succeed, and then CHECK.
func (n *addrNode) adds(t *testing.T, conf string, names ...string) {
	t.Helper()
	for _, name := range names {
		a := n.addAs(t, name, conf, "")
		a.Result(t)
		n.prev[name] = a.Stdout
		n.check(t, name, conf).OK(t)
	}
}

func (n *addrNode) dels(t *testing.T, conf string, names ...string) {
	t.Helper()
	for _, name := range names {
		n.del(t, name, conf)
	}
}

// everyFails requires that ADD and STATUS fail with the same message and leave the host unchanged.
func (n *addrNode) everyFails(t *testing.T, conf string, code uint, says ...string) {
	t.Helper()
	before := n.Leaks()
	n.refused(t, "refused", conf, "", code, says[0])
	status := n.status(t, conf).Error(t)
	if status.Code != 50 {
		t.Errorf("STATUS: code %d: %v", status.Code, status)
	}
	for _, text := range says {
		if !strings.Contains(status.Msg, text) {
			t.Errorf("STATUS says %q, not %q", status.Msg, text)
		}
	}
	if after := n.Leaks(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("left behind: %q, %q before", after, before)
	}
}

func (n *addrNode) ip(t *testing.T, command string, args ...any) string {
	t.Helper()
	return n.Run(t, "ip", strings.Fields(fmt.Sprintf(command, args...))...)
}

// gc calls GC with the named containers as valid.
func (n *addrNode) gc(t *testing.T, conf string, keep ...string) {
	t.Helper()
	valid := []map[string]string{}
	for _, name := range keep {
		valid = append(valid, map[string]string{"containerID": name, "ifname": "eth0"})
	}
	text, err := json.Marshal(valid)
	if err != nil {
		t.Fatal(err)
	}
	n.CNI(t, nettest.Call{Command: "GC", Config: []byte(addrWith(conf, `"cni.dev/valid-attachments": `+string(text)))}).OK(t)
}

// lose deletes a container as a crash does: its namespace, and its record unless record is true.
func (n *addrNode) lose(t *testing.T, name string, record bool) {
	t.Helper()
	// Delete the veth pair, because the kernel deletes it some time after the namespace.
	var peer string
	for line := range strings.Lines(n.Run(t, "ip", "-oneline", "link", "show", "type", "veth")) {
		if strings.Contains(line, "alias") && strings.Contains(line, "/"+name+"/eth0") {
			peer = strings.TrimSuffix(strings.Split(strings.Fields(line)[1], "@")[0], ":")
		}
	}
	if peer == "" {
		t.Fatalf("no host interface of %s", name)
	}
	n.ip(t, "link del %s", peer)
	n.made[name].Delete()
	delete(n.made, name)
	delete(n.prev, name)
	if !record {
		n.Do(func() {
			if err := os.Remove("/run/patchbay/net/" + name + "@eth0.json"); err != nil {
				t.Error(err)
			}
		})
	}
}
