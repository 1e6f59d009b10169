package ruleset

import (
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// A runtime that attaches a container to several networks (podman network connect, nerdctl run --network a --network b) passes the container's
// port mappings to each of them. The reference portmap makes rules for all, of which one counts. Here the attachment that is first publishes the
// port, and the others of the same container do not.

// OfSameContainer reports whether an error of Publish or CheckPortsFree says that another attachment of the same container publishes the port.
func OfSameContainer(err error, key store.Key) bool {
	by := PortOwnerOf(err)
	switch {
	case by == nil || by.Key == key:
		return false
	case by.Key.IfName != "":
		return by.Key.ContainerID == key.ContainerID
	}
	// The comment of the element was cut, after a long name of a network. IDs of runtimes are random: half of one is enough.
	return len(by.Key.ContainerID) >= shortestID && strings.HasPrefix(key.ContainerID, by.Key.ContainerID)
}

// shortestID is the length from which the beginning of a container ID identifies the container.
const shortestID = 32

// KeepFree removes from a record the mappings that other attachments of the same container publish. The error wraps nft.ErrPortTaken if an
// attachment of another container publishes one.
func (r *Ruleset) KeepFree(record *store.Record, dataDir string) error {
	var free []store.Port
	for _, p := range record.Publish.Ports {
		err := r.CheckPortsFree(record.Alias, []store.Port{p}, dataDir)
		switch {
		case OfSameContainer(err, record.Key()):
		case err != nil:
			return err
		default:
			free = append(free, p)
		}
	}
	if len(free) == 0 {
		record.Publish = nil
		return nil
	}
	left := *record.Publish
	left.Ports = free
	record.Publish = &left
	return nil
}

// ServedBySibling reports whether another attachment of the same container publishes a mapping.
func ServedBySibling(record *store.Record, p store.Port) bool {
	served := false
	_ = withRules(func(rules *nft.Ruleset) error { // an error is one of the elements, which CHECK looks up itself
		e := nft.Entry{Owner: record.Alias, Ports: expand(p)}
		served = OfSameContainer(rules.CheckPorts(e, func(string) bool { return false }), record.Key())
		return nil
	})
	return served
}
