package link_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// vethHost is a host with veth pairs, whose other ends are in a container, and a bridge of an administrator.
type vethHost struct {
	*nettest.Node
	pairs []link.HostInterface
}

func newVethHost(t *testing.T, n int) *vethHost {
	t.Helper()
	nettest.Root(t)
	c := &vethHost{Node: nettest.Host(t)}
	c.NoOracle("the test creates and deletes the veth pairs itself")
	inside := c.Container("inside")
	for i := range n {
		pair := link.HostInterface{Name: fmt.Sprintf("veth%d", i), Mark: fmt.Sprintf("patchbay:%012x", i)}
		c.Veth(pair.Name, inside.Netns, fmt.Sprintf("eth%d", i))
		c.Run(t, "ip", "link", "set", pair.Name, "alias", pair.Mark+" net/c/eth0")
		c.pairs = append(c.pairs, pair)
	}
	c.Run(t, "ip", "link", "add", "admins", "type", "bridge")
	return c
}

// together deletes the pairs; a nil pick and a nil moved stand for those of UnplugTogether.
func (c *vethHost) together(t *testing.T, pick func() uint32, moved func(uint32)) (err error) {
	t.Helper()
	c.Do(func() {
		h, open := link.OpenHost()
		if open != nil {
			t.Fatal(open)
		}
		defer h.Close()
		if pick == nil {
			err = h.UnplugTogether(c.pairs)
			return
		}
		err = h.UnplugTogetherBut(c.pairs, pick, moved)
	})
	return err
}

func (c *vethHost) group(t *testing.T, name, number string) {
	t.Helper()
	c.Run(t, "ip", "link", "set", "dev", name, "group", number)
}

// links returns the names of the host's links, each with its group if it is not the default.
func (c *vethHost) links(t *testing.T) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(c.Run(t, "ip", "-o", "link")) {
		words := strings.Fields(line)
		name, _, _ := strings.Cut(strings.TrimSuffix(words[1], ":"), "@")
		group := words[slices.Index(words, "group")+1]
		if name != "lo" && group != "default" {
			name += " in " + group
		}
		if name != "lo" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (c *vethHost) has(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, c.links(t)); diff != "" {
		t.Errorf("links of the host (-want +got):\n%s", diff)
	}
}

func number(n uint32) func() uint32 { return func() uint32 { return n } }

// TestUnplugTogether: interfaces with our name and alias are deleted, whatever group they are in; those that have one of the
// two are kept.
//
// Claim: GC deletes many host interfaces in one call; it deletes an interface group only if the group holds stale interfaces alone, and an
// interface that joins the group meanwhile is kept
func TestUnplugTogether(t *testing.T) {
	t.Parallel()
	c := newVethHost(t, 6)
	c.group(t, "admins", "7")
	c.group(t, "veth5", "7")
	c.Run(t, "ip", "link", "set", "veth2", "alias", "patchbay:another net/c/eth0")
	c.Run(t, "ip", "link", "set", "veth3", "alias", "")
	c.pairs = append(c.pairs, link.HostInterface{Name: "vethgone", Mark: "patchbay:gone"}, link.HostInterface{Name: "admins", Mark: "patchbay:admins"})
	c.Run(t, "ip", "link", "set", "admins", "alias", "patchbay:admins net/c/eth0")
	if err := c.together(t, nil, nil); err != nil {
		t.Error(err)
	}
	c.has(t, "admins in 7", "veth2", "veth3")
}

// TestUnplugTogetherIsForSeveral: a single interface is left to Unplug.
func TestUnplugTogetherIsForSeveral(t *testing.T) {
	t.Parallel()
	c := newVethHost(t, 1)
	if err := c.together(t, nil, nil); err != nil {
		t.Error(err)
	}
	c.has(t, "admins", "veth0")
}

// TestGroupInUse: a group that has a member is not chosen.
//
// Claim: GC deletes many host interfaces in one call; it deletes an interface group only if the group holds stale interfaces alone, and an
// interface that joins the group meanwhile is kept
func TestGroupInUse(t *testing.T) {
	t.Parallel()
	c := newVethHost(t, 2)
	c.group(t, "admins", "4711")
	if err := c.together(t, number(4711), func(uint32) { t.Error("links were moved to the group") }); err == nil {
		t.Error("no error")
	}
	c.has(t, "admins in 4711", "veth0", "veth1")
	numbers := []uint32{0, 4711, 4712}
	pick := func() uint32 { defer func() { numbers = numbers[1:] }(); return numbers[0] }
	if err := c.together(t, pick, func(uint32) {}); err != nil {
		t.Error(err)
	}
	c.has(t, "admins in 4711")
}

// TestGroupChangesMeanwhile: after our links were moved to the group, an administrator adds a link of his own, or changes name or
// alias of one of ours. Nothing is deleted, and all links are in their previous groups.
//
// Claim: GC deletes many host interfaces in one call; it deletes an interface group only if the group holds stale interfaces alone, and an
// interface that joins the group meanwhile is kept
func TestGroupChangesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meanwhile func(*testing.T, *vethHost, string)
		want      []string
	}{
		"a link is added": {func(t *testing.T, c *vethHost, group string) { c.group(t, "admins", group) }, []string{"admins in 4711", "veth0", "veth1", "veth2 in 5"}},
		"alias changed":   {func(t *testing.T, c *vethHost, _ string) { c.Run(t, "ip", "link", "set", "veth0", "alias", "mine") }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"alias removed":   {func(t *testing.T, c *vethHost, _ string) { c.Run(t, "ip", "link", "set", "veth0", "alias", "") }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"renamed":         {func(t *testing.T, c *vethHost, _ string) { rename(t, c, "veth0", "mine") }, []string{"admins", "mine", "veth1", "veth2 in 5"}},
		"names swapped":   {func(t *testing.T, c *vethHost, _ string) { swap(t, c) }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"one is deleted":  {func(t *testing.T, c *vethHost, _ string) { c.Run(t, "ip", "link", "del", "veth0") }, []string{"admins"}},
		"no change":       {func(*testing.T, *vethHost, string) {}, []string{"admins"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newVethHost(t, 3)
			c.group(t, "veth2", "5")
			deleted := !slices.Contains(tc.want, "veth1")
			err := c.together(t, number(4711), func(group uint32) { tc.meanwhile(t, c, strconv.Itoa(int(group))) })
			if (err == nil) != deleted {
				t.Errorf("error: %v", err)
			}
			c.has(t, tc.want...)
		})
	}
}

// swap exchanges the names of two host interfaces.
func swap(t *testing.T, c *vethHost) {
	t.Helper()
	for _, names := range [][2]string{{"veth0", "x"}, {"veth1", "veth0"}, {"x", "veth1"}} {
		rename(t, c, names[0], names[1])
	}
}

// rename renames a link, which must be down before Linux 6.2.
func rename(t *testing.T, c *vethHost, from, to string) {
	t.Helper()
	c.Run(t, "ip", "link", "set", from, "down")
	c.Run(t, "ip", "link", "set", from, "name", to)
}

// TestVeths: only interfaces of this type are listed.
func TestVeths(t *testing.T) {
	t.Parallel()
	c := newVethHost(t, 300)
	c.Bridge("br0")
	c.Do(func() {
		h, err := link.OpenHost()
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		got, err := h.Veths()
		if err != nil || len(got) != 300 {
			t.Errorf("%d veths, %v", len(got), err)
		}
		for _, l := range got {
			if l.Kind != "veth" || !strings.HasPrefix(l.Alias, "patchbay:") {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestBridgePorts: the number of ports, by ioctl and by a dump, is that of the bridge; Names returns every link.
//
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
func TestBridgePorts(t *testing.T) {
	t.Parallel()
	c := newVethHost(t, 3)
	c.Bridge("br0")
	for _, pair := range c.pairs[:2] {
		c.Plug(pair.Name, "br0")
	}
	c.Do(func() {
		h, err := link.OpenHost()
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		b, err := h.Bridge("br0")
		if err != nil {
			t.Fatal(err)
		}
		ports, err1 := h.PortsOf(b)
		dumped, err2 := h.PortsOf(&link.Bridge{Link: link.Link{Index: b.Index, Name: "lo"}})
		if ports != 2 || dumped != 2 || err1 != nil || err2 != nil {
			t.Errorf("%d ports, %v; by a dump %d, %v", ports, err1, dumped, err2)
		}
		if err := h.CheckFreePort(b); err != nil {
			t.Error(err)
		}
		names, err := h.Names()
		want := map[string]bool{"lo": true, "admins": true, "br0": true, "veth0": true, "veth1": true, "veth2": true}
		if diff := cmp.Diff(want, names); diff != "" || err != nil {
			t.Errorf("names: %v (-want +got):\n%s", err, diff)
		}
	})
}
