package health

import (
	"github.com/patchbay-cni/patchbay/pkg/doctor"
	"github.com/patchbay-cni/patchbay/pkg/lan"
)

// LAN is a network of patchbay-lan on this host. Without a program that runs nothing is known of its blocks: other hosts may have them.
type LAN struct {
	Network string `json:"network"`
	Running bool   `json:"running"` // a process of patchbay-lan keeps its blocks
	State   string `json:"state"`   // lan.Ready or lan.Waiting: whether its network configuration exists
	*lan.Status
}

// lans returns the networks of patchbay-lan that doctor has found.
func lans(shared []doctor.SharedNetwork) (all []LAN) {
	for _, n := range shared {
		l := LAN{Network: n.Name, Running: n.Running, State: lan.Waiting, Status: n.Status}
		if n.Configured {
			l.State = lan.Ready
		}
		all = append(all, l)
	}
	return all
}
