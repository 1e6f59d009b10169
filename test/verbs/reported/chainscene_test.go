package reported

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// routed returns a network of both families whose default gateway is the host.
func routed(more ...cni.Conf) cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")).With(more...)
}

// called is an attachment of eth0, and how its plugin is called.
type called struct {
	h       *nettest.Node
	c       *nettest.Container
	conf    cni.Conf
	path    string // CNI_PATH
	program string // patchbay if empty
	args    string // CNI_ARGS
	prev    json.RawMessage
	other   *called // another attachment of the same host, if the state of the host needs one
}

func (a *called) run(t testing.TB, verb string) nettest.Answer {
	t.Helper()
	conf := a.conf
	if a.prev != nil && verb != "ADD" {
		conf = conf.With(cni.Conf{"prevResult": a.prev})
	}
	call := nettest.Call{Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: "eth0", Args: a.args, Path: a.path, Plugin: a.program, Config: conf.JSON(t)}
	if verb == "STATUS" || verb == "GC" {
		call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	}
	return a.h.CNI(t, call)
}

// add calls ADD, which must succeed; the oracle finds what is left at the end of the test.
func (a *called) add(t testing.TB) *types100.Result {
	t.Helper()
	answer := a.run(t, "ADD")
	result := answer.Result(t)
	a.prev = answer.Stdout
	return result
}

// cycle calls ADD, CHECK, STATUS if the version has it, and a DEL after which nothing is left. It returns the result.
func (a *called) cycle(t testing.TB) *types100.Result {
	t.Helper()
	result := a.add(t)
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	a.h.NoLeaks(t)
	return result
}

// pluginDir returns a CNI_PATH with reference plugins and patchbay.
func pluginDir(t testing.TB, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	err := os.Symlink(nettest.Patchbay(t), filepath.Join(dir, "patchbay"))
	for _, name := range names {
		err = errors.Join(err, os.Symlink(nettest.Program(t, name), filepath.Join(dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// copied copies patchbay into a directory, under another name.
func copied(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(nettest.Patchbay(t))
	if err == nil {
		err = os.WriteFile(path, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// linked links to patchbay in a directory, under another name.
func linked(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Symlink(nettest.Patchbay(t), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// namesOf returns the interfaces of a result, with "@" if they are in a sandbox.
func namesOf(r *types100.Result) []string {
	var all []string
	for _, i := range r.Interfaces {
		name := i.Name
		if len(name) > 4 && name[:4] == "veth" {
			name = "veth" // and a hash
		}
		if i.Sandbox != "" {
			name += "@"
		}
		all = append(all, name)
	}
	return all
}

// addressesOf returns the addresses of a result.
func addressesOf(r *types100.Result) []string {
	var all []string
	for _, ip := range r.IPs {
		all = append(all, ip.Address.String())
	}
	return all
}

// ping requires replies from addresses, within the time that neighbour discovery in the container may take.
func ping(t testing.TB, from *nettest.Container, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		if err := from.PingOnce(netip.MustParseAddr(address)); err != nil {
			t.Errorf("ping %s: %v", address, err)
		}
	}
}

// masterOf returns the bridge of an interface of the host, or "".
func masterOf(t testing.TB, h *nettest.Node, name string) string {
	t.Helper()
	l, err := h.Netlink().LinkByName(name)
	if err != nil || l.Attrs().MasterIndex == 0 {
		return ""
	}
	master, err := h.Netlink().LinkByIndex(l.Attrs().MasterIndex)
	if err != nil {
		t.Fatal(err)
	}
	return master.Attrs().Name
}

func words(command string) []string { return strings.Fields(command) }

// writeProgram writes a shell script into a CNI_PATH.
func writeProgram(t testing.TB, dir, name, commands string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+commands+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// recordsOf returns the number of records of a host.
func recordsOf(h *nettest.Node) (count int) {
	h.Do(func() {
		found, _ := filepath.Glob("/run/patchbay/*/*@*.json") // the pattern is well formed
		count = len(found)
	})
	return count
}
