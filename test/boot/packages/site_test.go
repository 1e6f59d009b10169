package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/vm"
)

// patience is how long a test waits for a state that an emulated machine usually reaches in some seconds.
const patience = 2 * time.Minute

// Versions of the packages, as dpkg has them.
const (
	older = "0.3.0~alpha.1"
	newer = "0.3.0"
)

// Addresses of the machine, and of the router on another link.
const (
	host4   = "192.0.2.10"
	beyond4 = "198.51.100.1"
)

// units are those that the package enables.
const units = "patchbay-gc.timer patchbay-metrics.timer patchbay-reload.service"

// program is where the package has it.
const program = "/opt/cni/bin/patchbay"

// site is a machine whose eth0 leads to a router, with the packages in /root.
type site struct {
	*vm.Machine
	router *nettest.Container
	flows  []*flow
}

// built returns the path of what scripts/test-boot.sh has built.
func built(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(filepath.Dir(nettest.Program(t, "../packages/patchbay-0.2.0")), name)
}

func newSite(t *testing.T) *site {
	t.Helper()
	h := nettest.Host(t)
	h.NoOracle("the machine is what is tested; this host has only the router")
	s := &site{router: h.Container("router")}
	s.Machine = vm.Start(t, s.router.Netns, "tap0")
	for _, line := range []string{"address add 192.0.2.1/24 dev tap0", "address add 198.51.100.1/32 dev lo", "link set tap0 up"} {
		s.router.Run(t, "ip", strings.Fields(line)...)
	}
	// What the image has, and no Debian: options of dpkg, a preset of systemd, and empty directories of units.
	s.Shell(t, `rm /etc/dpkg/dpkg.cfg.d/* /etc/systemd/system-preset/00-none.preset
		find /etc/systemd/system -type d -empty -delete
		ip address add 192.0.2.10/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1`)
	s.copyFile(t, nettest.Program(t, "guest"), "/root/guest", "0755")
	s.copyFile(t, built(t, "newer.deb"), "/root/newer.deb", "0644")
	return s
}

func (s *site) copyFile(t *testing.T, from, to, mode string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, to, mode, content)
}

// dpkg runs dpkg, which must succeed, and returns what it printed.
func (s *site) dpkg(t *testing.T, args string) string {
	t.Helper()
	begun := time.Now()
	out := s.Shell(t, "dpkg "+args+" 2>&1")
	t.Logf("dpkg %s: %v\n%s", args, time.Since(begun).Round(100*time.Millisecond), out)
	return out
}

// installed requires a version of the package, and its program.
func (s *site) installed(t *testing.T, version string) {
	t.Helper()
	s.hasPackage(t, "patchbay", version)
	expect.Contains(t, s.Run(t, "patchbay", "version"), "patchbay "+strings.Replace(version, "~", "-", 1)+" ")
}

// hasPackage requires a version of a package in a state in which dpkg is done with it.
func (s *site) hasPackage(t *testing.T, name, version string) {
	t.Helper()
	expect.Equal(t, "state of the package", s.Run(t, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name), "installed "+version)
	expect.Equal(t, "files that differ from the package", s.Shell(t, "dpkg --verify "+name), "")
}

// active requires units that are active.
func (s *site) active(t *testing.T, names string) {
	t.Helper()
	for _, unit := range strings.Fields(names) {
		r := s.Try(t, "systemctl", "is-active", unit)
		expect.Equal(t, unit, strings.TrimSpace(r.Stdout), "active")
	}
}

// refused requires that dpkg does not remove the package, names an attachment and says how to remove it all the same, and that nothing is changed.
func (s *site) refused(t *testing.T, named string) {
	t.Helper()
	before := s.files(t)
	r := s.Try(t, "sh", "-c", "dpkg -r patchbay 2>&1")
	t.Logf("dpkg -r patchbay: %s", r.Stdout)
	if r.Exit == 0 {
		t.Error("removal is not refused")
	}
	expect.Contains(t, r.Stdout, "attachments exist: ", named, "patchbay down", "PATCHBAY_FORCE_REMOVE=1")
	unchanged(t, "files after a refused removal", before, s.files(t))
	s.active(t, units)
}

// until waits until something is so.
func (s *site) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s\n%s", patience, what, s.Shell(t, "ip -br address; ip route; patchbay ls; systemctl --failed; journalctl -b -n 40 --no-pager"))
		}
	}
}
