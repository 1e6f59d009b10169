package attach

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Taken is who has the port of the host that an ADD was refused for (code 102).
type Taken struct {
	Thing string    // "port 8080/tcp", "port 53/udp of 192.0.2.1"
	Key   store.Key // as far as it is told
	Owner string    // who made that attachment: cni, cli, lxc
}

// TakenPort finds it in an error of Add; nil for an error about something else, or if the port does not
// tell whose it is.
func TakenPort(err error) *Taken {
	var taken *nft.TakenError
	if !errors.As(err, &taken) || !taken.Port {
		return nil
	}
	key, owner, ok := ParseAlias(taken.Owner)
	if !ok {
		return nil
	}
	return &Taken{taken.Thing, key, owner}
}
