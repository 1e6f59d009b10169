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

// To delete a link is to wait for the kernel (RCU) some 20 ms; to delete all links of a group is
// to wait once. But a group's number belongs to nobody: whoever has put a link there loses it too.
// So ours go into a group of a random number that no link of the host is in, all links of the host
// are looked at again, and only if the group holds ours alone it is deleted. What is left is the
// moment between that look and the delete, for somebody who has guessed one of 2^31 numbers, or
// has read it from the kernel within that moment.

// Cable is how a host end is known: by its name, and by what its alias begins with.
type Cable struct {
	Name, Mark string
}

// errGroupShared is why a group is not deleted.
var errGroupShared = errors.New("is used by somebody else")

// UnplugTogether deletes as many of the host ends as it can in one call. Of fewer than two it
// deletes none, nor one whose alias does not begin with the mark, or that has none. Whoever
// calls it unplugs each afterwards (Unplug), and so what it has left: an error says why it has
// left all, and that each is in the group again that it was in before.
func (h *Host) UnplugTogether(cables []Cable) error {
	g := &group{host: h, pick: randomGroup, full: func() {}}
	if err := g.find(cables); err != nil || len(g.links) < 2 {
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
	return binary.NativeEndian.Uint32(random[:]) >> 1
}

// group is a number and the links that are to share it.
type group struct {
	host   *Host
	pick   func() uint32
	full   func() // called between fill and alone
	number uint32
	links  []*Link
	marks  map[int]string // of each, by index
}

// find looks the cables up that are there and certainly ours.
func (g *group) find(cables []Cable) error {
	g.marks = make(map[int]string, len(cables))
	for _, c := range cables {
		l, err := g.host.byName(c.Name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if l.Alias != "" && l.IsOurs(c.Mark) {
			g.links, g.marks[l.Index] = append(g.links, l), c.Mark
		}
	}
	return nil
}

// choose takes a number that no link has.
func (g *group) choose() error {
	for range mostDumps {
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

// members are the links of the host that are in the group now. The kernel has no filter for it.
func (g *group) members() ([]*Link, error) {
	return g.host.list(func(l *Link) bool { return l.group == g.number })
}

// delete fills the group, looks who is in it, and deletes it.
func (g *group) delete() error {
	err := g.fill()
	if err == nil {
		g.full()
		err = g.alone()
	}
	if err == nil {
		err = g.host.socket.execute(groupRequest(g.number), nil)
	}
	if err != nil {
		return errors.Join(err, g.empty())
	}
	return nil
}

func groupRequest(number uint32) *nl.NetlinkRequest {
	req := linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{})
	req.AddData(groupAttr(number))
	return req
}

func groupAttr(number uint32) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(number)) }

// fill puts the links into the group. One that is gone by now needs no more.
func (g *group) fill() error {
	for _, l := range g.links {
		err := g.host.change(linkHeader{index: l.Index}, groupAttr(g.number))
		if err != nil && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("put %s into group %d: %w", l.Name, g.number, err)
		}
	}
	return nil
}

// alone wants nobody in the group but the links that were put there, each still of our name and
// alias.
func (g *group) alone() error {
	has, err := g.members()
	if err != nil {
		return err
	}
	for _, l := range has {
		mark, known := g.marks[l.Index]
		if !known || l.Alias == "" || !l.IsOurs(mark) || l.Name != g.nameOf(l.Index) {
			return fmt.Errorf("group %d %w: %s", g.number, errGroupShared, l.Name)
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

// empty puts the links back to where they were.
func (g *group) empty() error {
	var failed error
	for _, l := range g.links {
		err := g.host.change(linkHeader{index: l.Index}, groupAttr(l.group))
		if err != nil && !errors.Is(err, syscall.ENODEV) {
			failed = errors.Join(failed, fmt.Errorf("put %s back into group %d: %w", l.Name, l.group, err))
		}
	}
	return failed
}
