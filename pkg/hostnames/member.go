package hostnames

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Key identifies what has a name: a named network namespace, or an LXC container by its container ID.
type Key struct {
	Name string
	LXC  string // container ID; "" for a network namespace
}

// Netns returns the key of a named network namespace.
func Netns(name string) Key { return Key{Name: name} }

// Container returns the key of an LXC container, from its container ID "lxc-NAME-HASH".
func Container(id string) Key {
	name := strings.TrimPrefix(id, "lxc-")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		name = name[:i]
	}
	return Key{Name: name, LXC: id}
}

// String describes the key in a sentence.
func (k Key) String() string {
	if k.LXC != "" {
		return "LXC container " + k.Name
	}
	return "namespace " + k.Name
}

// member is a namespace or container with live attachments.
type member struct {
	Key
	created int64 // of the oldest attachment, in nanoseconds
	has     []address
}

// address is an address of a member on a network.
type address struct {
	network string
	addr    netip.Addr
}

// members returns what has a name, the oldest first: of two that have one name, the older one keeps it.
func members(all []inventory.Attachment) []*member {
	by := map[Key]*member{}
	for i := range all {
		key, ok := keyOf(&all[i])
		if !ok {
			continue
		}
		m := by[key]
		if m == nil {
			m = &member{Key: key, created: all[i].Record.Created.UnixNano()}
			by[key] = m
		}
		m.created = min(m.created, all[i].Record.Created.UnixNano())
		for _, a := range all[i].Record.Addresses {
			m.has = append(m.has, address{all[i].Network, a.Address.Addr()})
		}
	}
	var out []*member
	for _, m := range by {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.created, b.created), strings.Compare(a.Name, b.Name), strings.Compare(a.LXC, b.LXC))
	})
	return out
}

// keyOf returns what has the name of a live attachment; false if it has none.
func keyOf(a *inventory.Attachment) (Key, bool) {
	switch {
	case a.Record == nil || !exists(a):
		return Key{}, false
	case a.Owner == store.OwnerLXC:
		return Container(a.ContainerID), true
	case a.Owner == store.OwnerCLI && filepath.Dir(a.Netns) == cli.NetnsDir:
		key := Netns(filepath.Base(a.Netns))
		return key, cli.Named(key.Name).Path != "" // the kernel deletes the interfaces some time after the namespace
	}
	return Key{}, false
}

// exists reports whether an attachment has its host interface.
func exists(a *inventory.Attachment) bool {
	return a.State == inventory.StateUp || a.State == inventory.StateDown || a.State == inventory.StateUnplugged
}

// shares reports whether two members are on one network.
func (m *member) shares(other *member) bool {
	return slices.ContainsFunc(m.has, func(a address) bool { return other.on(a.network) })
}

func (m *member) on(network string) bool {
	return slices.ContainsFunc(m.has, func(a address) bool { return a.network == network })
}

// addresses returns the addresses of a member, IPv4 first; with a viewer, those on networks that it shares.
func (m *member) addresses(viewer *member) []netip.Addr {
	var out []netip.Addr
	for _, a := range m.has {
		if viewer == nil || viewer.on(a.network) {
			out = append(out, a.addr)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
