package verbs

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// forget deletes the records of running containers.
func forget(t *testing.T, h *nettest.Node) {
	t.Helper()
	removeAll(t, h, "/run/patchbay/net")
}

// TestGCWithoutRecords uses interfaces and addresses: listed ones are kept, others are removed, also with a second
// network on the same bridge. A host interface that is no longer a bridge port is found too.
//
// Claim: GC works without records: by host interfaces whose alias names the attachment exactly, and by address files, including those of
// host-local
func TestGCWithoutRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, results := containers(t, h, 4, everything())
	other, _ := attach(t, h, h.Container("d"), cni.Network(cni.Conf{"name": "other"}, cni.Pool("10.7.0.0/24")))
	l2, _ := attach(t, h, h.Container("e"), cni.Network(cni.Conf{"name": "l2"}))
	ip(t, h.Netns, "link set "+hostEnd(t, results[3])+" nomaster")
	forget(t, h)
	removeAll(t, h, "/run/patchbay/l2")
	settleFiles()
	gc(t, h, everything(), valid(listed(all[0]))).OK(t)
	collected(t, all[1:]...)
	expect.Equal(t, "host interface of the listed one", hasLink(t, h.Netns, hostEnd(t, results[0])), true)
	expect.Equal(t, "its address", files(t, h, addressDir(all[0]))["10.1.0.2"], all[0].id+"\r\neth0")
	other.check(t)
	expect.Equal(t, "host interface of another network", hasLink(t, h.Netns, hostEnd(t, l2.result(t))), true)
	gc(t, h, cni.Network(cni.Conf{"name": "l2"}), valid(nil)).OK(t)
	expect.Equal(t, "host interface of the network without addresses", hasLink(t, h.Netns, hostEnd(t, l2.result(t))), false)
	l2.state = ""
	all[0].del(t)
	expect.Equal(t, "directory of records", exists(h, "/run/patchbay/net"), false)
}

// settleFiles waits for the next tick of the clock of file times: files written before are then older than a GC.
func settleFiles() {
	for began := store.FileClock(); !store.FileClock().After(began); {
		runtime.Gosched()
	}
}

func exists(h *nettest.Node, path string) (is bool) {
	h.Do(func() {
		_, err := os.Lstat(path)
		is = err == nil
	})
	return is
}

// TestGCKeepsAmbiguousAliases: GC keeps a host interface without a record if its alias has the form of another owner,
// another hash, or was cut. GC reports those that are or may be of this network. A renamed one has a complete alias
// and is removed.
//
// Claim: GC works without records: by host interfaces whose alias names the attachment exactly, and by address files, including those of
// host-local
// Claim: A renamed host interface still belongs to its attachment, by its alias, or by its index in a chain; its address is not given
// again, and DEL and GC remove it
func TestGCKeepsAmbiguousAliases(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, results := containers(t, h, 6, everything())
	forget(t, h)
	warned := []bool{false, false, true, true, true, false}
	var names, aliases []string
	for i, r := range results {
		name := hostEnd(t, r)
		alias := linkOf(t, h.Netns, name).Attrs().Alias
		mark, words, _ := strings.Cut(alias, " ")
		switch i {
		case 0:
			alias = mark + " lxc:" + words
		case 1:
			alias = "mine " + words
		case 2:
			alias = "patchbay:0123456789ab " + words
		case 3:
			alias = mark + " " + strings.TrimSuffix(words, "0")
		case 4:
			alias = mark + " " + words + "/more"
		case 5:
			ip(t, h.Netns, "link set "+name+" name mine")
			name = "mine"
		}
		h.Run(t, "ip", "link", "set", name, "alias", alias)
		names, aliases = append(names, name), append(aliases, alias)
	}
	stderr := string(gc(t, h, everything(), valid(nil)).OK(t).Stderr)
	for i, name := range names {
		expect.Equal(t, name, hasLink(t, h.Netns, name), i != 5)
		expect.Equal(t, aliases[i]+" is reported", strings.Contains(stderr, fmt.Sprintf("link %s has no record, and its alias %q does not identify its owner; leaving it", name, aliases[i])), warned[i])
		if i == 5 {
			continue
		}
		expect.Equal(t, "address of "+aliases[i], len(holders(t, h, addressDir(all[i]))) > 0, true)
		ip(t, h.Netns, "link del "+name)
	}
	settleFiles()
	gc(t, h, everything(), valid(nil)).OK(t)
	collected(t, all...)
}

// TestGCWithLongNames: an alias holds 255 bytes, and a longer one is cut. With a record there is nothing to report, and one
// that is listed is not reported either; without a record it is kept and reported.
//
// Claim: GC works without records: by host interfaces whose alias names the attachment exactly, and by address files, including those of
// host-local
func TestGCWithLongNames(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Conf{"name": strings.Repeat("n", 80)})
	long := func(name string) *attachment {
		a := on(h, h.Container(name), n)
		a.id = strings.Repeat(name, 180)
		a.add(t)
		return a
	}
	keep, recorded, lost := long("k"), long("r"), long("l")
	removeAll(t, h, recordPath(keep), recordPath(lost))
	answer := gc(t, h, n, valid(listed(keep))).OK(t)
	expect.Equal(t, "stderr", strings.Count(string(answer.Stderr), "\n"), 1)
	expect.Contains(t, string(answer.Stderr), hostEnd(t, lost.result(t))+" has no record")
	expect.Equal(t, "listed", hasLink(t, h.Netns, hostEnd(t, keep.result(t))), true)
	expect.Equal(t, "without a record", hasLink(t, h.Netns, hostEnd(t, lost.result(t))), true)
	expect.Equal(t, "with a record", hasLink(t, h.Netns, hostEnd(t, recorded.result(t))), false)
	recorded.state = ""
}

// TestGCOfAddressesWithoutRecord: address files with two lines whose owner is not listed are released, in the state
// directory and in one that host-local shares, whichever plugin wrote them. Newer files, files of one line, and files
// that are not named for an address are kept.
//
// Claim: GC works without records: by host interfaces whose alias names the attachment exactly, and by address files, including those of
// host-local
func TestGCOfAddressesWithoutRecord(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"in the state directory": "/run/patchbay/ipam", "shared": "/var/lib/cni/networks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			n := cni.Network(cni.IPAM(cni.Conf{"dataDir": dir, "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}}))
			keep, _ := attach(t, h, h.Container("c"), n)
			lost, _ := attach(t, h, h.Container("d"), n)
			forget(t, h)
			for file, text := range map[string]string{
				"10.1.0.50": "theirs\r\neth0", "10.1.0.51": "theirs\neth0", "fd00:1::50": "theirs\r\neth1",
				"10.1.0.60": keep.id + "\r\neth1", "10.1.0.61": "old", "10.1.0.62": "", "10.1.0.63": "bad/id\r\neth0", "10.1.0.64": "theirs\r\n", "notes": "theirs\r\neth0",
				"10.1.0.70": "new\r\neth0",
			} {
				writeFile(t, h, filepath.Join(dir, "net", file), text)
				age(t, h, filepath.Join(dir, "net", file), -time.Hour)
			}
			age(t, h, filepath.Join(dir, "net", "10.1.0.70"), time.Minute)
			settleFiles()
			gc(t, h, n, valid(listed(keep))).OK(t)
			left := files(t, h, filepath.Join(dir, "net"))
			for _, file := range []string{"lock", "last_reserved_ip.0", "last_reserved_ip.1"} {
				delete(left, file)
			}
			expect.Equal(t, "addresses", left, map[string]string{
				"10.1.0.2": keep.id + "\r\neth0", "fd00:1::2": keep.id + "\r\neth0",
				"10.1.0.61": "old", "10.1.0.62": "", "10.1.0.63": "bad/id\r\neth0", "10.1.0.64": "theirs\r\n", "notes": "theirs\r\neth0", "10.1.0.70": "new\r\neth0",
			})
			expect.Equal(t, "host interface", hasLink(t, h.Netns, hostEnd(t, lost.result(t))), false)
			lost.state = ""
			removeAll(t, h, filepath.Join(dir, "net"))
		})
	}
}

// age sets the modification time of a file.
func age(t *testing.T, h *nettest.Node, path string, by time.Duration) {
	t.Helper()
	h.Do(func() {
		then := time.Now().Add(by)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGCOfHostLocalsAddress: the reference reserved it for a container of which nothing else is left.
//
// Claim: GC works without records: by host interfaces whose alias names the attachment exactly, and by address files, including those of
// host-local
func TestGCOfHostLocalsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Conf{"cniVersion": "1.0.0"}, cni.IPAM(cni.Conf{"type": "host-local", "dataDir": "/var/lib/cni/networks", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}))
	for _, id := range []string{"stale", "live"} {
		h.CNI(t, nettest.Call{Command: "ADD", ContainerID: id, Netns: "/none", IfName: "eth0", Config: n.JSON(t), Plugin: nettest.Program(t, "host-local")}).OK(t)
	}
	ours := cni.Network(cni.IPAM(cni.Conf{"dataDir": "/var/lib/cni/networks", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}))
	const dir = "/var/lib/cni/networks/net"
	for name := range holders(t, h, dir) {
		age(t, h, filepath.Join(dir, name), -time.Second)
	}
	gc(t, h, ours, valid([]cni.Conf{{"containerID": "live", "ifname": "eth0"}})).OK(t)
	expect.Equal(t, "addresses", holders(t, h, dir), map[string]string{"10.1.0.3": "live\r\neth0"})
	removeAll(t, h, dir)
}

// TestGCOfFifty: GC removes fifty attachments, with and without records, each once, and does not affect the
// containers that are listed.
//
// Claim: GC deletes many host interfaces in one call; it deletes an interface group only if the group holds stale interfaces alone, and an
// interface that joins the group meanwhile is kept
func TestGCOfFifty(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"with records": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			n := cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))
			var all []*attachment
			c := h.Container("c")
			for i := range 52 {
				a := on(h, c, n)
				a.ifname = fmt.Sprintf("net%d", i)
				a.add(t)
				all = append(all, a)
			}
			if lose {
				forget(t, h)
				settleFiles()
			}
			answer := gc(t, h, n, valid(listed(all[:2]...))).OK(t)
			expect.Equal(t, "stderr", string(answer.Stderr), "")
			collected(t, all[2:]...)
			for _, a := range all[:2] {
				expect.Equal(t, "host interface of "+a.ifname, hasLink(t, h.Netns, hostEnd(t, a.result(t))), true)
				if !lose {
					a.check(t)
				}
			}
			expect.Equal(t, "addresses left", len(holders(t, h, addressDir(all[0]))), 4)
			expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 2)
		})
	}
}
