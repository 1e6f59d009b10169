package ruleset

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// PortOwner is the attachment that already publishes a port.
type PortOwner struct {
	Thing string    // "port 8080/tcp", "port 53/udp of 192.0.2.1"
	Key   store.Key // empty in part if the comment of the element was cut
	Owner string    // who created that attachment: cni, cli, lxc
}

// named sets the attachment that a *nft.TakenError names, and returns err: pkg/nft does not know the form of comments.
func named(err error) error {
	var taken *nft.TakenError
	if errors.As(err, &taken) {
		if key, _, ok := identity.ParseAlias(taken.Owner); ok && key.IfName != "" { // not cut
			taken.Name = key.String()
		}
	}
	return err
}

// PortOwnerOf returns the owner of the port that an ADD failed for (code 102). It is nil for an error about anything else, or if
// the element does not name its owner.
func PortOwnerOf(err error) *PortOwner {
	var taken *nft.TakenError
	if !errors.As(err, &taken) || !taken.Port {
		return nil
	}
	key, owner, ok := identity.ParseAlias(taken.Owner)
	if !ok {
		return nil
	}
	return &PortOwner{taken.Thing, key, owner}
}
