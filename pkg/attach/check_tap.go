package attach

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// tap compares the tap with the configuration and the kernel.
func (c *checking) tap(inside *link.Link) error {
	if c.record == nil {
		return nil // reported by state
	}
	if !reflect.DeepEqual(tapOf(c.cfg.Tap), c.record.Tap) {
		c.differ("the attachment was made with another tap than the configuration has")
	}
	if c.record.Tap == nil {
		return nil
	}
	found, err := TapDrift(c.sandbox, inside, c.record)
	for _, what := range found {
		c.differ("%s", what)
	}
	return err
}

// TapDrift compares the tap of a record, which has one, with the kernel, and returns the differences as clauses. inside is the container
// interface.
func TapDrift(sandbox *link.Sandbox, inside *link.Link, r *store.Record) (found []string, err error) {
	t, err := sandbox.Link(r.Tap.Name)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return []string{fmt.Sprintf("tap %s no longer exists in the container", r.Tap.Name)}, nil
	case err != nil:
		return nil, err
	case t.Kind != "tun" || t.Alias != r.Alias[:min(len(r.Alias), maxAlias)]:
		return []string{fmt.Sprintf("%s in the container is not the tap of this attachment (type %s, alias %q)", t.Name, t.Kind, t.Alias)}, nil
	}
	if !t.Up {
		found = append(found, fmt.Sprintf("tap %s is down", t.Name))
	}
	if t.MTU != inside.MTU {
		found = append(found, fmt.Sprintf("tap %s has MTU %d, %s has %d", t.Name, t.MTU, inside.Name, inside.MTU))
	}
	if !sameID(t.Tap.Owner, r.Tap.Owner) || !sameID(t.Tap.Group, r.Tap.Group) {
		found = append(found, fmt.Sprintf("tap %s may be opened by %s, not by %s", t.Name, Opens(t.Tap.Owner, t.Tap.Group), Opens(r.Tap.Owner, r.Tap.Group)))
	}
	var lost []string
	err = sandbox.Enter(func() (err error) {
		lost, err = bandwidth.CheckJoin(Shaped(inside), Shaped(t))
		return err
	})
	return append(found, lost...), err
}

// maxAlias is the length in bytes to which the kernel's alias is cut.
const maxAlias = 255

func sameID(a, b *uint32) bool { return reflect.DeepEqual(a, b) }

// Opens says who may open a tap, besides processes with CAP_NET_ADMIN: "user 1000", "user 1000 in group 36".
func Opens(owner, group *uint32) string {
	switch {
	case owner != nil && group != nil:
		return fmt.Sprintf("user %d in group %d", *owner, *group)
	case owner != nil:
		return fmt.Sprintf("user %d", *owner)
	case group != nil:
		return fmt.Sprintf("group %d", *group)
	}
	return "every user"
}
