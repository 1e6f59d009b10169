package reported

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// links creates interfaces of the host with these MTUs: eth0 with 192.0.2.2/24 and 2001:db8:0::2/64, then eth1 with
// 192.0.3.2/24 and 2001:db8:1::2/64, and so on.
func (n *addrNode) links(t *testing.T, mtus ...string) {
	t.Helper()
	router := n.Container("router")
	for i, mtu := range mtus {
		name := "eth" + string(rune('0'+i))
		n.Veth(name, router.Netns, name)
		n.ip(t, "link set %s mtu %s", name, mtu)
		n.ip(t, "address add 192.0.%d.2/24 dev %s", i+2, name)
		if len(mtu) > 3 && mtu >= "1280" {
			n.ip(t, "-6 address add 2001:db8:%d::2/64 dev %s nodad", i, name)
		}
	}
}

// mtuOf requires the MTU of the bridge that an ADD creates, and of host and container interface; then it deletes the
// bridge.
func (n *addrNode) mtuOf(t *testing.T, conf, mtu string) {
	t.Helper()
	n.adds(t, conf, "web")
	for _, text := range []string{n.ip(t, "link show cni0"), n.container("web").Run(t, "ip", "link", "show", "eth0")} {
		if !strings.Contains(text, " mtu "+mtu+" ") {
			t.Errorf("want MTU %s: %s", mtu, text)
		}
	}
	n.dels(t, conf, "web")
	n.ip(t, "link del cni0")
}

func mtuUnreachable(t *testing.T) {
	n := newAddrNode(t)
	n.ip(t, "-6 route add unreachable default")
	n.Baseline()
	n.mtuOf(t, brConf("10.1.2.0/24", "fd00:1::/64"), "1500")
	n.mtuOf(t, brConf("10.1.2.0/24"), "1500")
	n.mtuOf(t, brConf("fd00:1::/64"), "1500")
}

func mtuRefusing(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1400")
	conf := brConf("10.1.2.0/24", "fd00:1::/64")
	for _, family := range []string{"-4", "-6"} {
		for _, route := range []string{"unreachable default", "blackhole default", "prohibit default", "throw default", "default dev lo", "local default dev lo"} {
			if family == "-6" && route == "local default dev lo" {
				continue // in the table local it would be an address of the host
			}
			n.ip(t, "%s route add %s metric 50", family, route)
			n.mtuOf(t, conf, "1500")
			n.ip(t, "%s route del %s metric 50", family, route)
		}
	}
	// One family has an unreachable route, the other an uplink.
	n.ip(t, "-6 route add unreachable default metric 1")
	n.ip(t, "route add default via 192.0.2.1 dev eth0")
	n.mtuOf(t, conf, "1400")
	n.mtuOf(t, brConf("fd00:1::/64"), "1400")
	n.Baseline()
}

func mtuSmall(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1000")
	n.ip(t, "route add default via 192.0.2.1 dev eth0")
	n.Baseline()
	dual := brConf("10.1.2.0/24", "fd00:1::/64")
	n.mtuOf(t, dual, "1280")
	n.mtuOf(t, brConf("fd00:1::/64"), "1280")
	n.mtuOf(t, brConf("10.1.2.0/24"), "1000")
	const static = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isGateway": true, "ipam": {"type": "static", "addresses": [{"address": "fd00:1::7/64", "gateway": "fd00:1::1"}]}}`
	n.mtuOf(t, static, "1280") // the addresses of another IPAM plugin are not known in advance
	n.adds(t, dual, "web")
	n.reaches(t, "web", "10.1.2.1", "fd00:1::1")
	n.dels(t, dual, "web")
}

func mtuHops(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1450", "1400", "1300")
	conf := brConf("10.1.2.0/24")
	n.ip(t, "route add default nexthop via 192.0.2.1 dev eth0 nexthop via 192.0.3.1 dev eth1")
	n.mtuOf(t, conf, "1400")
	n.ip(t, "route add default via 192.0.4.1 dev eth2 metric 300") // used only without the others
	n.mtuOf(t, conf, "1400")
	n.ip(t, "link set eth1 down") // one next hop is down
	n.mtuOf(t, conf, "1450")
	n.ip(t, "link set eth0 down")
	n.mtuOf(t, conf, "1300")
	n.ip(t, "-6 route add default nexthop via 2001:db8:2::1 dev eth2 nexthop via 2001:db8:2::9 dev eth2")
	n.mtuOf(t, brConf("fd00:1::/64"), "1300")
	n.Baseline()
}

func mtuHalves(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1450", "1350", "1400")
	conf := brConf("10.1.2.0/24")
	n.ip(t, "route add default via 192.0.2.1 dev eth0")
	n.ip(t, "route add 0.0.0.0/1 via 192.0.3.1 dev eth1") // OpenVPN, def1
	n.ip(t, "route add 128.0.0.0/1 via 192.0.3.1 dev eth1")
	n.mtuOf(t, conf, "1350")
	n.ip(t, "route del 0.0.0.0/1")
	n.ip(t, "route del 128.0.0.0/1")
	n.ip(t, "route add default via 192.0.4.1 dev eth2 table 100")
	n.mtuOf(t, conf, "1450") // no rule uses that table
	n.ip(t, "rule add not fwmark 0xca6c lookup 100 priority 500")
	n.mtuOf(t, conf, "1400")
	n.ip(t, "-6 route add 2000::/4 via 2001:db8:1::1 dev eth1")
	n.mtuOf(t, brConf("fd00:1::/64"), "1350")
	n.mtuOf(t, brConf("10.1.2.0/24", "fd00:1::/64"), "1350")
	n.mtuOf(t, conf, "1400") // the IPv6 route does not matter for this network
	n.ip(t, "rule del priority 500")
	n.Baseline()
}

func mtuOfRoute(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1450", "9000")
	n.ip(t, "route add default via 192.0.2.1 dev eth0 mtu 1380")
	n.ip(t, "-6 route add default via 2001:db8:1::1 dev eth1 mtu lock 1300")
	n.Baseline()
	n.mtuOf(t, brConf("10.1.2.0/24"), "1380")
	n.mtuOf(t, brConf("fd00:1::/64"), "1300")
	n.mtuOf(t, brConf("10.1.2.0/24", "fd00:1::/64"), "1300")
	n.ip(t, "route del default")
	n.ip(t, "-6 route del default")
	n.ip(t, "route add default via 192.0.3.1 dev eth1")
	n.mtuOf(t, brConf("10.1.2.0/24"), "9000")
	n.Baseline()
}

func mtuRefused(t *testing.T) {
	n := newAddrNode(t)
	for _, mtu := range []string{"1279", "68"} {
		conf := addrWith(brConf("10.1.2.0/24", "fd00:1::/64"), `"mtu": `+mtu)
		n.refused(t, "web", conf, "", 7, "mtu: "+mtu+" is too small for IPv6")
		if n.status(t, conf).Exit == 0 {
			t.Error("STATUS passes")
		}
		if leaks := n.Leaks(); len(leaks) > 0 {
			t.Errorf("left behind: %q", leaks)
		}
	}
	n.mtuOf(t, addrWith(brConf("10.1.2.0/24", "fd00:1::/64"), `"mtu": 1280`), "1280")
	n.mtuOf(t, addrWith(brConf("10.1.2.0/24"), `"mtu": 576`), "576")
}

func mtuOfBridge(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	n.ip(t, "link set br0 mtu 1000")
	n.Baseline()
	dual := brConf("10.1.2.0/24", "fd00:1::/64")
	n.everyFails(t, brOn("br0", dual), 7, "MTU 1000 of bridge br0: too small for IPv6")
	n.adds(t, brOn("br0", brConf("10.1.2.0/24")), "web")
	n.reaches(t, "web", "10.1.2.1")
	n.dels(t, brOn("br0", dual), "web")
	small := addrWith(brConf("10.1.2.0/24"), `"mtu": 1000`)
	n.adds(t, small, "web") // the same for a bridge that Patchbay created
	n.refused(t, "db", dual, "", 7, "MTU 1000 of bridge cni0: too small for IPv6")
	n.dels(t, small, "web")
	n.ip(t, "link set cni0 mtu 1500")
	n.adds(t, dual, "db")
	n.dels(t, dual, "db")
}

// bridgeUnfinished makes each netlink request of an ADD in turn fail, and then kills the ADD there.
func bridgeUnfinished(t *testing.T) {
	n := newAddrNode(t)
	n.links(t, "1400")
	n.ip(t, "route add default via 192.0.2.1 dev eth0")
	n.Baseline()
	conf := brConf("10.1.2.0/24")
	requests := func(s stepper.Step) bool { return s.Kind == stepper.Request && !s.After }
	failed, killed := 0, 0
	for request, state := 1, ""; state != "finished"; request++ { // until it is killed after the bridge is finished
		a := n.stepped(t, n.call(t, "ADD", "web", conf), requests, request, stepper.Refuse(syscall.ENOMEM))
		if a.Exit != 0 {
			failed++
		}
		if n.stateOf(t) == "unfinished" {
			t.Errorf("request %d failed, and left an unfinished bridge: %s", request, a)
		}
		n.afresh(t, conf)
		n.stepped(t, n.call(t, "ADD", "web", conf), requests, request, stepper.Signal(syscall.SIGKILL))
		if state = n.stateOf(t); state == "unfinished" {
			killed++
			n.adds(t, conf, "db")
			if now := n.stateOf(t); now != "finished" {
				t.Errorf("killed at request %d: the next ADD has left the bridge %s", request, now)
			}
			n.dels(t, conf, "db")
		}
		n.afresh(t, conf)
	}
	if failed < 5 || killed < 2 {
		t.Errorf("%d ADDs failed, %d were killed while they made the bridge", failed, killed)
	}
}

// stepped is a call to which something is done at one of the steps that count, the first is 1.
func (n *addrNode) stepped(t *testing.T, call nettest.Call, counts func(stepper.Step) bool, at int, act stepper.Act) nettest.Answer {
	t.Helper()
	seen := 0
	watch := func(s stepper.Step) stepper.Act {
		if counts(s) {
			seen++
			if seen == at {
				return act
			}
		}
		return stepper.Go()
	}
	program := stepper.Program{Path: nettest.Patchbay(t), Stdin: call.Config, Env: []string{
		"CNI_COMMAND=" + call.Command, "CNI_PATH=" + call.Path, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName,
	}}
	var ending stepper.Ending
	var err error
	n.Do(func() { ending, err = stepper.Run(program, watch) })
	if err != nil || ending.TimedOut {
		t.Fatalf("step %s: %v, timed out: %v", call.Command, err, ending.TimedOut)
	}
	return nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
}

// stateOf returns the state of bridge cni0: absent, finished (up, with our alias and the MTU of the uplink) or
// unfinished.
func (n *addrNode) stateOf(t *testing.T) string {
	t.Helper()
	list, err := n.Netlink().LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		a := l.Attrs()
		switch {
		case a.Name != "cni0":
		case a.Flags&net.FlagUp != 0 && a.Alias == "patchbay:bridge" && a.MTU == 1400 && a.Group == 0:
			return "finished"
		default:
			return "unfinished"
		}
	}
	return "absent"
}

// afresh deletes the container of an ADD that may have failed, and the bridge.
func (n *addrNode) afresh(t *testing.T, conf string) {
	t.Helper()
	n.del(t, "web", conf)
	if n.stateOf(t) != "absent" {
		n.ip(t, "link del cni0")
	}
}
