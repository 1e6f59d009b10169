package link

import (
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// SurveyDump is surveyDump with a dump that returns only an error.
func SurveyDump(dump func() error) error {
	_, err := surveyDump("nothing", func() ([]struct{}, error) { return nil, dump() })
	return err
}

// UnplugTogetherBut is UnplugTogether with a choice of group numbers, and a function that is called
// between moving the links and checking the group.
func (h *Host) UnplugTogetherBut(interfaces []HostInterface, pick func() uint32, moved func(number uint32)) error {
	g := &group{host: h, pick: pick}
	g.moved = func() { moved(g.number) }
	if err := g.find(interfaces); err != nil {
		return err
	}
	if err := g.choose(); err != nil {
		return err
	}
	return g.delete()
}

// ExemptNeighbours is the number of IPv4 entries of the calling thread's namespace that do not count.
func ExemptNeighbours(h *Host) (int, error) {
	s, err := nlsock.OpenIn(h.netns.socket, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return exemptNeighbours(s, unix.AF_INET)
}

// PortsOf returns the number of ports that CheckFreePort compares.
func (h *Host) PortsOf(b *Bridge) (int, error) { return h.ports(b) }

// EnsureSysctls is ensureSysctls with needed settings, given by path and value.
func (s *Sandbox) EnsureSysctls(ifname string, wanted [][2]string) error {
	var all []setting
	for _, w := range wanted {
		all = append(all, setting{w[0], w[1], needed})
	}
	return s.ensureSysctls(ifname, all)
}
