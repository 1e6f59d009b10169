package podman

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/enclosure"
	"github.com/patchbay-cni/patchbay/test/kit/image"
)

// webImage is a web server that sends the name of its container.
const webImage = "patchbay.test/web:1"

const script = "mkdir -p /www && hostname >/www/index.html && exec /bin/busybox httpd -f -p 80 -h /www"

// settings is the containers.conf. Its lock is a file, because shared memory would be the machine's. Resource limits and AppArmor are what a
// test machine may lack.
const settings = `[containers]
apparmor_profile = "unconfined"
[network]
network_backend = "cni"
network_config_dir = "/etc/cni/net.d"
cni_plugin_dirs = [%q]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`

const storage = `[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`

// scene is a host with Podman, on a LAN.
type scene struct {
	*nettest.Node
	t        *testing.T
	lan      *nettest.LAN
	inside   *enclosure.Enclosure
	packages string
	dir      string
	cgroups  string // the parent of all cgroups of its containers
}

// newScene returns a host on which Podman has only the network of its package, and the drop-in as its plugins.
func newScene(t *testing.T) *scene {
	t.Helper()
	packages := filepath.Join(filepath.Dir(nettest.Program(t, "../pkg/podman/usr/bin/podman")), "../..")
	h := nettest.Host(t)
	s := &scene{Node: h, t: t, lan: h.LAN(t), packages: packages, dir: t.TempDir(), cgroups: fmt.Sprintf("/patchbay-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	t.Cleanup(func() { enclosure.RemoveCgroups(t, s.cgroups) })
	s.inside = enclosure.New(t, h, packages)
	s.write("containers.conf", fmt.Appendf(nil, settings, dropin.New(t)))
	s.write("storage.conf", []byte(storage))
	s.write("image.tar", image.Docker(t, webImage, "/bin/sh", "-c", script))
	s.run("sh", "-ec", `rm -rf /etc/cni && mkdir -p /etc/cni/net.d && cp "$0/etc/cni/net.d/"* /etc/cni/net.d`, packages)
	s.podman("load", "--input", filepath.Join(s.dir, "image.tar"))
	return s
}

func (s *scene) write(name string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// command returns a program inside, with Podman's environment.
func (s *scene) command(args ...string) *nettest.Cmd {
	c := s.inside.Command(args...)
	libs, _ := filepath.Glob(filepath.Join(s.packages, "lib/*-linux-gnu*")) // beside the /usr/lib of the enclosure
	c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LD_LIBRARY_PATH="+strings.Join(libs, ":"),
		"CONTAINERS_CONF="+filepath.Join(s.dir, "containers.conf"), "CONTAINERS_STORAGE_CONF="+filepath.Join(s.dir, "storage.conf"))
	return c
}

// try runs a program inside and returns what it wrote to both outputs.
func (s *scene) try(args ...string) (string, error) {
	out, err := s.command(args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *scene) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *scene) podman(args ...string) string {
	s.t.Helper()
	return s.run(append([]string{"podman"}, args...)...)
}

// start starts a web server, detached.
func (s *scene) start(name string, options ...string) {
	s.t.Helper()
	s.podman(s.starting(name, options)...)
}

// refused returns what Podman says to a start that must fail, and removes the container that it has created.
func (s *scene) refused(name string, options ...string) string {
	s.t.Helper()
	out, err := s.try(append([]string{"podman"}, s.starting(name, options)...)...)
	if err == nil {
		s.t.Errorf("podman run %v is not refused", options)
	}
	s.podman("rm", "--force", name)
	return out
}

// starting returns the arguments for a web server.
func (s *scene) starting(name string, options []string) []string {
	all := append(s.common("--detach", "--name", name, "--hostname", name), options...)
	return append(all, webImage)
}

// common returns the arguments of every container. Limits are the host's, because a test machine may not raise them.
func (s *scene) common(options ...string) []string {
	return append([]string{"run", "--pull", "never", "--ulimit", "host", "--cgroup-parent", s.cgroups}, options...)
}

// address returns the address of a container on a network, as `podman inspect` has it.
func (s *scene) address(name, network string) netip.Addr {
	s.t.Helper()
	text := s.podman("inspect", "--format", fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", network), name)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		s.t.Fatalf("address of %s on %s: %v\n%s", name, network, err, s.podman("logs", name))
	}
	return addr
}

// serves requires that a web server sends its name to a program in a namespace; it may still be starting.
func (s *scene) serves(from *nettest.Netns, to netip.AddrPort, name string) {
	s.t.Helper()
	var said string
	var err error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if said, err = get(from, to); err == nil {
			break
		}
	}
	if err != nil || !strings.HasSuffix(strings.TrimSpace(said), "\n"+name) {
		s.t.Errorf("%s, from %s: %v %q, want %q", to, from.Name(), err, said, name)
	}
}

// get sends a request for the page of a web server.
func get(from *nettest.Netns, to netip.AddrPort) (string, error) {
	var conn net.Conn
	var err error
	from.Do(func() { conn, err = net.DialTimeout("tcp", to.String(), 5*time.Second) })
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprint(conn, "GET /index.html HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}
