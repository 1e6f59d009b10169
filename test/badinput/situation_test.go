package badinput

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestAddresses: ranges and requests that cannot be served.
func TestAddresses(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet()) // has 10.1.2.2
	b.attach(t, "last", pool(`"subnet": "10.1.9.0/24", "rangeStart": "10.1.9.7", "rangeEnd": "10.1.9.7"`))
	const config, again = 7, 11
	b.try(t, []row{
		{name: "ranges/overlap", config: pool(`"ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.2.128/25"}]]`), code: config, msg: "ipam.ranges: invalid address range: sets 10.1.2.1-10.1.2.254 and 10.1.2.129-10.1.2.254 overlap", details: "no two overlap"},
		{name: "ranges/exhausted", config: pool(`"subnet": "10.1.9.0/24", "rangeStart": "10.1.9.7", "rangeEnd": "10.1.9.7"`), code: again, msg: "no IP addresses available in range set: 10.1.9.7-10.1.9.7", details: "add a range to ipam.ranges"},
		{name: "exclude/everything", config: subnet(`"exclude": ["10.1.2.0/24"]`), code: config, msg: "ipam.ranges: invalid address range: nothing is left of 10.1.2.1-10.1.2.254 without its gateway and exclude", details: "exclude leaves something of each set"},
		{name: "requested/taken", config: subnet(), args: "IP=10.1.2.2", code: config, msg: "requested IP address 10.1.2.2 is taken by neighbour/eth0", details: "ask for a free address"},
		{name: "requested/outside", config: subnet(), args: "IP=10.7.7.7", code: config, msg: "requested IP address 10.7.7.7 is in none of the network's ranges, or is the second one of a range", details: "ask for a free address within ipam.ranges"},
		{name: "requested/gateway", config: subnet(), args: "IP=10.1.2.1", code: config, msg: "requested IP address 10.1.2.1 is subnet's gateway", details: "ask for a free address"},
		{name: "requested/excluded", config: subnet(`"exclude": ["10.1.2.9"]`), args: "IP=10.1.2.9", code: config, msg: "requested IP address 10.1.2.9 is excluded by 10.1.2.9/32", details: "ask for a free address"},
		{name: "resolvConf/missing", config: subnet(`"resolvConf": "/run/none"`), code: 5, msg: "read ipam.resolvConf: open /run/none: no such file or directory", details: "look at the file"},
	})
}

// TestBridges: bridges that cannot be used as the configuration says.
func TestBridges(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.Veth("plain0", b.Netns, "plain1")
	b.Bridge("br0", "192.0.2.10/24")
	b.Baseline()
	b.try(t, []row{
		{name: "bridge/plain interface", config: network(`"bridge": "plain0"`), code: 7, msg: "interface plain0 is not a bridge but of type veth", details: "set the key bridge to another name"},
		{name: "bridge/another address", config: subnetWith(`"isGateway": true`), code: 105, msg: "bridge br0 has other addresses: 192.0.2.10/24, not 10.1.2.1/24", details: "set forceAddress"},
	})
}

// TestBridgeFull: Linux gives a bridge 1023 ports; the next one is refused in words.
func TestBridgeFull(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	fill(t, b)
	b.Baseline()
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the cursor went on; it is no reservation
	b.try(t, []row{{name: "1024th port", config: subnet(), code: 103, msg: "bridge br0 has no port left: exchange full", details: "1023 ports; use a second bridge"}})
	full := subnetWith(`"cniVersion": "1.1.0"`)
	b.try(t, []row{{name: "STATUS of 1023 ports", config: full, env: []string{"CNI_COMMAND=STATUS"}, code: 50, msg: "no container can be attached: bridge br0 has no port left", details: "1023 ports; use a second bridge", version: "1.1.0"}})
	b.Run(t, "ip", "link", "del", "p500")
	call := nettest.Call{Command: "STATUS", Config: []byte(full)}
	b.CNI(t, call).OK(t)
	b.NoOracle("the ports go with the host")
}

// fill plugs cables by hand until the kernel has no port left.
func fill(t *testing.T, b *table) {
	t.Helper()
	br, err := b.Netlink().LinkByName("br0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1024 {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("p%d", i)
		if err := b.Netlink().LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "q" + attrs.Name}); err != nil {
			t.Fatal(err)
		}
		if err := b.Netlink().LinkSetMaster(&netlink.Veth{LinkAttrs: attrs}, br); err != nil {
			return
		}
	}
	t.Fatal("the bridge took 1025 ports")
}

// TestAttachments: ADDs of what is attached already.
func TestAttachments(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	first := b.attach(t, "first", subnet())
	again := []string{"CNI_CONTAINERID=first", "CNI_NETNS=" + first.Path()}
	b.try(t, []row{
		{name: "ADD twice", config: subnet(), env: again, code: 100, msg: "attached already: container first has eth0 on network net", details: "call DEL first"},
		{name: "the same ID in another namespace", config: subnet(), env: []string{"CNI_CONTAINERID=first"}, code: 101, msg: "this container ID is in use: container first is attached to network net in /run/netns/first, not in /run/netns/web", details: "call DEL with this container ID"},
	})
}

// TestAddAtOnce: of two ADDs of one attachment one wins, and the other says so.
func TestAddAtOnce(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	call := b.call
	call.Config = []byte(subnet())
	one, two := b.StartCNI(t, call), b.StartCNI(t, call)
	answers := []nettest.Answer{one.Wait(t), two.Wait(t)}
	if answers[0].Exit == 1 {
		answers[0], answers[1] = answers[1], answers[0]
	}
	answers[0].Result(t)
	want := &types.Error{Code: 100, Msg: "attached already: container c1 has eth0 on network net"}
	if got := answers[1].Error(t); got.Code != want.Code || got.Msg != want.Msg {
		t.Errorf("the second: %+v, want %+v", got, want)
	}
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.Oracle(nettest.Attachment)
}

// TestForeignLink: an interface that has our derived name and somebody else's alias.
func TestForeignLink(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	call := b.call
	call.Config = []byte(subnet())
	name := b.CNI(t, call).Result(t).Interfaces[1].Name
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.Veth(name, b.Netns, "far")
	b.Run(t, "ip", "link", "set", name, "alias", "somebody else's")
	b.Baseline()
	b.try(t, []row{{
		name: "host link/foreign", config: subnet(), code: 104,
		msg:     "interface " + name + `, the name derived for this attachment, belongs to somebody else: its alias is "somebody else's"`,
		details: "remove or rename that interface",
	}})
}

// TestState: a state directory that cannot be written, and records that cannot be read.
func TestState(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	b.Run(t, "sh", "-c", "mkdir /run/ro /run/full && mount --bind /run/ro /run/ro && mount -o remount,ro,bind /run/ro && mount -t tmpfs -o nr_inodes=1 tmpfs /run/full")
	knows := store.RecordVersion()
	b.Run(t, "sh", "-c", fmt.Sprintf(`echo '{"version": %d, "shape": []}' >/run/patchbay/net/newer@eth0.json`, knows+1))
	b.Baseline()
	const io = 5
	b.try(t, []row{
		{name: "stateDir/read-only", config: network(`"stateDir": "/run/ro"`), code: io, msg: "make state directory: mkdir /run/ro/net: read-only file system", details: "set stateDir, and ipam.dataDir"},
		{name: "stateDir/full", config: network(`"stateDir": "/run/full"`), code: io, msg: "make state directory: mkdir /run/full/net: no space left on device", details: "make room in the state directory"},
		{name: "stateDir/plain file", config: network(`"stateDir": "/etc/passwd"`), code: io, msg: "make state directory: mkdir /etc/passwd: not a directory", details: "look at the file"},
		{name: "record/newer", config: subnet(), env: []string{"CNI_CONTAINERID=newer"}, code: 50, msg: fmt.Sprintf("unreadable record: written by a newer patchbay: it has version %d, this one knows versions up to %d", knows+1, knows), details: "install the newer patchbay again"},
	})
}

// TestTornRecord: garbage in place of a record is nobody's attachment; ADD works around it.
func TestTornRecord(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	b.Run(t, "sh", "-c", "echo garbage >/run/patchbay/net/c1@eth0.json")
	call := b.call
	call.Config = []byte(subnet())
	if a := b.CNI(t, call).Result(t); !strings.HasPrefix(a.IPs[0].Address.String(), "10.1.2.") {
		t.Errorf("address %s", a.IPs[0].Address.String())
	}
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.Oracle(nettest.Attachment)
	b.Run(t, "test", "!", "-e", "/run/patchbay/net/c1@eth0.json")
}
