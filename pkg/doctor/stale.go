package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// stale reports stale attachments: the container is unreachable or no longer exists, and the record still holds its
// addresses and ports.
func (x *examination) stale() (found []Finding, err error) {
	all, err := liveness.Stale(x.stateDir)
	for _, a := range all {
		found = append(found, staleFinding(a))
	}
	return alike(found), err
}

// staleFinding reports what the record still holds, and the command that removes it. `patchbay gc` keeps an attachment
// whose delegated IPAM plugin has not been called, and one whose namespace exists unless its addresses are released.
func staleFinding(a liveness.StaleAttachment) Finding {
	r := a.Record
	f := Finding{Seen: fmt.Sprintf("no interface %s; network namespace %s no longer exists", r.HostLink, r.Netns), Fix: []string{"patchbay gc"}}
	switch {
	case a.Inhabited:
		f.Seen = fmt.Sprintf("no interface %s; network namespace %s exists", r.HostLink, r.Netns)
	case a.OtherBoot:
		f.Seen = "the record is from the previous boot"
	}
	switch {
	case a.Released:
		f.Says = fmt.Sprintf("the record of %s remains, though its addresses are released%s", identity.Label(r), holding(r, false))
		f.Seen += "; host-local has no file of this attachment"
	case a.Inhabited:
		f.Says = fmt.Sprintf("%s no longer has its host interface: the container is unreachable on this network%s", identity.Label(r), holding(r, true))
		f.Fix = attachAgain(r)
	default:
		f.Says = fmt.Sprintf("%s no longer has a network namespace, and its record remains%s", identity.Label(r), holding(r, true))
		if r.IPAMType != "" {
			f.Fix = endOf(r)
		}
	}
	if r.HostLink == "" {
		f.Seen = strings.TrimPrefix(f.Seen, "no interface ; ")
	}
	return f
}

// holding returns what a record still holds: its ports, and its addresses unless they are released.
func holding(r *store.Record, addresses bool) string {
	var held []string
	for _, a := range r.Addresses {
		if addresses {
			held = append(held, a.Address.Addr().String())
		}
	}
	if r.Publish != nil && len(r.Publish.Ports) > 0 {
		held = append(held, portsOf(r))
	}
	if len(held) == 0 {
		return ""
	}
	return ", and still holds " + strings.Join(held, ", ")
}

// attachAgain returns how a container that still exists gets an interface again.
func attachAgain(r *store.Record) []string {
	switch r.Owner {
	case store.OwnerCLI:
		args := target(r)
		if netnsName(r.Netns) == "" {
			args[0] = r.Netns // attach accepts no container ID
		}
		again := printable.Command(slices.Concat([]string{"patchbay", "attach"}, args)...)
		return append(endOf(r), "# then attach it again with the same options: "+again)
	case store.OwnerLXC:
		return []string{"# stop that LXC container and start it again: its hook attaches it"}
	}
	return []string{"# delete the container with its runtime, which recreates it"}
}

// endOf returns how to remove an attachment. `patchbay detach` refuses those that a runtime or LXC owns.
func endOf(r *store.Record) []string {
	switch r.Owner {
	case store.OwnerCLI:
		return []string{printable.Command(slices.Concat([]string{"patchbay", "detach"}, target(r))...)}
	case store.OwnerLXC:
		return []string{"# stop that LXC container: its hook removes the attachment"}
	}
	return []string{"# delete the container with its runtime"}
}

// target returns the arguments of attach and detach for an attachment that a command created.
func target(r *store.Record) []string {
	name := r.ContainerID
	if named := netnsName(r.Netns); named != "" {
		name = named
	}
	return targetArgs(store.Key{Network: r.Network, ContainerID: name, IfName: r.IfName})
}

// defaultIfName is the default of --interface.
const defaultIfName = "eth0"

func targetArgs(key store.Key) []string {
	args := []string{printable.Name(key.ContainerID), "--network", printable.Name(key.Network)}
	if key.IfName != defaultIfName {
		args = append(args, "--interface", printable.Name(key.IfName))
	}
	return args
}

// netnsName is the name of a network namespace for `ip netns`, "" if it has none.
func netnsName(path string) string {
	if dir := filepath.Dir(path); dir == cli.NetnsDir || dir == "/var"+cli.NetnsDir {
		return filepath.Base(path)
	}
	return ""
}
