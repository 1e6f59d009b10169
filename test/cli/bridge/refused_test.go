package bridge

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// refusal is a host and a command that is refused on it.
type refusal struct {
	state []string // commands after those of plain
	args  string   // after "bridge "
	want  []string
}

const ofEth0 = "create br0 --uplink eth0"

func refusals() map[string]refusal {
	all := refusedUplinks()
	maps.Copy(all, refusedArguments())
	return all
}

func refusedArguments() map[string]refusal {
	return map[string]refusal{
		"no name":          {nil, "create --uplink eth0", []string{"bridge create needs one bridge name, got 0 arguments; see patchbay help bridge"}},
		"no uplink":        {nil, "create br0", []string{"bridge create needs --uplink, the interface to put into the bridge"}},
		"no second word":   {nil, "", []string{"bridge needs a second word: use create BR --uplink IF, confirm or delete BR"}},
		"another word":     {nil, "creat br0", []string{`unknown command "bridge creat"; did you mean create?`}},
		"no time":          {nil, ofEth0 + " --timeout 10ms", []string{"--timeout: want 1s to 1h, got 10ms"}},
		"invalid name":     {nil, "create a/b --uplink eth0", []string{`bridge name "a/b": want 1 to 15 characters without white space, slashes and colons`}},
		"long name":        {nil, "create abcdefghijklmnop --uplink eth0", []string{"want 1 to 15 characters"}},
		"not found":        {nil, "create br0 --uplink eht0", []string{"eht0: interface not found; did you mean eth0?"}},
		"name in use":      {[]string{"ip link add br0 type bridge"}, ofEth0, []string{"br0: an interface of this name exists; choose another name"}},
		"foreign bridge":   {[]string{"ip link add br1 up type bridge"}, "delete br1", []string{"br1: not created by patchbay bridge create: delete it with the program that created it"}},
		"delete nothing":   {nil, "delete br0", []string{"br0: interface not found"}},
		"delete no bridge": {nil, "delete eth0", []string{"eth0: not created by patchbay bridge create"}},
		"confirm two":      {nil, "confirm a b", []string{"bridge confirm takes one bridge name at most, got 2 arguments"}},
	}
}

func refusedUplinks() map[string]refusal {
	return map[string]refusal{
		"loopback": {nil, "create br0 --uplink lo", []string{"lo cannot be the uplink of a bridge: it is the loopback interface"}},
		"a bridge": {[]string{"ip link add br1 up type bridge"}, "create br0 --uplink br1", []string{"br1 cannot be the uplink of a bridge: it is a bridge already; use it as it is: patchbay up NAME --network br1"}},
		"a port": {
			[]string{"ip link add br1 up type bridge", "ip link add v0 up type veth peer v1", "ip link set v1 up master br1"},
			"create br0 --uplink v1",
			[]string{"v1 cannot be the uplink of a bridge: it is a port of bridge br1; use that bridge: patchbay up NAME --network br1"},
		},
		"down":       {[]string{"ip link add v0 type veth peer v1"}, "create br0 --uplink v0", []string{"it is down; set it up: ip link set v0 up"}},
		"no carrier": {[]string{"ip link add v0 up type veth peer v1"}, "create br0 --uplink v0", []string{"it has no carrier; connect it first"}},
		"tap":        {[]string{"ip tuntap add tap0 mode tap"}, "create br0 --uplink tap0", []string{"it is the tap of a virtual machine or of a VPN; use a wired interface"}},
		"tun":        {[]string{"ip tuntap add tun0 mode tun"}, "create br0 --uplink tun0", []string{"it carries no Ethernet frames; use a wired interface"}},
		"macvlan":    {[]string{"ip link add mv0 link eth0 type macvlan"}, "create br0 --uplink mv0", []string{"it is a macvlan interface, which receives only its own frames; use the interface below it"}},
		"below a macvlan": {
			[]string{"ip link add mv0 link eth0 type macvlan"}, ofEth0, []string{"the macvlan interface mv0 uses it; delete that interface first"},
		},
		"wireless": {
			[]string{"mount -t tmpfs tmpfs /sys/class/net", "mkdir -p /sys/class/net/eth0/phy80211"},
			ofEth0,
			[]string{"it is wireless, and an access point drops frames of other machines than the station; use a wired interface, or a routed network (patchbay up)"},
		},
		"attachment": {nil, "create br0 --uplink HOSTLINK", []string{"it is the host interface of attachment web; use the interface that leads to the network"}},
		"next hop object": {
			[]string{"ip nexthop add id 7 via 192.0.2.1 dev eth0", "ip route add 10.1.0.0/16 nhid 7"},
			ofEth0,
			[]string{"route 10.1.0.0/16 via 192.0.2.1 uses a next hop object (ip nexthop); replace it by a route with a gateway"},
		},
		"same metric": {
			[]string{"ip link add v0 up type veth peer v1", "ip link set v1 up", "ip address add 10.1.0.1/24 dev v0", "ip route append default via 10.1.0.2"},
			ofEth0,
			[]string{"another interface has the route default via 192.0.2.1 as well, and the older one counts; give one of the two another metric"},
		},
		"DHCP address": {
			[]string{"ip address add 192.0.2.50/24 dev eth0 valid_lft 3600 preferred_lft 1800"},
			ofEth0,
			[]string{"eth0 is managed by another program: the address 192.0.2.50/24 ends unless a DHCP client renews it, and does not do so on a bridge;", "with --force the present address moves and ends with its lease"},
		},
		"DHCPv6 address": {
			[]string{"ip address add 2001:db8::50/128 dev eth0 valid_lft 3600 preferred_lft 1800 nodad"},
			ofEth0,
			[]string{"the address 2001:db8::50/128 ends unless a DHCP client renews it"},
		},
		"IPv6 address of a daemon": {
			[]string{"sysctl -qw net.ipv6.conf.eth0.accept_ra=0", "ip address add 2001:db8::50/64 dev eth0 valid_lft 3600 preferred_lft 1800 nodad"},
			ofEth0,
			[]string{"the address 2001:db8::50/64 ends unless a DHCP client renews it"},
		},
		"systemd-networkd": {[]string{"mkdir -p /run/systemd/netif/leases", "touch /run/systemd/netif/leases/ETH0"}, ofEth0, []string{"systemd-networkd renews its addresses"}},
		"NetworkManager":   {[]string{"mkdir -p /run/NetworkManager/devices/ETH0"}, ofEth0, []string{"eth0 is managed by another program: NetworkManager, which may take it out of the bridge", "--force --persist NetworkManager --write"}},
		"tentative":        {[]string{"ip address add 2001:db8::99/64 dev eth0"}, ofEth0, []string{"the kernel still checks its address 2001:db8::99/64 for a duplicate; try again in a few seconds"}},
	}
}

// TestRefused: what cannot work is refused with the reason and the remedy, and nothing is changed.
//
// Claim: `bridge create` and `bridge delete` refuse what cannot work, with the reason and what to do instead, and change nothing
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plain())
			if name == "attachment" {
				s.ok(t, "up", "web")
				defer s.ok(t, "down", "web")
				list := s.ok(t, "ls", "-o", "json")
				_, rest, _ := strings.Cut(list, `"hostLink": "`)
				link, _, _ := strings.Cut(rest, `"`)
				tt.args = strings.ReplaceAll(tt.args, "HOSTLINK", link)
			}
			index := s.index(t, "eth0")
			for _, line := range tt.state {
				s.apply(t, []string{strings.ReplaceAll(line, "ETH0", fmt.Sprint(index))})
			}
			if name != "tentative" {
				s.quiet(t)
			}
			if name != "attachment" && name != "tentative" {
				s.Baseline()
			}
			s.refused(t, "bridge "+tt.args, tt.want...)
			if name == "tentative" {
				s.apply(t, []string{"ip address del 2001:db8::99/64 dev eth0"})
			}
		})
	}
}

// quiet waits until the kernel has done what follows from the last commands, at different times: carrier, states and local routes. The state has
// not changed for 100 ms then.
func (s *site) quiet(t testing.TB) {
	t.Helper()
	last, since := "", time.Now()
	s.until(t, func() bool {
		now := s.state(t)
		settling := strings.Contains(now, "tentative") || strings.Contains(now, "UP,M-DOWN> mtu 1500 qdisc noqueue state UNKNOWN")
		if now != last || settling {
			last, since = now, time.Now()
		}
		return time.Since(since) > 100*time.Millisecond
	})
}

func (s *site) index(t testing.TB, name string) (index int) {
	t.Helper()
	s.Do(func() {
		link, err := net.InterfaceByName(name)
		if err != nil {
			t.Error(err)
			return
		}
		index = link.Index
	})
	return index
}

// TestDHCPClient: the process of a client that was started for the interface is found; with --force the address moves, with its lifetime.
//
// Claim: `bridge create` and `bridge delete` refuse what cannot work, with the reason and what to do instead, and change nothing
func TestDHCPClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	client := s.Command("bash", "-c", `exec -a dhclient bash -c 'echo ready; read line' -1 eth0`)
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.StdoutPipe()
	if err == nil {
		err = client.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	s.refused(t, "bridge create br0 --uplink eth0", "eth0 is managed by another program: dhclient renews its addresses")
	in.Close()
	_ = client.Wait()
	s.apply(t, []string{"ip address add 192.0.2.50/24 dev eth0 valid_lft 3600 preferred_lft 1800"})
	s.Baseline()
	s.ok(t, append(create(), "--force")...)
	expect.Contains(t, s.Run(t, "ip", "address", "show", "dev", "br0"), "inet 192.0.2.50/24 scope global secondary dynamic br0\n       valid_lft 3")
	s.ok(t, "bridge", "delete", "br0")
	expect.Contains(t, s.Run(t, "ip", "address", "show", "dev", "eth0"), "inet 192.0.2.50/24 scope global secondary dynamic eth0\n       valid_lft 3")
}

// TestAttached: a bridge with attachments is not deleted, and one with other ports neither.
//
// Claim: `bridge create` and `bridge delete` refuse what cannot work, with the reason and what to do instead, and change nothing
func TestAttached(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.ok(t, create()...)
	s.ok(t, "up", "web", "--network", "br0", "--ip", "192.0.2.50/24")
	s.refused(t, "bridge delete br0", "bridge br0 has 1 attachment: web; detach them first (patchbay detach, or the runtime)\n")
	s.Run(t, "ip", "netns", "exec", "web", "ping", "-c", "1", "-W", "5", router4)
	s.ok(t, "down", "web")
	s.heldNamespace(t)
	s.isBridged(t) // the bridge is the administrator's: it keeps its MAC and its addresses
	s.apply(t, []string{"ip link add v0 type veth peer v1", "ip link set v0 master br0"})
	s.refused(t, "bridge delete br0", `bridge br0 has other ports: ["v0"]; remove them first`)
	s.apply(t, []string{"ip link del v0"})
	s.ok(t, "bridge", "delete", "br0")
	s.unchanged(t)
}

// heldNamespace: the name of a network namespace is deleted while a process is in it, so that its interface exists still.
func (s *site) heldNamespace(t *testing.T) {
	t.Helper()
	s.ok(t, "up", "held", "--network", "br0", "--ip", "192.0.2.51/24")
	process := s.Command("ip", "netns", "exec", "held", "sh", "-c", "echo in; read line")
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	s.Run(t, "ip", "netns", "del", "held")
	s.refused(t, "bridge delete br0", "bridge br0 has 1 attachment: held; ", "; patchbay gc removes those whose network namespace no longer exists, when the kernel has deleted it")
	in.Close()
	_ = process.Wait()
	s.until(t, func() bool { return strings.Contains(s.patchbay(t, "gc").stdout, "removed ") })
}

// TestDryRun prints what would be moved, also while the kernel checks an address.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.apply(t, []string{"sysctl -qw net.ipv6.conf.eth0.dad_transmits=1000", "ip address add 2001:db8:9::99/64 dev eth0"})
	expect.Contains(t, s.ok(t, "bridge", "create", "br0", "--uplink", "eth0", "--dry-run"), "br0: would move address 2001:db8:9::99/64\n")
	s.refused(t, "bridge create br0 --uplink eth0", "the kernel still checks its address 2001:db8:9::99/64 for a duplicate")
	s.apply(t, []string{"ip address del 2001:db8:9::99/64 dev eth0", "sysctl -qw net.ipv6.conf.eth0.dad_transmits=1"})
	expect.Equal(t, "output", s.ok(t, "bridge", "create", "br0", "--uplink", "eth0", "--dry-run"), `br0: would be created with eth0 as its port
br0: would move address 192.0.2.10/24
br0: would move address 2001:db8::10/64
br0: would move route default via 192.0.2.1
br0: would move route 192.0.2.0/24
br0: would move route 2001:db8::/64 metric 256
br0: would move route default via 2001:db8::1 metric 1024
`)
	s.unchanged(t)
}

// TestBothKilled: the host is what it is then, and delete restores it.
func TestBothKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, rich())
	r := s.start(t)
	send(19)(t, s, r) // SIGSTOP
	s.killWatchdog(t)
	send(9)(t, s, r)
	r.ends(t, -1, "")
	s.isBridged(t)
	const remedy = "bridge br0 is not finished, because its processes were killed; restore its uplink: patchbay bridge delete br0"
	s.refused(t, "bridge create br1 --uplink eth0", remedy)
	s.refused(t, "bridge confirm", remedy)
	s.ok(t, "bridge", "delete", "br0")
	s.unchanged(t)
	s.ok(t, create()...)
	s.ok(t, "bridge", "delete", "br0")
	s.unchanged(t)
}

// TestQuestion: on a terminal the answer decides.
//
// Claim: `bridge create` asks on a terminal, and keeps the bridge only if the answer is yes
func TestQuestion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		typed string
		exit  int
		want  string
	}{
		"yes":    {"y\n", 0, "br0: kept, eth0 is its port"},
		"no":     {"n\n", 1, "bridge br0 not kept, eth0 is as before: the answer was no"},
		"return": {"\n", 1, "the answer was no"},
		"eof":    {"\x04", 1, "no confirmation within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plain())
			ours, theirs := terminal(t)
			timeout := map[bool]string{true: "1s", false: "30s"}[name == "eof"]
			cmd := s.Command(nettest.Patchbay(t), "bridge", "create", "br0", "--uplink", "eth0", "--timeout", timeout)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := ours.until(t, "[y/N] ")
			expect.Contains(t, said, "br0: moved address 192.0.2.10/24", "keep br0? Without an answer it is removed again in "+timeout)
			if _, err := ours.WriteString(tt.typed); err != nil {
				t.Fatal(err)
			}
			ours.until(t, tt.want)
			_ = cmd.Wait()
			expect.Equal(t, "exit", cmd.ProcessState.ExitCode(), tt.exit)
			if tt.exit == 0 {
				s.isBridged(t)
				s.ok(t, "bridge", "delete", "br0")
			}
			s.unchanged(t)
		})
	}
}
