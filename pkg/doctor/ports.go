package doctor

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ports: what is published and wanted by a socket of the host, too: the container gets what comes.
func (x *examination) ports() (found []Finding, err error) {
	listeners := map[string]link.Listeners{}
	for proto, number := range map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP} {
		there, err := x.host.Listeners(number, 0)
		if err != nil && !errors.Is(err, link.ErrNoSockDiag) {
			return nil, err
		}
		listeners[proto] = there
	}
	for _, r := range x.living {
		if r.Publish == nil {
			continue
		}
		for _, p := range r.Publish.Ports {
			for _, f := range contested(r, p, listeners[p.Protocol]) {
				found = join(found, f)
			}
			if f, absent := x.absent(r, p); absent {
				found = join(found, f)
			}
		}
	}
	return found, nil
}

// absent is a port on an address that the host has not.
func (x *examination) absent(r *store.Record, p store.Port) (Finding, bool) {
	if !p.HostIP.IsValid() {
		return Finding{}, false
	}
	if local, err := x.host.IsLocal(p.HostIP); err != nil || local {
		return Finding{}, false
	}
	return Finding{
		Says: fmt.Sprintf("nobody reaches port %d/%s of %s: it is published on %s, which is no address of this host", p.HostPort, p.Protocol, called(r), p.HostIP),
		Seen: fmt.Sprintf("ip route get %s does not say local", p.HostIP),
		Fix:  []string{"# give the host that address, or attach the container again with another hostIP"},
	}, true
}

// join adds a finding. A port of both families is one matter, with the evidence of each.
func join(all []Finding, f Finding) []Finding {
	at := slices.IndexFunc(all, func(other Finding) bool { return other.Says == f.Says })
	if at < 0 {
		return append(all, f)
	}
	all[at].Seen += "; " + f.Seen
	return all
}

// contested are the ports of a mapping that a socket of the host waits on.
func contested(r *store.Record, p store.Port, there link.Listeners) (found []Finding) {
	for i := range uint16(p.Many()) {
		l, taken := there.At(p.HostAddress(), p.HostPort+i)
		if !taken {
			continue
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("port %d/%s is wanted twice: %s publishes it and gets what comes, a process of the host waits for it in vain", l.Port(), p.Protocol, called(r)),
			Seen: fmt.Sprintf("a socket of the host waits on %s", l),
			Fix:  []string{fmt.Sprintf("ss -lnp 'sport = %d'", l.Port()), "# stop that process, or attach the container again with another hostPort"},
		})
	}
	return found
}
