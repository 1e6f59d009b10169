// Package sandboxes runs programs that create a sandbox around a network namespace that Patchbay attached: ip netns,
// bubblewrap and systemd-nspawn, from Debian's packages unpacked under .cache/pkg. It does not start a service.
package sandboxes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// scene is a namespace "blue" that cnitool has attached to the network of README, on a LAN.
type scene struct {
	t *testing.T
	h *nettest.Node
}

func host(t *testing.T) *scene {
	t.Helper()
	s := &scene{t, nettest.Host(t)}
	s.h.LAN(t)
	s.h.Container("blue")
	bin := t.TempDir()
	if err := os.Symlink(nettest.Patchbay(t), filepath.Join(bin, "patchbay")); err != nil {
		t.Fatal(err)
	}
	conf, err := filepath.Abs("../../../conf")
	if err != nil {
		t.Fatal(err)
	}
	s.run("env", "CNI_PATH="+bin, "NETCONFPATH="+conf, nettest.Program(t, "cnitool"), "add", "bridge", "/run/netns/blue")
	t.Cleanup(func() {
		s.run("env", "CNI_PATH="+bin, "NETCONFPATH="+conf, nettest.Program(t, "cnitool"), "del", "bridge", "/run/netns/blue")
	})
	return s
}

func (s *scene) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.h.Command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func busybox(t *testing.T) string { return nettest.Program(t, "../pkg/lxc/bin/busybox") }

// reaches requires one reply of the outside, to whose network only masquerading leads back.
func reaches(t *testing.T, out string) {
	t.Helper()
	if !strings.Contains(out, "1 packets received") {
		t.Errorf("the outside does not answer:\n%s", out)
	}
}

// Claim: A program in a namespace of `up` reaches the outside under `ip netns exec`, bubblewrap and systemd-nspawn
func TestIPNetns(t *testing.T) {
	t.Parallel()
	s := host(t)
	reaches(t, s.run("ip", "netns", "exec", "blue", busybox(t), "ping", "-c", "1", "-W", "3", nettest.LANOutside4))
}

// TestBubblewrap: it keeps the network namespace that it is started in, unless an option requests another.
//
// Claim: A program in a namespace of `up` reaches the outside under `ip netns exec`, bubblewrap and systemd-nspawn
func TestBubblewrap(t *testing.T) {
	t.Parallel()
	s := host(t)
	bwrap := nettest.Program(t, "../pkg/bubblewrap/usr/bin/bwrap")
	reaches(t, s.run("ip", "netns", "exec", "blue", bwrap, "--bind", "/", "/", "--unshare-pid", "--die-with-parent",
		busybox(t), "ping", "-c", "1", "-W", "3", nettest.LANOutside4))
}

// TestNspawn: it runs without a systemd of the host: an option prevents that it registers the machine there.
//
// Claim: A program in a namespace of `up` reaches the outside under `ip netns exec`, bubblewrap and systemd-nspawn
func TestNspawn(t *testing.T) {
	t.Parallel()
	s := host(t)
	nspawn := nettest.Program(t, "../pkg/nspawn/usr/bin/systemd-nspawn")
	libs, err := filepath.Glob(filepath.Join(filepath.Dir(nspawn), "../lib/*/systemd/libsystemd-shared-*.so"))
	if err != nil || len(libs) != 1 {
		t.Fatalf("libsystemd-shared: %v, %v", libs, err)
	}
	s.run("sh", "-ec", "for d in bin usr etc proc sys dev run tmp; do mkdir -p /run/root/$d; done; cp $0 /run/root/bin; touch /run/root/etc/os-release", busybox(t))
	reaches(t, s.run("env", "LD_LIBRARY_PATH="+filepath.Dir(libs[0])+":"+filepath.Dir(filepath.Dir(libs[0])),
		nspawn, "--network-namespace-path=/run/netns/blue", "-D", "/run/root",
		"--quiet", "--pipe", "--register=no", "--keep-unit", "/bin/busybox", "ping", "-c", "1", "-W", "3", nettest.LANOutside4))
}
