package crio

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cri-o/ocicni/pkg/ocicni"
	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// conflist is the default of CRI-O (contrib/cni/10-crio-bridge.conflist), with another version, name and bridge, and
// the words "bridge" and "host-local" replaced.
const conflist = `{
  "cniVersion": "1.1.0",
  "name": "crio%d",
  "plugins": [
    {
      "type": "patchbay",
      "bridge": "cni%[1]d",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "patchbay",
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        "ranges": [[{"subnet": "10.85.%[1]d.0/24"}], [{"subnet": "1100:200:%[1]d::/64"}]]
      }
    }
  ]
}`

// cache is the directory in which libcni keeps the results.
const cache = "/var/lib/cni/results"

// library is ocicni on a host, with two networks.
type library struct {
	t    *testing.T
	host *nettest.Node
	run  *inside.Program
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	h := nettest.Host(t)
	dir := t.TempDir()
	s := setting{Bin: filepath.Join(dir, "bin"), Confs: filepath.Join(dir, "net.d")}
	for _, made := range []string{s.Bin, s.Confs} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(nettest.Patchbay(t), filepath.Join(s.Bin, "patchbay")); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := os.WriteFile(filepath.Join(s.Confs, fmt.Sprintf("%d.conflist", 10+i)), fmt.Appendf(nil, conflist, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &library{t: t, host: h, run: inside.Start(t, h)}
	l.must("load", s)
	return l
}

func (l *library) must(call string, input any) {
	l.t.Helper()
	if err := l.run.Ask(l.t, call, input, nil); err != nil {
		l.t.Fatalf("%s: %v", call, err)
	}
}

// pods creates n pods, each on both networks.
func (l *library) pods(count int) []ocicni.PodNetwork {
	l.t.Helper()
	out := make([]ocicni.PodNetwork, count)
	for i := range out {
		name := fmt.Sprint("web", i)
		c := l.host.Container(name)
		out[i] = ocicni.PodNetwork{Name: name, Namespace: "default", ID: c.ID(), UID: "uid-" + name, NetNS: c.Path(), Networks: both()}
		l.must("set up", out[i])
	}
	return out
}

// both networks, by the names that a pod's interfaces have there.
func both() []ocicni.NetAttachment {
	return []ocicni.NetAttachment{{Name: "crio0", Ifname: "eth0"}, {Name: "crio1", Ifname: "eth1"}}
}

// attached returns the pods that have a record on a network.
func (l *library) attached(network string) []string {
	l.t.Helper()
	var out []string
	for _, name := range l.files(filepath.Join("/run/patchbay", network)) {
		out = append(out, strings.SplitN(name, "-", 2)[0])
	}
	slices.Sort(out)
	return out
}

func (l *library) files(dir string) []string {
	l.t.Helper()
	var entries []fs.DirEntry
	l.host.Do(func() { entries, _ = os.ReadDir(dir) })
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// remains requires the pods that a GC leaves on each network.
func (l *library) remains(after string, names ...string) {
	l.t.Helper()
	for _, network := range []string{"crio0", "crio1"} {
		if diff := cmp.Diff(names, l.attached(network)); diff != "" {
			l.t.Errorf("%s: attached to %s (-want +got):\n%s", after, network, diff)
		}
	}
}

// loseCache empties the cache, as a full disk or an administrator may: libcni then knows no attachment, and its GC has
// only our records. The directory must stay: without it libcni's GC does nothing at all.
func (l *library) loseCache() {
	l.t.Helper()
	for _, name := range l.files(cache) {
		var err error
		l.host.Do(func() { err = os.Remove(filepath.Join(cache, name)) })
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// TestPods: pods on two networks are checked and removed while STATUS is polled; GC removes pods that CRI-O has lost,
// with a full list, a shorter one, null and an empty one, with and without libcni's cache.
//
// Claim: containerd's default conflist and CRI-O's work with the words "bridge" and "host-local" replaced and the reference portmap in the
// chain
// Claim/gc,gc_of_none: CRI-O's library runs GC with a full list, a shorter one, null and an empty one, with its cache and without, while
// STATUS is polled
func TestPods(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"gc", "gc of none"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			l := newLibrary(t)
			l.must("status", nil)
			l.must("gc", nil) // CRI-O calls it first, when its network becomes ready
			l.host.NoLeaks(t)
			l.must("poll", nil)
			pods := l.pods(4)
			for _, pod := range pods {
				l.must("check", pod)
			}
			l.must("tear down", pods[3])
			l.remains("tear down", "web0", "web1", "web2")
			l.must("gc", pods[:3])
			l.remains("GC of three", "web0", "web1", "web2")
			l.must("gc", pods[:2])
			l.remains("GC of two", "web0", "web1")
			l.loseCache()
			l.must("gc", pods[:2])
			l.remains("GC of two without cache", "web0", "web1")
			l.must("gc", pods[:1])
			l.remains("GC of one without cache", "web0")
			l.must(form, nil)
			l.remains(form)
			var p polls
			if err := l.run.Ask(t, "polled", nil, &p); err != nil || p.Error != "" || p.Count < 10 {
				t.Errorf("STATUS was asked %d times: %s %v", p.Count, p.Error, err)
			}
			l.host.NoLeaks(t)
		})
	}
}

// tears are ways in which a power failure may damage a file of the cache.
func tears() map[string]string {
	return map[string]string{
		"half":      `truncate -s $(($(stat -c %s "$0") / 2)) "$0"`,
		"one byte":  `truncate -s 1 "$0"`,
		"empty":     `truncate -s 0 "$0"`,
		"zeros":     `head -c 4096 /dev/zero >"$0"`,
		"gone":      `rm "$0"`,
		"of others": `echo '{"kind": "cniCacheV1", "containerId": "another", "config": "e30=", "ifName": "eth0", "networkName": "crio0", "result": {}}' >"$0"`,
	}
}

// TestTornCache: a pod is removed although the cache is damaged for one network, for the other, or for both; CRI-O
// then uses the configuration on disk. If CRI-O itself no longer knows the pod's networks, and the cache does not have
// them, the next GC removes the rest. Nothing remains, and the address can be assigned again.
//
// Claim: A removal from a torn cache leaves nothing behind
func TestTornCache(t *testing.T) {
	t.Parallel()
	for name, tear := range tears() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLibrary(t)
			for _, networks := range [][]string{{"crio0"}, {"crio1"}, {"crio0", "crio1"}} {
				id := strings.Join(networks, "")
				l.tornDown(l.torn(id, tear, networks), false)
				l.tornDown(l.torn(id+"-forgotten", tear, networks), true)
			}
			l.must("status", nil)
		})
	}
}

// torn attaches a pod to both networks and damages the cache of some.
func (l *library) torn(id, tear string, networks []string) ocicni.PodNetwork {
	l.t.Helper()
	c := l.host.Container(id)
	pod := ocicni.PodNetwork{Name: id, Namespace: "default", ID: c.ID(), UID: id, NetNS: c.Path(), Networks: both()}
	l.must("set up", pod)
	for _, network := range networks {
		file := filepath.Join(cache, fmt.Sprintf("%s-%s-eth%s", network, c.ID(), network[4:]))
		l.host.Run(l.t, "sh", "-c", `test -s "$0" && `+tear, file)
	}
	return pod
}

// tornDown requires that nothing of a pod is left.
func (l *library) tornDown(pod ocicni.PodNetwork, forgotten bool) {
	l.t.Helper()
	if forgotten {
		pod.Networks = nil
	}
	l.must("tear down", pod)
	if forgotten {
		l.must("gc", nil)
		l.loseCache() // remove the damaged file: libcni cannot find its owner and keeps it, with any plugin
	}
	l.host.NoLeaks(l.t)
}
