package identity

import (
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// netnsDir holds the network namespaces that have a name (ip-netns(8)).
const netnsDir = "/run/netns"

// Name returns the name that commands print for an attachment: namespace/name of its pod, the name of the network namespace
// that `patchbay up` or an LXC hook attached, else the container ID. A runtime chooses a random name for the namespace, which
// says less than the ID.
func Name(r *store.Record) string {
	switch {
	case r.Pod != nil:
		return r.Pod.Namespace + "/" + r.Pod.Name
	case filepath.Dir(r.Netns) == netnsDir && r.Owner != store.OwnerCNI:
		return filepath.Base(r.Netns)
	}
	return r.ContainerID
}

// Label returns a short printable name with the network, for sentences: "default/web of network lan". A container ID of 64
// characters is cut to the 12 that the runtimes' own tools print.
func Label(r *store.Record) string {
	const usual, shown, maxName = 64, 12, 128
	name := r.ContainerID
	if len(name) == usual {
		name = name[:shown]
	}
	if r.Pod != nil && r.Pod.Name != "" {
		name = r.Pod.Namespace + "/" + r.Pod.Name
	}
	return printable.Text(name, maxName) + " of network " + r.Network
}

// NamespaceName returns the name that the picture prints for the network namespace of an attachment: the pod, "lxc NAME",
// "process PID" for a path below /proc, else the file name of the path.
func NamespaceName(r *store.Record) string {
	if r.Pod != nil {
		return r.Pod.Namespace + "/" + r.Pod.Name
	}
	if r.Owner == store.OwnerLXC {
		return lxcName(r.ContainerID)
	}
	if rest, ok := strings.CutPrefix(r.Netns, "/proc/"); ok {
		pid, _, _ := strings.Cut(rest, "/")
		return "process " + pid
	}
	return filepath.Base(r.Netns)
}

// lxcName takes the container's name from an ID "lxc-NAME-HASH".
func lxcName(id string) string {
	name := strings.TrimPrefix(id, "lxc-")
	if i := strings.LastIndex(name, "-"); i > 0 {
		name = name[:i]
	}
	return "lxc " + name
}
