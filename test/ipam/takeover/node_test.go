package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const dataDir = "/var/lib/cni/networks"

// node is a host whose network "net" both plugins serve.
type node struct {
	*nettest.Node
	subnet string
	keys   cni.Conf // added to the configuration of Patchbay
	ran    []*attachment
}

// plugin is the plugin that a call uses.
type plugin string

const (
	ours      plugin = "patchbay"
	reference plugin = "bridge"
)

func newNode(t *testing.T, subnet string) *node {
	t.Helper()
	nettest.Program(t, "host-local")
	return &node{Node: nettest.Host(t), subnet: subnet}
}

// config returns the same network for both plugins; in a conflist two words would differ.
func (n *node) config(p plugin) cni.Conf {
	ipam, keys := "host-local", cni.Conf{}
	if p == ours {
		ipam, keys = "patchbay", n.keys
	}
	return cni.Network(cni.Gateway(), cni.IPAM(cni.Conf{"type": ipam, "dataDir": dataDir, "ranges": cni.Ranges(n.subnet)}),
		cni.Conf{"cniVersion": "1.0.0", "type": string(p)}, keys)
}

// attachment is eth0 of a container.
type attachment struct {
	n    *node
	c    *nettest.Container
	prev []byte
}

// add attaches a container, which it creates if there is none of that name.
func (n *node) add(t *testing.T, p plugin, name string, args ...string) *attachment {
	t.Helper()
	a := &attachment{n: n, c: n.Container(name)}
	a.prev = a.call(t, p, "ADD", args...).OK(t).Stdout
	n.ran = append(n.ran, a)
	return a
}

// addAll attaches several containers.
func (n *node) addAll(t *testing.T, p plugin, names ...string) []*attachment {
	t.Helper()
	var all []*attachment
	for _, name := range names {
		all = append(all, n.add(t, p, name))
	}
	return all
}

func (a *attachment) call(t *testing.T, p plugin, verb string, args ...string) nettest.Answer {
	t.Helper()
	config := a.n.config(p)
	if verb != "ADD" {
		config = config.With(cni.Conf{"prevResult": json.RawMessage(a.prev)})
	}
	call := nettest.Call{
		Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: "eth0", Config: config.JSON(t), Args: strings.Join(args, ";"),
	}
	if p == reference {
		call.Plugin = nettest.Program(t, "bridge")
	}
	return a.n.CNI(t, call)
}

// refused requires that an ADD of a new container fails and changes nothing.
func (n *node) refused(t *testing.T, p plugin) {
	t.Helper()
	before := n.files(t)
	a := &attachment{n: n, c: n.Container("refused")}
	defer a.c.Delete()
	if e := a.call(t, p, "ADD").Error(t); !strings.Contains(e.Msg, "no IP addresses available") {
		t.Errorf("ADD by %s: %v", p, e)
	}
	expect.Equal(t, "address files after an ADD that was refused", n.files(t), before)
}

// del calls DEL, which must release this attachment's address, and no other.
func (a *attachment) del(t *testing.T, p plugin) {
	t.Helper()
	want := a.n.files(t)
	maps.DeleteFunc(want, func(_, owner string) bool { return owner == a.owner() })
	a.call(t, p, "DEL").OK(t)
	expect.Equal(t, fmt.Sprintf("address files after the DEL of %s by %s", a.c.Name(), p), a.n.files(t), want)
}

func (a *attachment) owner() string { return a.c.ID() + "\r\neth0" }

// clean calls DEL of Patchbay for every container, as a runtime does after the change, and requires that nothing is
// left.
func (n *node) clean(t *testing.T) {
	t.Helper()
	for _, a := range n.ran {
		a.call(t, ours, "DEL").OK(t)
		a.c.Delete()
	}
	expect.Equal(t, "address files at the end", n.files(t), map[string]string{})
	n.NoLeaks(t)
}

// files returns the owners in the network's address files.
func (n *node) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	n.Do(func() {
		entries, err := os.ReadDir(filepath.Join(dataDir, "net"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if _, err := netip.ParseAddr(e.Name()); err != nil {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dataDir, "net", e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = string(text)
		}
	})
	return out
}

// held returns the addresses that belong to some attachments according to the network's files.
func (n *node) held(t *testing.T, by []*attachment) []string {
	t.Helper()
	var out []string
	for addr, owner := range n.files(t) {
		if slices.ContainsFunc(by, func(a *attachment) bool { return a.owner() == owner }) {
			out = append(out, addr)
		}
	}
	slices.Sort(out)
	return out
}

// address returns the address of the result of ADD.
func (a *attachment) address(t *testing.T) string {
	t.Helper()
	ips := (nettest.Answer{Stdout: a.prev}).Result(t).IPs
	if len(ips) != 1 {
		t.Fatalf("%s has %d addresses", a.c.Name(), len(ips))
	}
	return ips[0].Address.IP.String()
}

func addresses(t *testing.T, all []*attachment) []string {
	t.Helper()
	var out []string
	for _, a := range all {
		out = append(out, a.address(t))
	}
	return out
}

// works requires that CHECK succeeds, and that the container and others reach each other.
func (a *attachment) works(t *testing.T, p plugin, others ...*attachment) {
	t.Helper()
	if answer := a.call(t, p, "CHECK"); answer.Exit != 0 {
		t.Errorf("CHECK of %s by %s: %s", a.c.Name(), p, answer)
	}
	for _, o := range others {
		for from, to := range map[*attachment]*attachment{a: o, o: a} {
			if err := from.c.PingOnce(netip.MustParseAddr(to.address(t))); err != nil {
				t.Errorf("%s to %s: %v", from.c.Name(), to.c.Name(), err)
			}
		}
	}
}
