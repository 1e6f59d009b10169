// Package conflist calls the plugins of a list through libcni, as a runtime does, on a host of a test: patchbay and
// the reference plugins, in one CNI_PATH. It does not check what the plugins did.
package conflist

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Runtime calls lists on a host.
type Runtime struct {
	*nettest.Node
	IfName string // of the containers' interfaces; "eth0" unless it is changed

	cni *libcni.CNIConfig
	dir string
}

// cacheDir is where libcni keeps the results, which it passes to DEL. /run of a host is its own.
const cacheDir = "/run/cni-cache"

// New returns a runtime of a host.
func New(t testing.TB, h *nettest.Node) *Runtime {
	t.Helper()
	dir := t.TempDir()
	link := func(name, path string) {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("patchbay", nettest.Patchbay(t))
	for _, name := range []string{"bridge", "host-local", "portmap", "tuning", "firewall", "static", "loopback", "ptp", "macvlan"} {
		link(name, nettest.Program(t, name))
	}
	return In(h, dir)
}

// In returns a runtime of a host with another CNI_PATH.
func In(h *nettest.Node, dir string) *Runtime {
	return &Runtime{h, "eth0", libcni.NewCNIConfigWithCacheDir([]string{dir}, cacheDir, nil), dir}
}

// Path returns the CNI_PATH.
func (r *Runtime) Path() string { return r.dir }

// List returns a list of plugins, by default of cniVersion 1.0.0.
func List(t testing.TB, name string, plugins ...cni.Conf) *libcni.NetworkConfigList {
	t.Helper()
	return ListOf(t, cni.Conf{"cniVersion": "1.0.0", "name": name}, plugins...)
}

// ListOf is List with the keys of the list itself.
func ListOf(t testing.TB, top cni.Conf, plugins ...cni.Conf) *libcni.NetworkConfigList {
	t.Helper()
	text, err := json.Marshal(top.With(cni.Conf{"plugins": plugins}))
	if err != nil {
		t.Fatal(err)
	}
	list, err := libcni.ConfListFromBytes(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return list
}

// Port is one of a container's port mappings.
type Port struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
}

func (r *Runtime) conf(c *nettest.Container, ports []Port) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: c.ID(), NetNS: c.Path(), IfName: r.IfName}
	if len(ports) > 0 {
		rt.CapabilityArgs = map[string]any{"portMappings": ports}
	}
	return rt
}

// TryAdd attaches a container and returns the result.
func (r *Runtime) TryAdd(list *libcni.NetworkConfigList, c *nettest.Container, ports ...Port) (result *types100.Result, err error) {
	r.Do(func() { // libcni starts plugins from the thread that it is called on
		var got types.Result
		if got, err = r.cni.AddNetworkList(context.Background(), list, r.conf(c, ports)); err == nil {
			result, err = types100.GetResult(got)
		}
	})
	return result, err
}

// Add is TryAdd that must succeed.
func (r *Runtime) Add(t testing.TB, list *libcni.NetworkConfigList, c *nettest.Container, ports ...Port) *types100.Result {
	t.Helper()
	result, err := r.TryAdd(list, c, ports...)
	if err != nil {
		t.Fatalf("ADD of %s: %v", c.Name(), err)
	}
	return result
}

// Check calls CHECK for a container.
func (r *Runtime) Check(list *libcni.NetworkConfigList, c *nettest.Container, ports ...Port) (err error) {
	r.Do(func() { err = r.cni.CheckNetworkList(context.Background(), list, r.conf(c, ports)) })
	return err
}

// Del detaches a container, which must succeed.
func (r *Runtime) Del(t testing.TB, list *libcni.NetworkConfigList, c *nettest.Container, ports ...Port) {
	t.Helper()
	var err error
	r.Do(func() { err = r.cni.DelNetworkList(context.Background(), list, r.conf(c, ports)) })
	if err != nil {
		t.Fatalf("DEL of %s: %v", c.Name(), err)
	}
}

// DelWithout calls DEL as a runtime that has lost the path of the namespace.
func (r *Runtime) DelWithout(t testing.TB, list *libcni.NetworkConfigList, c *nettest.Container) {
	t.Helper()
	rt := r.conf(c, nil)
	rt.NetNS = ""
	var err error
	r.Do(func() { err = r.cni.DelNetworkList(context.Background(), list, rt) })
	if err != nil {
		t.Fatalf("DEL of %s without a namespace: %v", c.Name(), err)
	}
}

// GC calls GC with the containers that are valid; the runtime's cache of results is deleted before.
func (r *Runtime) GC(t testing.TB, list *libcni.NetworkConfigList, valid ...*nettest.Container) {
	t.Helper()
	args := &libcni.GCArgs{}
	for _, c := range valid {
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: c.ID(), IfName: r.IfName})
	}
	r.Forget(t)
	var err error
	r.Do(func() { err = r.cni.GCNetworkList(context.Background(), list, args) })
	if err != nil {
		t.Fatalf("GC: %v", err)
	}
}

// Forget deletes libcni's cache of results of all containers.
func (r *Runtime) Forget(t testing.TB) {
	t.Helper()
	var err error
	r.Do(func() { err = os.RemoveAll(cacheDir) })
	if err != nil {
		t.Fatal(err)
	}
}

// Patchbay runs a command of patchbay and returns its output.
func (r *Runtime) Patchbay(t testing.TB, args ...string) string {
	t.Helper()
	return r.Run(t, nettest.Patchbay(t), args...)
}
