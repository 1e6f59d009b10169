package link

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Deleting a link waits for an RCU grace period of some 20 ms; deleting all links of an interface
// group (RTM_DELLINK with IFLA_GROUP) waits once. But the kernel does not reserve group numbers: any
// program can put a link into a group, and would lose it. So the links to delete are moved to a
// random group that no link of the host is in, all links of the host are listed again, and the group
// is deleted only if it contains exactly these links. The remaining race is between that list and the
// delete: another program would have to guess one of 2^31 numbers, or read it from the kernel at
// that moment, and put a link of its own there.

// HostInterface identifies a host interface to delete: by its name, and by the beginning of its alias (Mark). IFB is the name of its ifb
// device, "" for none.
type HostInterface struct {
	Name, Mark, IFB string
}

// errGroupShared is the reason why a group is not deleted.
var errGroupShared = errors.New("interface group in use by another program")

// UnplugTogether deletes as many of the host interfaces as possible in one call. It deletes none if
// fewer than two qualify, and none whose alias does not begin with the mark or is empty. The caller
// deletes the remaining ones one by one (Unplug). On an error none is deleted, and each is in its
// previous group again.
//
// The kernel checks before it deletes (rtnl_group_dellink): EPERM for group 0, which all
// new links are in; EOPNOTSUPP if one member cannot be deleted, such as lo or a network
// card, and then none is; ENODEV if the group is empty. A request with a list of indexes
// would be better. It was proposed (IFLA_IFINDEX_LIST, netdev mailing list, November 2021)
// and not merged.
func (h *Host) UnplugTogether(interfaces []HostInterface) error {
	g := &group{host: h, pick: randomGroup, moved: func() {}}
	if err := g.find(interfaces); err != nil || len(g.links) < 2 {
		return err
	}
	err := g.choose()
	if err == nil {
		err = g.delete()
	}
	if err != nil {
		return fmt.Errorf("delete %d links together: %w", len(g.links), err)
	}
	return nil
}

func randomGroup() uint32 {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand, Go 1.24)
	// Without the highest bit: the group unfinished has it.
	return binary.NativeEndian.Uint32(random[:]) >> 1
}

// group is a group number and the links that are moved to it.
type group struct {
	host   *Host
	pick   func() uint32
	moved  func() // called between moveIn and checkMembers
	number uint32
	links  []*Link
	marks  map[int]string // of each, by index
}

// find looks up the host interfaces that exist and whose alias proves that they are ours.
//
// A link without an alias is left to Unplug, although it may be ours (ADD was killed
// between two messages): its name alone is too little to put it into a group that is
// deleted without a further look.
func (g *group) find(interfaces []HostInterface) error {
	g.marks = make(map[int]string, len(interfaces))
	for _, c := range interfaces {
		for _, name := range []string{c.Name, c.IFB} {
			l, err := g.host.byName(name)
			if errors.Is(err, ErrNotFound) { // also of ""
				continue
			}
			if err != nil {
				return err
			}
			if l.isMarked(c.Mark) {
				g.links, g.marks[l.Index] = append(g.links, l), c.Mark
			}
		}
	}
	return nil
}

// isMarked reports whether a link is a host interface or an ifb device whose alias begins with the mark.
func (l *Link) isMarked(mark string) bool { return l.Alias != "" && l.IsOurs(mark) || l.isIFBOf(mark) }

// choose picks a random number that no link has.
func (g *group) choose() error {
	for range maxDumps {
		g.number = g.pick()
		has, err := g.members()
		if err != nil {
			return err
		}
		if g.number != 0 && len(has) == 0 {
			return nil
		}
	}
	return errGroupShared
}

// members returns the links of the host that are in the group. The kernel has no dump filter for
// IFLA_GROUP, so all links are listed.
func (g *group) members() ([]*Link, error) {
	return g.host.list(func(l *Link) bool { return l.group == g.number })
}

// delete moves the links to the group, lists its members, and deletes it.
func (g *group) delete() error {
	// From here on each step can be interrupted by a kill. The links then stay in a random
	// group, without harm: they are deleted by name and alias, and the next call moves them
	// again.
	err := g.moveIn()
	if err == nil {
		g.moved()
		err = g.checkMembers()
	}
	if err == nil {
		err = g.host.socket.execute(groupRequest(g.number), nil)
	}
	if err != nil {
		return errors.Join(err, g.moveBack())
	}
	return nil
}

func groupRequest(number uint32) *nl.NetlinkRequest {
	req := linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{})
	req.AddData(groupAttr(number))
	return req
}

func groupAttr(number uint32) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(number)) }

// moveIn moves the links to the group. A link that no longer exists is skipped.
func (g *group) moveIn() error {
	for _, l := range g.links {
		err := g.host.change(linkHeader{index: l.Index}, groupAttr(g.number))
		if err != nil && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("set the link group of %s to %d, to delete it with others: %w", l.Name, g.number, err)
		}
	}
	return nil
}

// checkMembers returns an error unless the group contains only links that moveIn moved there, each still with
// its name and alias: between the look-up and now a name may have been given to another link.
//
// The other ends are not members: they are in the namespaces of containers, and a group is
// looked up in the namespace of the socket only.
func (g *group) checkMembers() error {
	has, err := g.members()
	if err != nil {
		return err
	}
	for _, l := range has {
		mark, known := g.marks[l.Index]
		if !known || !l.isMarked(mark) || l.Name != g.nameOf(l.Index) {
			return fmt.Errorf("group %d: %w: %s", g.number, errGroupShared, l.Name)
		}
	}
	return nil
}

func (g *group) nameOf(index int) string {
	for _, l := range g.links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}

// moveBack moves the links back to their previous groups.
//
// The index is sufficient here: the kernel gives it to no other link while the machine
// runs, except on demand (ip link add ... index N).
func (g *group) moveBack() error {
	var failed error
	for _, l := range g.links {
		err := g.host.change(linkHeader{index: l.Index}, groupAttr(l.group))
		if err != nil && !errors.Is(err, syscall.ENODEV) {
			failed = errors.Join(failed, fmt.Errorf("move %s back to group %d: %w", l.Name, l.group, err))
		}
	}
	return failed
}
