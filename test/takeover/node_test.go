package takeover

import (
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
	"github.com/patchbay-cni/patchbay/test/expect"
)

const dataDir = "/var/lib/cni/networks"

// node is a host whose network "net" both plugins serve.
type node struct {
	*nettest.Node
	subnet string
	keys   string // of our configuration, beside the network's
	ran    []*attachment
}

// plugin is who serves a call.
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

// config is the same network for both; a conflist is taken over by changing two words.
func (n *node) config(p plugin) string {
	ipam := map[plugin]string{ours: "patchbay", reference: "host-local"}[p]
	keys := map[plugin]string{ours: n.keys}[p]
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, "bridge": "cni0", "isGateway": true%s,
		"ipam": {"type": %q, "dataDir": %q, "ranges": [[{"subnet": %q}]]}}`, p, keys, ipam, dataDir, n.subnet)
}

// attachment is eth0 of a container.
type attachment struct {
	n    *node
	c    *nettest.Container
	prev []byte
}

// add attaches a container, new if there is none of that name, and must succeed.
func (n *node) add(t *testing.T, p plugin, name string, args ...string) *attachment {
	t.Helper()
	a := &attachment{n: n, c: n.Container(name)}
	a.prev = a.call(t, p, "ADD", args...).OK(t).Stdout
	n.ran = append(n.ran, a)
	return a
}

// addAll is add for several.
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
		config = strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(a.prev) + "}"
	}
	call := nettest.Call{
		Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: "eth0", Config: []byte(config), Args: strings.Join(args, ";"),
	}
	if p == reference {
		call.Plugin = nettest.Program(t, "bridge")
	}
	return a.n.CNI(t, call)
}

// refused must be an ADD of a new container, which then is no more; nothing changes.
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

// del must free this attachment's address, and no other.
func (a *attachment) del(t *testing.T, p plugin) {
	t.Helper()
	want := a.n.files(t)
	maps.DeleteFunc(want, func(_, owner string) bool { return owner == a.owner() })
	a.call(t, p, "DEL").OK(t)
	expect.Equal(t, fmt.Sprintf("address files after the DEL of %s by %s", a.c.Name(), p), a.n.files(t), want)
}

func (a *attachment) owner() string { return a.c.ID() + "\r\neth0" }

// clean makes the DEL of everybody by us, as the runtime that took over does, and then nothing may be left.
func (n *node) clean(t *testing.T) {
	t.Helper()
	for _, a := range n.ran {
		a.call(t, ours, "DEL").OK(t)
		a.c.Delete()
	}
	expect.Equal(t, "address files at the end", n.files(t), map[string]string{})
	n.NoLeaks(t)
}

// files are the network's address files and whose they are.
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

// held are the addresses of the network's files that belong to some attachments.
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

// address is the one that ADD told.
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

// works must be so: CHECK passes, and the container reaches the others and they reach it.
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
