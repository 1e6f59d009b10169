// Package nodeproblem has the kinds of problems that patchbay-agent reports of the nodes of a cluster. Package cluster and the agent give each
// problem one, status.json has it, and the commands of patchbay read it there.
//
// A kind is a word for programs, such as alerts, that do not read the text of a problem. It stays as it is; new ones may be added.
package nodeproblem

import "slices"

// Kind is what a problem is about.
type Kind string

// The kinds. Those of the first group are found in the Node objects, the others on this host.
const (
	NoNode              Kind = "noNode"
	NoPodCIDR           Kind = "noPodCIDR"
	SameCIDR            Kind = "sameCIDR"
	OutsideClusterCIDRs Kind = "outsideClusterCIDRs"
	SecondCIDR          Kind = "secondCIDR"
	MissingFamily       Kind = "missingFamily"
	InternalIPInside    Kind = "internalIPInside"
	NoInternalIP        Kind = "noInternalIP"
	BadInternalIP       Kind = "badInternalIP"
	SameInternalIP      Kind = "sameInternalIP"
	SameMAC             Kind = "sameMAC"
	Unreadable          Kind = "unreadable"

	NoUplink        Kind = "noUplink"
	SmallMTU        Kind = "smallMTU"
	NotDirect       Kind = "notDirect"
	RouteTaken      Kind = "routeTaken"
	Held            Kind = "held"
	Overlay         Kind = "overlay"
	Kernel          Kind = "kernel"
	Config          Kind = "config"
	BadConflist     Kind = "badConflist"
	Write           Kind = "write"
	ForeignConflist Kind = "foreignConflist"
	NeighbourTable  Kind = "neighbourTable"
)

// Other stands for every kind that this program does not know: the agent may be of a later release.
const Other Kind = "other"

// Kinds returns all kinds but Other.
func Kinds() []Kind {
	return []Kind{
		NoNode, NoPodCIDR, SameCIDR, OutsideClusterCIDRs, SecondCIDR, MissingFamily, InternalIPInside, NoInternalIP, BadInternalIP, SameInternalIP, SameMAC, Unreadable,
		NoUplink, SmallMTU, NotDirect, RouteTaken, Held, Overlay, Kernel, Config, BadConflist, Write, ForeignConflist, NeighbourTable,
	}
}

// Known returns the kind, or Other.
func (k Kind) Known() Kind {
	if slices.Contains(Kinds(), k) {
		return k
	}
	return Other
}
