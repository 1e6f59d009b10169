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
	"github.com/patchbay-cni/patchbay/test/inside"
)

// conflist is the one CRI-O brings (contrib/cni/10-crio-bridge.conflist), with another version, name and bridge, and the words "bridge"
// and "host-local" replaced.
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

// cache is where libcni keeps the results.
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

func (l *library) must(deed string, input any) {
	l.t.Helper()
	if err := l.run.Ask(l.t, deed, input, nil); err != nil {
		l.t.Fatalf("%s: %v", deed, err)
	}
}

// pods makes so many, each on both networks.
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

// attached are the pods that have a record on a network.
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

// remains must be what a GC leaves of each network.
func (l *library) remains(after string, names ...string) {
	l.t.Helper()
	for _, network := range []string{"crio0", "crio1"} {
		if diff := cmp.Diff(names, l.attached(network)); diff != "" {
			l.t.Errorf("%s: attached to %s (-want +got):\n%s", after, network, diff)
		}
	}
}

// loseCache empties the cache, as a full disk or an eager admin does: libcni then knows no attachment, and its GC has only ours. The
// directory must stay, without it libcni's GC does nothing at all.
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

// TestPods: pods on two networks, checked and torn down, while STATUS is polled; and what CRI-O then forgets is collected: with a full
// list, a shorter one, null and an empty one, with and without libcni's cache.
func TestPods(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"gc", "gc of none"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			l := newLibrary(t)
			l.must("status", nil)
			l.must("gc", nil) // CRI-O's first, when its network becomes ready
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

// tears are ways in which a file of the cache is spoilt when the machine loses power.
func tears() map[string]string {
	return map[string]string{
		"half":      `truncate -s $(($(stat -c %s "$0") / 2)) "$0"`,
		"one byte":  `truncate -s 1 "$0"`,
		"empty":     `truncate -s 0 "$0"`,
		"zeros":     `head -c 4096 /dev/zero >"$0"`,
		"gone":      `rm "$0"`,
		"of others": `echo '{"kind": "cniCacheV1", "containerId": "somebody", "config": "e30=", "ifName": "eth0", "networkName": "crio0", "result": {}}' >"$0"`,
	}
}

// TestTornCache: with a cache that was torn for one network, for the other and for both, a pod is torn down all the same; CRI-O then
// asks by the configuration on disk. Where CRI-O has itself forgotten which networks the pod was on, and the cache does not tell, the
// next GC collects what was left. Nothing remains, and the address is free for the next.
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

// torn sets a pod up on both networks and spoils the cache of some.
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

// tornDown must leave nothing of a pod.
func (l *library) tornDown(pod ocicni.PodNetwork, forgotten bool) {
	l.t.Helper()
	if forgotten {
		pod.Networks = nil
	}
	l.must("tear down", pod)
	if forgotten {
		l.must("gc", nil)
		l.loseCache() // the torn file: libcni cannot tell whose it is, and keeps it whoever the plugin is
	}
	l.host.NoLeaks(l.t)
}
