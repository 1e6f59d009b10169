package link_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestSysctlOfDeletedInterface: the error is ErrVanished if the interface was deleted, and that of the missing file if the interface
// exists.
//
// Claim: An ADD that runs beside a DEL and an ADD of the same attachment recognises its own interface; an interface that is deleted
// meanwhile is reported as gone
func TestSysctlOfDeletedInterface(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.IPv6)
	h := nettest.Host(t)
	c := h.Container("web")
	h.Veth("port", c.Netns, "eth0")
	const of = "/proc/sys/net/ipv6/conf/"
	set := func(ifname string, paths ...string) (err error) {
		h.Do(func() {
			s, failed := link.OpenSandbox(c.Path(), false)
			if failed != nil {
				err = failed
				return
			}
			defer s.Close()
			var wanted [][2]string
			for _, path := range paths {
				wanted = append(wanted, [2]string{of + path, "0"})
			}
			err = s.EnsureSysctls(ifname, wanted)
		})
		return err
	}
	if err := set("eth0", "eth0/accept_dad", "eth0/disable_ipv6"); err != nil {
		t.Errorf("of an interface that exists: %v", err)
	}
	if err := set("eth0", "eth0/accept_dad", "eth0/nosuch"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, link.ErrVanished) {
		t.Errorf("a sysctl that Linux does not have: %v", err)
	}
	h.Run(t, "ip", "link", "del", "port")
	if err := set("eth0", "lo/disable_ipv6", "eth0/disable_ipv6"); !errors.Is(err, link.ErrVanished) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a deleted interface: %v", err)
	}
}
