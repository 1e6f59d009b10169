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

// TestAddresses: ranges and requests for which no address can be assigned.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestAddresses(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet()) // has 10.1.2.2
	b.attach(t, "last", pool(`"subnet": "10.1.9.0/24", "rangeStart": "10.1.9.7", "rangeEnd": "10.1.9.7"`))
	const config, again = 7, 11
	b.try(t, []row{
		{name: "ranges/overlap", config: pool(`"ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.2.128/25"}]]`), code: config, msg: "ipam.ranges: invalid address range: sets 10.1.2.1-10.1.2.254 and 10.1.2.129-10.1.2.254 overlap", details: "no two ranges overlap"},
		{name: "ranges/exhausted", config: pool(`"subnet": "10.1.9.0/24", "rangeStart": "10.1.9.7", "rangeEnd": "10.1.9.7"`), code: again, msg: "no IP addresses available in range set: 10.1.9.7-10.1.9.7", details: "add a range to ipam.ranges"},
		{name: "exclude/everything", config: subnet(`"exclude": ["10.1.2.0/24"]`), code: config, msg: "ipam.ranges: invalid address range: nothing is left of 10.1.2.1-10.1.2.254 without its gateway and exclude", details: "exclude leaves some addresses of each set"},
		{name: "requested/taken", config: subnet(), args: "IP=10.1.2.2", code: config, msg: "requested IP address 10.1.2.2 is taken by neighbour/eth0", details: "request a free address"},
		{name: "requested/outside", config: subnet(), args: "IP=10.7.7.7", code: config, msg: "requested IP address 10.7.7.7 is outside of the network's ranges: 10.1.2.1-10.1.2.254", details: "request a free address within ipam.ranges"},
		{name: "requested/gateway", config: subnet(), args: "IP=10.1.2.1", code: config, msg: "requested IP address 10.1.2.1 is the gateway of its subnet", details: "request a free address"},
		{name: "requested/excluded", config: subnet(`"exclude": ["10.1.2.9"]`), args: "IP=10.1.2.9", code: config, msg: "requested IP address 10.1.2.9 is excluded by 10.1.2.9/32", details: "request a free address"},
		{name: "resolvConf/missing", config: subnet(`"resolvConf": "/run/none"`), code: 5, msg: "read ipam.resolvConf: open /run/none: no such file or directory", details: "set ipam.resolvConf to a file that the plugin can read"},
	})
}

// TestBridges: bridges that do not fit the configuration.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestBridges(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.Veth("plain0", b.Netns, "plain1")
	b.Bridge("br0", "192.0.2.10/24")
	b.Baseline()
	b.try(t, []row{
		{name: "bridge/plain interface", config: network(`"bridge": "plain0"`), code: 7, msg: "interface plain0 (veth): not a bridge", details: "set the key bridge to the name of a bridge"},
		{name: "bridge/another address", config: subnetWith(`"isGateway": true`), code: 105, msg: "bridge br0: conflicting addresses: present is 192.0.2.10/24, required is 10.1.2.1/24", details: "set forceAddress"},
	})
}

// TestBridgeFull: Linux allows 1023 ports on a bridge; the ADD of one more fails with a message.
//
// Claim: STATUS returns code 50 or 51, with ADD's message, where every ADD fails, and 0 where ADD succeeds: for each state of bridge,
// kernel, files and pools
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestBridgeFull(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	fill(t, b)
	b.Baseline()
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the round robin position changed; it is not a reservation
	b.try(t, []row{{name: "1024th port", config: subnet(), code: 103, msg: "bridge br0: no free port", details: "use a second bridge for further containers: Linux allows 1023 ports"}})
	full := subnetWith(`"cniVersion": "1.1.0"`)
	b.try(t, []row{{name: "STATUS of 1023 ports", config: full, env: []string{"CNI_COMMAND=STATUS"}, code: 50, msg: "no container can be attached: bridge br0: no free port", details: "use a second bridge for further containers: Linux allows 1023 ports", version: "1.1.0"}})
	b.Run(t, "ip", "link", "del", "p500")
	call := nettest.Call{Command: "STATUS", Config: []byte(full)}
	b.CNI(t, call).OK(t)
	b.NoOracle("the ports go with the host")
}

// fill adds veth interfaces to br0 until the kernel refuses another port.
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

// TestAttachments: ADDs of attachments that exist.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestAttachments(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	first := b.attach(t, "first", subnet())
	again := []string{"CNI_CONTAINERID=first", "CNI_NETNS=" + first.Path()}
	b.try(t, []row{
		{name: "ADD twice", config: subnet(), env: again, code: 100, msg: "already attached: container first has eth0 on network net", details: "call DEL first"},
		{name: "the same ID in another namespace", config: subnet(), env: []string{"CNI_CONTAINERID=first"}, code: 101, msg: "container ID in use: container first is attached to network net in /run/netns/first, and this call names /run/netns/web", details: "use another container ID, or call DEL"},
	})
}

// TestConcurrentAdds: of two concurrent ADDs of one attachment one succeeds, and the other returns code 100.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestConcurrentAdds(t *testing.T) {
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
	want := &types.Error{Code: 100, Msg: "already attached: container c1 has eth0 on network net"}
	if got := answers[1].Error(t); got.Code != want.Code || got.Msg != want.Msg {
		t.Errorf("the second: %+v, want %+v", got, want)
	}
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.Oracle(nettest.Attachment)
}

// TestLinkOfAnotherProgram: an interface has the derived name of the host interface and the alias of another program.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestLinkOfAnotherProgram(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	call := b.call
	call.Config = []byte(subnet())
	name := b.CNI(t, call).Result(t).Interfaces[1].Name
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.Veth(name, b.Netns, "far")
	b.Run(t, "ip", "link", "set", name, "alias", "another program's")
	b.Baseline()
	b.try(t, []row{{
		name: "host interface/of another program", config: subnet(), code: 104,
		msg:     "interface " + name + `, the name derived for this attachment: not owned by this attachment (alias "another program's")`,
		details: "remove or rename that interface",
	}})
}

// TestState: a state directory that cannot be written, and records that cannot be read.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestState(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet())
	b.Run(t, "sh", "-c", "mkdir /run/ro /run/full && mount --bind /run/ro /run/ro && mount -o remount,ro,bind /run/ro && mount -t tmpfs -o nr_inodes=1,mode=0755 tmpfs /run/full")
	knows := store.RecordVersion()
	b.Run(t, "sh", "-c", fmt.Sprintf(`echo '{"version": %d, "shape": []}' >/run/patchbay/net/newer@eth0.json`, knows+1))
	b.Baseline()
	const io = 5
	b.try(t, []row{
		{name: "stateDir/read-only", config: network(`"stateDir": "/run/ro"`), code: io, msg: "state directory /run/ro/net: write to /run/ro: read-only file system", details: "set stateDir and ipam.dataDir"},
		{name: "stateDir/full", config: network(`"stateDir": "/run/full"`), code: io, msg: "state directory /run/full/net: write to /run/full/net: no space left on device", details: "file system of the state directory (df -h, df -i)"},
		{name: "stateDir/plain file", config: network(`"stateDir": "/etc/passwd"`), code: io, msg: "state directory /etc/passwd/net: lstat /etc/passwd/net: not a directory", details: "check the type and the parent directory"},
		{name: "record/newer", config: subnet(), env: []string{"CNI_CONTAINERID=newer"}, code: 50, msg: fmt.Sprintf("unreadable record: written by a newer patchbay: it has version %d, this one knows versions up to %d", knows+1, knows), details: "install the newer patchbay again"},
	})
}

// TestTornRecord: ADD replaces a record that cannot be parsed, because it does not belong to any attachment.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
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
