package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// asIPAM returns the configuration with which a main plugin calls an IPAM plugin, "patchbay" or "host-local".
func asIPAM(kind string, keys cni.Conf) cni.Conf {
	section := cni.Conf{"type": kind, "dataDir": "/var/lib/cni/networks"}.With(keys)
	return cni.Conf{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": section}
}

func twoRanges() cni.Conf {
	return cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}}
}

const networksDir = "/var/lib/cni/networks/net"

// ipamCall returns an attachment whose IPAM plugin is called directly.
func ipamCall(t *testing.T, h *nettest.Node, kind, id string, keys cni.Conf) *attachment {
	t.Helper()
	a := &attachment{h: h, id: id, netns: "/run/netns/none", ifname: "eth0", conf: asIPAM(kind, keys)}
	if kind == "host-local" {
		a.plugin = nettest.Program(t, "host-local")
	}
	return a
}

// entry is a file of the data directory: its mode and content.
type entry struct{ Mode, Content string }

func entries(t *testing.T, h *nettest.Node, dir string) map[string]entry {
	t.Helper()
	out := map[string]entry{}
	for name, text := range files(t, h, dir) {
		mode := strings.TrimSpace(h.Run(t, "stat", "-c", "%a", filepath.Join(dir, name)))
		out[name] = entry{mode, text}
	}
	return out
}

// TestOnDiskFormIsHostLocals: the same calls leave the same files, byte for byte.
//
// Claim: The built-in IPAM has host-local's keys and on-disk format
func TestOnDiskFormIsHostLocals(t *testing.T) {
	t.Parallel()
	var pictures []map[string]entry
	for _, kind := range []string{"host-local", "patchbay"} {
		h := nettest.Host(t)
		for _, id := range []string{"one", "two", "three"} {
			ipamCall(t, h, kind, id, twoRanges()).add(t)
		}
		ipamCall(t, h, kind, "two", twoRanges()).del(t)
		requested := ipamCall(t, h, kind, "four", twoRanges())
		requested.args = "IP=10.1.0.200"
		requested.add(t)
		picture := entries(t, h, networksDir)
		delete(picture, "lock") // host-local makes it executable, for no reason
		pictures = append(pictures, picture)
	}
	expect.Equal(t, "files, ours against host-local's", pictures[1], pictures[0])
	expect.Equal(t, "an address", pictures[1]["10.1.0.2"], entry{"600", "one\r\neth0"})
	expect.Equal(t, "an IPv6 address", pictures[1]["fd00:1::4"], entry{"600", "three\r\neth0"})
	expect.Equal(t, "a cursor", pictures[1]["last_reserved_ip.0"], entry{"600", "10.1.0.200"})
}

// TestLockIsHostLocals: an empty file of the same name, which is never deleted.
func TestLockIsHostLocals(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := ipamCall(t, h, "patchbay", "one", twoRanges())
	a.add(t)
	lock, found := files(t, h, networksDir)["lock"]
	expect.Equal(t, "lock", []any{lock, found}, []any{"", true})
}

// TestSharesRoundRobinWithHostLocal: in one data directory they share one round robin, and no address is assigned twice.
//
// Claim: The built-in IPAM has host-local's keys and on-disk format
func TestSharesRoundRobinWithHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var got []string
	for i, id := range []string{"a", "b", "c", "d", "e", "f"} {
		a := ipamCall(t, h, []string{"host-local", "patchbay"}[i%2], id, twoRanges())
		got = append(got, addresses(a.add(t))...)
	}
	expect.Equal(t, "addresses", got, []string{
		"10.1.0.2/24", "fd00:1::2/64", "10.1.0.3/24", "fd00:1::3/64", "10.1.0.4/24", "fd00:1::4/64",
		"10.1.0.5/24", "fd00:1::5/64", "10.1.0.6/24", "fd00:1::6/64", "10.1.0.7/24", "fd00:1::7/64",
	})
}

// TestRespectsAddressesOfHostLocal: none of them is assigned, not even on request, and the error names the owner.
func TestRespectsAddressesOfHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ipamCall(t, h, "host-local", "theirs", twoRanges()).add(t)
	mine := ipamCall(t, h, "patchbay", "mine", twoRanges())
	mine.args = "IP=10.1.0.2"
	expect.Contains(t, mine.fails(t, "ADD", 7).Msg, "10.1.0.2", "is taken by theirs/eth0")
}

// TestHostLocalRespectsOurAddresses: host-local does the same.
func TestHostLocalRespectsOurAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ipamCall(t, h, "patchbay", "ours", twoRanges()).add(t)
	theirs := ipamCall(t, h, "host-local", "theirs", twoRanges())
	theirs.args = "IP=10.1.0.2"
	expect.Contains(t, theirs.run(t, "ADD").Error(t).Msg, "10.1.0.2")
}

// TestDelReleasesAddressOfHostLocal: Patchbay has replaced the reference plugins while containers were running.
func TestDelReleasesAddressOfHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	theirs := ipamCall(t, h, "host-local", "one", twoRanges())
	theirs.add(t)
	ipamCall(t, h, "patchbay", "one", twoRanges()).del(t)
	expect.Equal(t, "files", addressFiles(t, h), []string{})
	noLeaks(t, h)
}

// TestDelReleasesAddressOfOldHostLocal: before v0.8.0 a file held the container ID alone.
func TestDelReleasesAddressOfOldHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	writeFile(t, h, networksDir+"/10.1.0.2", "one")
	writeFile(t, h, networksDir+"/10.1.0.3", "two")
	h.Baseline()
	h.Allow("file " + networksDir + "/10.1.0.2")
	ipamCall(t, h, "patchbay", "one", twoRanges()).del(t)
	expect.Equal(t, "files", addressFiles(t, h), []string{"10.1.0.3"})
}

// TestHostLocalReleasesOurAddress: the reference plugins have replaced Patchbay while containers were running.
//
// Claim: Marks distinguish Patchbay's addresses from host-local's and do not affect host-local
func TestHostLocalReleasesOurAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ours := ipamCall(t, h, "patchbay", "one", twoRanges())
	ours.add(t)
	ipamCall(t, h, "host-local", "one", twoRanges()).del(t)
	expect.Equal(t, "files", addressFiles(t, h), []string{})
	h.Allow("file " + networksDir + "/.patchbay/") // host-local does not delete marks; those left refer to deleted files
}

func addressFiles(t *testing.T, h *nettest.Node) []string {
	t.Helper()
	out := []string{}
	for name := range files(t, h, networksDir) {
		if name != "lock" && !strings.HasPrefix(name, "last_reserved_ip.") {
			out = append(out, name)
		}
	}
	return out
}

// TestConcurrentAddsWithHostLocal: ten concurrent ADDs of each, under one lock.
//
// Claim: The built-in IPAM has host-local's keys and on-disk format
func TestConcurrentAddsWithHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var all []*attachment
	var running []*nettest.Running
	for i := range 20 {
		a := ipamCall(t, h, []string{"host-local", "patchbay"}[i%2], "c"+string(rune('a'+i)), twoRanges())
		all, running = append(all, a), append(running, h.StartCNI(t, a.call(t, "ADD")))
	}
	seen := map[string]bool{}
	for _, r := range running {
		for _, address := range addresses(r.Wait(t).Result(t)) {
			seen[address] = true
		}
	}
	expect.Equal(t, "different addresses", len(seen), 40)
	for _, a := range all {
		a.del(t)
	}
	expect.Equal(t, "files", addressFiles(t, h), []string{})
}

// programs returns a CNI_PATH with reference plugins, and the built binary as "patchbay".
func programs(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(nettest.Program(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(nettest.Patchbay(t), filepath.Join(dir, "patchbay")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// delegating returns an attachment of another main plugin that uses patchbay as its IPAM plugin.
func delegating(t *testing.T, h *nettest.Node, c *nettest.Container, n cni.Conf) *attachment {
	t.Helper()
	kind := n["type"].(string)
	a := on(h, c, n)
	a.plugin, a.path = nettest.Program(t, kind), programs(t, kind)
	return a
}

// TestAsIPAMOfMacvlan: ADD, CHECK and DEL of the reference macvlan.
//
// Claim: The binary works as an IPAM plugin of macvlan and ptp
func TestAsIPAMOfMacvlan(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.LinkKind("macvlan"))
	h := nettest.Host(t)
	router := h.Container("router")
	h.Veth("eth0", router.Netns, "eth0")
	router.AddAddress("eth0", nettest.LANRouter4+"/24")
	h.Baseline()
	c := h.Container("c")
	a := delegating(t, h, c, cni.Conf{
		"cniVersion": "1.0.0", "name": "net", "type": "macvlan", "master": "eth0",
		"ipam": cni.Conf{
			"type": "patchbay", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.200", "gateway": nettest.LANRouter4,
			"routes": []cni.Conf{{"dst": "0.0.0.0/0"}},
		},
	})
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"192.0.2.200/24"})
	expect.Equal(t, "in the kernel", addressesOf(t, c.Netns, "eth0"), []string{"192.0.2.200/24"})
	expect.Equal(t, "kind", linkOf(t, c.Netns, "eth0").Type(), "macvlan")
	expect.Contains(t, files(t, h, "/run/patchbay/net")[a.id+"@eth0.json"], `"role": "ipam"`)
	ping(t, c.Netns, nettest.LANRouter4)
	a.check(t)
	a.del(t)
	noLeaks(t, h)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
}

// TestAsIPAMOfPtp: the reference ptp with both families; the container reaches the host.
//
// Claim: The binary works as an IPAM plugin of macvlan and ptp
func TestAsIPAMOfPtp(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := delegating(t, h, c, cni.Conf{
		"cniVersion": "1.0.0", "name": "net", "type": "ptp",
		"ipam": cni.Conf{"type": "patchbay", "ranges": twoRanges()["ranges"], "routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}}},
	})
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24", "fd00:1::2/64"})
	ping(t, c.Netns, "10.1.0.1")
	a.check(t)
	a.del(t)
	noLeaks(t, h)
}

// TestAsIPAMCheckFindsMissingAddress: the main plugin's CHECK fails with the message of our CHECK.
func TestAsIPAMCheckFindsMissingAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := delegating(t, h, h.Container("c"), cni.Conf{
		"cniVersion": "1.0.0", "name": "net", "type": "ptp", "ipam": cni.Conf{"type": "patchbay", "ranges": twoRanges()["ranges"]},
	})
	a.add(t)
	removeAll(t, h, addressDir(a)+"/10.1.0.2")
	expect.Contains(t, a.run(t, "CHECK").Error(t).Msg, "address 10.1.0.2 is no longer reserved")
}

// TestAsIPAMWithDeletedNamespace: the main plugin's DEL has only the container ID.
func TestAsIPAMWithDeletedNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := delegating(t, h, c, cni.Conf{
		"cniVersion": "1.0.0", "name": "net", "type": "ptp", "ipam": cni.Conf{"type": "patchbay", "ranges": twoRanges()["ranges"]},
	})
	host := hostEnd(t, a.add(t))
	c.Delete()
	a.netns = ""
	a.del(t)
	linkGone(t, h.Netns, host)
	noLeaks(t, h)
}

// TestAsIPAMResult: the result has addresses, routes and dns, but no interface and no index of one.
//
// Claim: The binary works as an IPAM plugin of macvlan and ptp
func TestAsIPAMResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	writeFile(t, h, "/run/resolv.conf", "nameserver 203.0.113.53\n")
	a := ipamCall(t, h, "patchbay", "one", twoRanges().With(cni.Conf{
		"routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "198.51.100.0/24", "gw": "10.1.0.9"}}, "resolvConf": "/run/resolv.conf",
	}))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "routes", routesText(r), []string{"0.0.0.0/0 <nil> 0", "198.51.100.0/24 10.1.0.9 0"})
	expect.Equal(t, "dns", r.DNS.Nameservers, []string{"203.0.113.53"})
	if len(r.Interfaces) != 0 || r.IPs[0].Interface != nil {
		t.Errorf("interfaces in an IPAM result: %s", a.prev)
	}
}

// TestAsIPAMTouchesNoKernel: no bridge is created and no forwarding enabled, whatever keys the main plugin's
// configuration has.
//
// Claim: The binary works as an IPAM plugin of macvlan and ptp
func TestAsIPAMTouchesNoKernel(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := ipamCall(t, h, "patchbay", "one", twoRanges())
	a.conf = a.conf.With(cni.Conf{"isGateway": true, "ipMasq": true, "vlan": 7, "mtu": "anything", "hairpinMode": true, "promiscMode": true})
	before := h.Snapshot()
	a.add(t)
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !strings.HasPrefix(line, "+ file ") {
			t.Error(line)
		}
	}
	a.check(t)
}

// TestAsIPAMTwiceIsAnError: no interface of Patchbay shows whether the first attachment is live.
func TestAsIPAMTwiceIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := ipamCall(t, h, "patchbay", "one", twoRanges())
	a.add(t)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "10.1.0.2/24")
	a.check(t)
}

// TestReferenceAgreesOnResults: the same calls return the results of host-local, except for the version.
//
// Claim: The built-in IPAM has host-local's keys and on-disk format
func TestReferenceAgreesOnResults(t *testing.T) {
	t.Parallel()
	var results []string
	for _, kind := range []string{"host-local", "patchbay"} {
		h := nettest.Host(t)
		a := ipamCall(t, h, kind, "one", twoRanges().With(cni.Conf{"routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "198.51.100.0/24", "gw": "10.1.0.9", "mtu": 1400, "priority": 5}}}))
		a.add(t)
		results = append(results, string(a.prev))
	}
	expect.Equal(t, "result, ours against host-local's", strings.TrimSpace(results[1]), strings.TrimSpace(results[0]))
}
