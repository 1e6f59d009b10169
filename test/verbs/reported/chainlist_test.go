package reported

import (
	"bytes"
	"context"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// list is a network configuration list and one container of its network, called through libcni as a runtime does.
type list struct {
	h       *nettest.Node
	c       *nettest.Container
	cni     *libcni.CNIConfig
	conf    *libcni.NetworkConfigList
	runtime *libcni.RuntimeConf
	stderr  bytes.Buffer // of all plugins
}

// newList returns a list whose plugins are in the directory dir.
func newList(t testing.TB, h *nettest.Node, dir string, conf cni.Conf) *list {
	t.Helper()
	return newListOf(t, h, dir, conf.JSON(t))
}

func newListOf(t testing.TB, h *nettest.Node, dir string, text []byte) *list {
	t.Helper()
	parsed, err := libcni.ConfListFromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	c := h.Container("c")
	l := &list{h: h, c: c, conf: parsed, runtime: &libcni.RuntimeConf{ContainerID: c.ID(), NetNS: c.Path(), IfName: "eth0"}}
	exec := &invoke.DefaultExec{RawExec: &invoke.RawExec{Stderr: &l.stderr}, PluginDecoder: version.PluginDecoder{}}
	l.cni = libcni.NewCNIConfigWithCacheDir([]string{dir}, "/run/cni-cache", exec)
	return l
}

// plugins returns a list of plugins for network net.
func plugins(all ...cni.Conf) cni.Conf {
	return cni.Conf{"cniVersion": "1.0.0", "name": "net", "plugins": all}
}

// add runs ADD of every plugin on the host's thread: libcni starts plugins from the thread that it is called on.
func (l *list) add(t testing.TB) *types100.Result {
	t.Helper()
	var result *types100.Result
	l.h.Do(func() {
		got, err := l.cni.AddNetworkList(context.Background(), l.conf, l.runtime)
		if err == nil {
			result, err = types100.NewResultFromResult(got)
		}
		if err != nil {
			t.Errorf("ADD of the list: %v\n%s", err, l.stderr.String())
		}
	})
	if result == nil {
		t.FailNow()
	}
	return result
}

// check runs CHECK of every plugin.
func (l *list) check() (err error) {
	l.h.Do(func() { err = l.cni.CheckNetworkList(context.Background(), l.conf, l.runtime) })
	return err
}

// del runs DEL of every plugin.
func (l *list) del(t testing.TB) {
	t.Helper()
	l.h.Do(func() {
		if err := l.cni.DelNetworkList(context.Background(), l.conf, l.runtime); err != nil {
			t.Errorf("DEL of the list: %v", err)
		}
	})
}

// cycle runs ADD, a CHECK that succeeds, and DEL, after which nothing is left.
func (l *list) cycle(t testing.TB) *types100.Result {
	t.Helper()
	result := l.add(t)
	if err := l.check(); err != nil {
		t.Errorf("CHECK right after ADD: %v", err)
	}
	l.del(t)
	l.h.NoLeaks(t)
	return result
}
