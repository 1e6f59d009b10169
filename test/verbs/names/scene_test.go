package names

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 8) }

// list is a network of several plugins on one host, called as libcni calls them.
type list struct {
	h       *nettest.Node
	c       *nettest.Container
	dir     string // CNI_PATH
	name    string
	version string
	plugins []cni.Conf
	result  json.RawMessage // of the last ADD
}

// newList returns a list with its own host. The plugins in reference are those of the reference, all others are links to the
// program under test.
func newList(t *testing.T, reference []string, plugins ...cni.Conf) *list {
	t.Helper()
	h := nettest.Host(t)
	return &list{h: h, c: h.Container("c1"), dir: path(t, reference...), name: "net", version: "1.1.0", plugins: plugins}
}

// path returns a CNI_PATH with every name, and the main plugins of the reference.
func path(t *testing.T, reference ...string) string {
	t.Helper()
	dir := t.TempDir()
	var err error
	for _, file := range names.Files() {
		target := nettest.Patchbay(t)
		if slices.Contains(reference, file) {
			target = nettest.Program(t, file)
		}
		err = errors.Join(err, os.Symlink(target, filepath.Join(dir, file)))
	}
	for _, file := range []string{"ptp", "macvlan"} {
		err = errors.Join(err, os.Symlink(nettest.Program(t, file), filepath.Join(dir, file)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// call calls one plugin of the list.
func (l *list) call(t *testing.T, verb string, plugin cni.Conf, prev json.RawMessage) nettest.Answer {
	t.Helper()
	return l.h.CNI(t, l.callOf(t, verb, plugin, prev))
}

func (l *list) callOf(t *testing.T, verb string, plugin cni.Conf, prev json.RawMessage) nettest.Call {
	t.Helper()
	conf := cni.Conf{"name": l.name, "cniVersion": l.version}.With(plugin)
	if prev != nil {
		conf["prevResult"] = prev
	}
	call := nettest.Call{Command: verb, ContainerID: l.c.ID(), Netns: l.c.Path(), IfName: "eth0", Path: l.dir, Plugin: l.program(plugin), Config: conf.JSON(t)}
	if verb == "STATUS" || verb == "GC" {
		call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	}
	return call
}

func (l *list) program(plugin cni.Conf) string { return filepath.Join(l.dir, plugin["type"].(string)) }

// add calls ADD of each plugin with the result of the one before it.
func (l *list) add(t *testing.T) *types100.Result {
	t.Helper()
	l.result = nil
	var last nettest.Answer
	for _, plugin := range l.plugins {
		last = l.call(t, "ADD", plugin, l.result).OK(t)
		l.result = last.Stdout
	}
	return last.Result(t)
}

// check calls CHECK of each plugin, all of which must succeed.
func (l *list) check(t *testing.T) {
	t.Helper()
	for _, plugin := range l.plugins {
		if answer := l.call(t, "CHECK", plugin, l.result); answer.Exit != 0 {
			t.Errorf("CHECK of %s: %s", plugin["type"], answer)
		}
	}
}

// del calls DEL of each plugin in reverse order.
func (l *list) del(t *testing.T) {
	t.Helper()
	for _, plugin := range slices.Backward(l.plugins) {
		l.call(t, "DEL", plugin, l.result).OK(t)
	}
}

// cycle calls ADD, CHECK and DEL, after which nothing is left.
func (l *list) cycle(t *testing.T) *types100.Result {
	t.Helper()
	result := l.add(t)
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
	return result
}

// bridge returns the configuration of the plugin bridge.
func bridge(more ...cni.Conf) cni.Conf {
	return cni.Conf{
		"type": "bridge", "bridge": "cni0", "isGateway": true,
		"ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24", "fd00:1::/64"), "routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}}},
	}.With(more...)
}
