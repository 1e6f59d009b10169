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

// cabled is a host with cables, their other ends in a container, and a bridge of an administrator's.
type cabled struct {
	*nettest.Node
	cables []link.Cable
}

func newCabled(t *testing.T, n int) *cabled {
	t.Helper()
	nettest.Root(t)
	c := &cabled{Node: nettest.Host(t)}
	c.NoOracle("cables are made and deleted here by hand")
	inside := c.Container("inside")
	for i := range n {
		cable := link.Cable{Name: fmt.Sprintf("veth%d", i), Mark: fmt.Sprintf("patchbay:%012x", i)}
		c.Veth(cable.Name, inside.Netns, fmt.Sprintf("eth%d", i))
		c.Run(t, "ip", "link", "set", cable.Name, "alias", cable.Mark+" net/c/eth0")
		c.cables = append(c.cables, cable)
	}
	c.Run(t, "ip", "link", "add", "admins", "type", "bridge")
	return c
}

// together deletes the cables; the functions are nil for those of production.
func (c *cabled) together(t *testing.T, pick func() uint32, full func(uint32)) (err error) {
	t.Helper()
	c.Do(func() {
		h, open := link.OpenHost()
		if open != nil {
			t.Fatal(open)
		}
		defer h.Close()
		if pick == nil {
			err = h.UnplugTogether(c.cables)
			return
		}
		err = h.UnplugTogetherBut(c.cables, pick, full)
	})
	return err
}

func (c *cabled) group(t *testing.T, name, number string) {
	t.Helper()
	c.Run(t, "ip", "link", "set", "dev", name, "group", number)
}

// links are the names of the host's links, each with its group if it is not the default.
func (c *cabled) links(t *testing.T) []string {
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

func (c *cabled) has(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, c.links(t)); diff != "" {
		t.Errorf("links of the host (-want +got):\n%s", diff)
	}
}

func number(n uint32) func() uint32 { return func() uint32 { return n } }

// TestUnplugTogether takes what has our name and alias; what has one of them only stays, and so does
// what is in a group of its own.
func TestUnplugTogether(t *testing.T) {
	t.Parallel()
	c := newCabled(t, 6)
	c.group(t, "admins", "7")
	c.group(t, "veth5", "7")
	c.Run(t, "ip", "link", "set", "veth2", "alias", "patchbay:somebody net/c/eth0")
	c.Run(t, "ip", "link", "set", "veth3", "alias", "")
	c.cables = append(c.cables, link.Cable{Name: "vethgone", Mark: "patchbay:gone"}, link.Cable{Name: "admins", Mark: "patchbay:admins"})
	c.Run(t, "ip", "link", "set", "admins", "alias", "patchbay:admins net/c/eth0")
	if err := c.together(t, nil, nil); err != nil {
		t.Error(err)
	}
	c.has(t, "admins in 7", "veth2", "veth3")
}

// TestUnplugTogetherIsForSeveral: a single one is not worth a group.
func TestUnplugTogetherIsForSeveral(t *testing.T) {
	t.Parallel()
	c := newCabled(t, 1)
	if err := c.together(t, nil, nil); err != nil {
		t.Error(err)
	}
	c.has(t, "admins", "veth0")
}

// TestGroupOfSomebodyElse is not taken.
func TestGroupOfSomebodyElse(t *testing.T) {
	t.Parallel()
	c := newCabled(t, 2)
	c.group(t, "admins", "4711")
	if err := c.together(t, number(4711), func(uint32) { t.Error("the group was filled") }); err == nil {
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

// TestWhoJoinsTheGroupIsSafe: an administrator sees the number and puts a link of his own there, or
// a link of ours becomes another one, when the group is full. Nothing is deleted, and all are where
// they were.
func TestWhoJoinsTheGroupIsSafe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meanwhile func(*testing.T, *cabled, string)
		want      []string
	}{
		"joins":           {func(t *testing.T, c *cabled, group string) { c.group(t, "admins", group) }, []string{"admins in 4711", "veth0", "veth1", "veth2 in 5"}},
		"another alias":   {func(t *testing.T, c *cabled, _ string) { c.Run(t, "ip", "link", "set", "veth0", "alias", "mine") }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"no alias":        {func(t *testing.T, c *cabled, _ string) { c.Run(t, "ip", "link", "set", "veth0", "alias", "") }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"another name":    {func(t *testing.T, c *cabled, _ string) { c.Run(t, "ip", "link", "set", "veth0", "name", "mine") }, []string{"admins", "mine", "veth1", "veth2 in 5"}},
		"a name for two":  {func(t *testing.T, c *cabled, _ string) { swap(t, c) }, []string{"admins", "veth0", "veth1", "veth2 in 5"}},
		"one is gone":     {func(t *testing.T, c *cabled, _ string) { c.Run(t, "ip", "link", "del", "veth0") }, []string{"admins"}},
		"nothing happens": {func(*testing.T, *cabled, string) {}, []string{"admins"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCabled(t, 3)
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

// swap gives two cables each other's name.
func swap(t *testing.T, c *cabled) {
	t.Helper()
	for _, names := range [][2]string{{"veth0", "x"}, {"veth1", "veth0"}, {"x", "veth1"}} {
		c.Run(t, "ip", "link", "set", names[0], "name", names[1])
	}
}

// TestVeths are those of this type alone.
func TestVeths(t *testing.T) {
	t.Parallel()
	c := newCabled(t, 300)
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

// TestRoom counts ports, as few as there are, and Names has every link.
func TestRoom(t *testing.T) {
	t.Parallel()
	c := newCabled(t, 3)
	c.Bridge("br0")
	for _, cable := range c.cables[:2] {
		c.Plug(cable.Name, "br0")
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
			t.Errorf("%d ports, %v; without the call %d, %v", ports, err1, dumped, err2)
		}
		if err := h.Room(b); err != nil {
			t.Error(err)
		}
		names, err := h.Names()
		want := map[string]bool{"lo": true, "admins": true, "br0": true, "veth0": true, "veth1": true, "veth2": true}
		if diff := cmp.Diff(want, names); diff != "" || err != nil {
			t.Errorf("names: %v (-want +got):\n%s", err, diff)
		}
	})
}
