package doctor

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ports reports published ports on which a process of the host listens, and those on addresses that the host does not have.
func (x *examination) ports() (found []Finding, err error) {
	listeners := map[string]link.Listeners{}
	for proto, number := range map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP} {
		all, err := x.host.Listeners(number, 0)
		if err != nil && !errors.Is(err, link.ErrNoSockDiag) {
			return nil, err
		}
		listeners[proto] = all
	}
	for _, r := range x.live {
		if r.Publish == nil {
			continue
		}
		for _, p := range r.Publish.Ports {
			for _, f := range conflicts(r, p, listeners[p.Protocol]) {
				found = join(found, f)
			}
			if f, absent := x.noAddress(r, p); absent {
				found = join(found, f)
			}
		}
	}
	return found, nil
}

// noAddress reports a port on an address that the host does not have.
func (x *examination) noAddress(r *store.Record, p store.Port) (Finding, bool) {
	if !p.HostIP.IsValid() {
		return Finding{}, false
	}
	if local, err := x.host.IsLocal(p.HostIP); err != nil || local {
		return Finding{}, false
	}
	return Finding{
		Says: fmt.Sprintf("port %d/%s of %s is unreachable: it is published on %s, which is not an address of this host", p.HostPort, p.Protocol, identity.Label(r), p.HostIP),
		Seen: printable.Command("ip", "route", "get", p.HostIP.String()) + " does not print local",
		Fix:  []string{"# add that address to the host, or attach the container again with another hostIP"},
	}, true
}

// join adds a finding. A port of both families is one finding, with the evidence of each.
func join(all []Finding, f Finding) []Finding {
	at := slices.IndexFunc(all, func(other Finding) bool { return other.Says == f.Says })
	if at < 0 {
		return append(all, f)
	}
	all[at].Seen += "; " + f.Seen
	return all
}

// conflicts reports the ports of a mapping on which a process of the host listens.
func conflicts(r *store.Record, p store.Port, listeners link.Listeners) (found []Finding) {
	for i := range uint16(p.Len()) {
		l, taken := listeners.At(p.HostAddress(), p.HostPort+i)
		if !taken {
			continue
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("port %d/%s is in use twice: %s publishes it, and a process of the host listens on it but receives no traffic", l.Port(), p.Protocol, identity.Label(r)),
			Seen: fmt.Sprintf("a socket of the host listens on %s", l),
			Fix:  []string{printable.Command("ss", "-lnp", fmt.Sprintf("sport = %d", l.Port())), "# stop that process, or attach the container again with another hostPort"},
		})
	}
	return found
}
