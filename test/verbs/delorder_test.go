package verbs

import (
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDelReleasesNothingIfLinkIsNotDeleted: as long as the veth pair exists, the addresses are in use.
//
// Claim: When DEL cannot remove something, it keeps what stands for it: the address of a host interface, the record of an address
func TestDelReleasesNothingIfLinkIsNotDeleted(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("setpriv"))
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	before := files(t, h, addressDir(a))
	a.plugin = nettest.Script(t, "exec setpriv --bounding-set=-net_admin --inh-caps=-all "+nettest.Patchbay(t))
	expect.Contains(t, a.run(t, "DEL").Error(t).Msg, "delete veth")
	a.plugin = ""
	expect.Equal(t, "address files", files(t, h, addressDir(a)), before)
	a.check(t)
}

// TestDelKeepsRecordIfReleaseFails: the next DEL reads there what remains to be released, and where.
//
// Claim: When DEL cannot remove something, it keeps what stands for it: the address of a host interface, the record of an address
func TestDelKeepsRecordIfReleaseFails(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), few(outsideDir()))
	record := func() string { return files(t, h, filepath.Dir(recordPath(a)))[filepath.Base(recordPath(a))] }
	before := record()
	h.Run(t, "mount", "-o", "bind,ro", networksDir, networksDir)
	e := a.run(t, "DEL").Error(t)
	h.Run(t, "umount", networksDir)
	expect.Contains(t, e.Msg, "release address", "read-only file system")
	expect.Equal(t, "record", record(), before)
	a.del(t)
	expect.Equal(t, "holders", holders(t, h, networksDir), map[string]string{})
	noLeaks(t, h)
}
