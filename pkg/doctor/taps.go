package doctor

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// taps reports attachments whose tap no longer exists, belongs to another user, or is no longer joined with the container interface.
func (x *examination) taps() (found []Finding, err error) {
	for _, r := range x.live {
		if r.Tap == nil {
			continue
		}
		seen, err := tapDrift(r)
		if err != nil {
			return found, fmt.Errorf("%s: %w", r.Key(), err)
		}
		if len(seen) == 0 {
			continue
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("the guest behind tap %s of %s is not reachable, or no program of its owner can open it", r.Tap.Name, identity.Label(r)),
			Seen: andMore(seen), Fix: append([]string{"# stop the virtual machine, then detach, and attach again with --tap:"}, endOf(r)...),
		})
	}
	return found, nil
}

// tapDrift returns how the tap differs from the record.
func tapDrift(r *store.Record) ([]string, error) {
	sandbox, err := link.OpenSandbox(r.Netns, false)
	if err != nil {
		return nil, err
	}
	defer sandbox.Close()
	if r.NetnsCookie != 0 && sandbox.Cookie() != 0 && r.NetnsCookie != sandbox.Cookie() {
		return []string{printable.Text(r.Netns, 0) + " is another network namespace than at the ADD"}, nil
	}
	inside, err := sandbox.Link(r.IfName)
	if err != nil {
		return []string{err.Error()}, nil //nolint:nilerr // that is what is wrong
	}
	return attach.TapDrift(sandbox, inside, r)
}
