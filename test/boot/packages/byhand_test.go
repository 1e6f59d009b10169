package packages

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestFromHand: 0.2.0 had no package; its program was copied to /opt/cni/bin, and the attachments have records and a table of older forms. The package is
// installed over it, and dpkg is killed while it installs others.
//
// Claim: The .deb is installed over the copied program of 0.2.0 while 50 attachments of it with traffic are live: 0 packets are lost, CHECK of all passes
// Claim: Where dpkg is killed while it unpacks the .deb, /opt/cni/bin/patchbay is a whole program, the older or the newer, and works; no packet is lost
func TestFromHand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.copyFile(t, built(t, "older.deb"), "/root/older.deb", "0644")
	files, kernel := s.files(t), s.kernel(t)
	s.copyFile(t, built(t, "patchbay-0.2.0"), program, "0755")
	s.Shell(t, "ln -s "+program+" /usr/bin/patchbay")
	expect.Contains(t, s.Run(t, "patchbay", "version"), "0.2.0")
	s.attachAll(t)
	table := func() string { return s.Shell(t, "nft list table inet patchbay | grep -o 'chain schema_[0-9]*'") }
	expect.Equal(t, "table of 0.2.0", table(), "chain schema_2\n")
	s.startFlows(t)

	s.dpkg(t, "-i /root/newer.deb")
	s.installed(t, newer)
	s.active(t, units)
	s.goOn(t, "after the installation")
	s.checkAll(t, "after the installation")
	expect.Equal(t, "table", table(), "chain schema_4\n")
	s.interrupted(t)
	s.noneLost(t)
	s.downAll(t)
	s.dpkg(t, "-P patchbay")
	s.asBefore(t, files, kernel)
}
