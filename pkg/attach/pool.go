package attach

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// request returns the address request of a configuration.
func request(cfg *config.Config, prefer []netip.Addr, req Request) store.Request {
	r := store.Request{Pool: cfg.IPAM.Pool, Requested: cfg.IPAM.Requested, Prefer: prefer}
	if !cfg.IPAM.Sticky {
		return r
	}
	r.Sticky = stickyOwner(req.ContainerID, cfg.Args)
	return r
}

// stickyOwner returns the key under which addresses are remembered: namespace and name for a pod, because a pod of a StatefulSet gets a
// new container ID each time, else the container ID. Keys must be unique, and CNI_ARGS is free text: a namespace or name that is not
// valid in Kubernetes is quoted, because with a slash "a/b" and "c" would be the same as "a" and "b/c". No container ID and no
// valid name begins with a quote.
func stickyOwner(containerID string, args config.Args) string {
	namespace, name := args.PodNamespace, args.PodName
	switch {
	case name == "":
		return containerID
	case (namespace == "" || config.ValidName(namespace)) && config.ValidName(name):
		return namespace + "/" + name
	}
	return strconv.Quote(namespace) + "/" + strconv.Quote(name)
}

// outOfAddresses reports whether a released address could resolve the error.
func outOfAddresses(err error) bool {
	return errors.Is(err, store.ErrExhausted) || errors.Is(err, store.ErrTaken)
}

// reclaimable returns the addresses that reclaim would release, and changes nothing. Runtimes call STATUS every few seconds, also while
// a pool is full: so it dumps all interface names once and reads only the records whose host interface is not among them. An interface
// of another program with a derived name counts as live here; ADD reads its alias.
func reclaimable(host *link.Host, dirs store.Dirs, network string) ([]netip.Addr, error) {
	links, err := host.Names()
	if err != nil {
		return nil, err
	}
	machine := identity.MachineID()
	hasLink := func(key store.Key) bool { return links[identity.On(machine, key).HostInterface] }
	stale, err := liveness.New(host).StaleIn(dirs, network, hasLink)
	if err != nil {
		return nil, err
	}
	addrs, err := store.StaleAddresses(dirs, network, host.Cookie())
	for _, r := range stale {
		addrs = slices.Concat(addrs, store.Reclaimable(dirs, r))
	}
	return addrs, err
}
