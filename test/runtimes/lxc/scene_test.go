// Package lxc starts real containers of LXC, with Debian's programs unpacked under .cache/pkg/lxc, on a host that is a
// namespace. It does not install LXC, and runs none of its programs outside of that host.
package lxc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	lxcPath = "/var/lib/lxc"
	confDir = "/etc/cni/net.d"
)

// scene is a host with LXC on it.
type scene struct {
	t *testing.T
	h *nettest.Node

	configured string // name of the network that was configured last
}

// packages returns the directory into which the scripts have unpacked LXC and busybox.
func packages(t *testing.T) string {
	t.Helper()
	return strings.TrimSuffix(nettest.Program(t, "../pkg/lxc/usr/bin/lxc-start"), "/usr/bin/lxc-start")
}

// host returns a host that has LXC in /usr and /etc, where its programs look: as layers below those of the machine, so
// that only LXC is added.
func host(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, h: nettest.Host(t)}
	s.h.Run(t, "sh", "-ec", `mkdir -p /run/layer/upper /run/layer/work /var/lib/lxc
		mount -t overlay overlay -o lowerdir=/usr:$0/usr /usr
		mount -t overlay overlay -o lowerdir=/etc:$0/etc,upperdir=/run/layer/upper,workdir=/run/layer/work /etc
		echo 0123456789abcdef0123456789abcdef >/etc/machine-id
		rm -rf /etc/cni && mkdir -p /etc/cni/net.d
		ldconfig`, packages(t))
	return s
}

// network writes the file of a network with one plugin into the directory of networks.
func (s *scene) network(name string, plugin map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{plugin}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(filepath.Join(confDir, name+".conflist"), string(text))
	s.configured = name
}

// lan returns the network of the host's br0, whose router leads to the outside.
func lan() map[string]any {
	return map[string]any{"type": "patchbay", "bridge": "br0", "ipam": map[string]any{
		"type": "patchbay",
		"ranges": []any{[]any{map[string]any{
			"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.110", "gateway": "192.0.2.1",
		}}},
		"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
	}}
}

func nat() map[string]any {
	return map[string]any{"type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "ipam": map[string]any{
		"type": "patchbay", "ranges": []any{[]any{map[string]any{"subnet": "10.88.0.0/16"}}},
	}}
}

func (s *scene) write(path, text string) {
	s.t.Helper()
	var err error
	s.h.Do(func() { err = os.WriteFile(path, []byte(text), 0o640) })
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) read(path string) string {
	s.t.Helper()
	var text []byte
	var err error
	s.h.Do(func() { text, err = os.ReadFile(path) })
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *scene) glob(pattern string) (paths []string) {
	s.h.Do(func() { paths, _ = filepath.Glob(pattern) })
	return paths
}

// try runs a program of the host, with the busybox of the containers. A shell finds it in the host's PATH, which this
// process does not see.
func (s *scene) try(name string, args ...string) (string, error) {
	cmd := s.h.Command("sh", append([]string{"-c", `exec "$0" "$@"`, name}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin:"+filepath.Join(packages(s.t), "bin"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *scene) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (s *scene) patchbay(args ...string) string {
	s.t.Helper()
	return s.run(nettest.Patchbay(s.t), args...)
}

// refused returns the error of a patchbay command that must fail.
func (s *scene) refused(args ...string) string {
	s.t.Helper()
	out, err := s.try(nettest.Patchbay(s.t), args...)
	if err == nil {
		s.t.Fatalf("patchbay %v is not refused: %s", args, out)
	}
	return out
}

// container is a container of LXC.
type container struct {
	*scene
	path, name string
	ended      bool
}

// container makes one of busybox, and takes it away with the test.
func (s *scene) container(name string) *container { return s.containerIn(lxcPath, name) }

func (s *scene) containerIn(path, name string) *container {
	s.t.Helper()
	c := &container{scene: s, path: path, name: name}
	s.run("mkdir", "-p", path)
	s.run("lxc-create", "-P", path, "-n", name, "-t", "busybox", "-f", "/dev/null")
	s.t.Cleanup(func() {
		if !c.ended {
			_, _ = s.try("lxc-destroy", "-f", "-P", path, "-n", name)
		}
	})
	c.configure("lxc.apparmor.profile = unconfined") // the machine has no AppArmor
	// The template's DHCP client would delete the assigned addresses.
	s.run("sed", "-i", "/udhcpc/d", filepath.Join(path, name, "rootfs/etc/init.d/rcS"))
	return c
}

func (c *container) config() string { return filepath.Join(c.path, c.name, "config") }

func (c *container) configure(lines ...string) {
	c.t.Helper()
	c.write(c.config(), c.read(c.config())+strings.Join(lines, "\n")+"\n")
}

// enable enables the container for the network that was configured last, or else for the default network.
func (c *container) enable(flags ...string) {
	c.t.Helper()
	if c.configured != "" {
		flags = append(flags, "--network", c.configured)
	}
	c.patchbay(append([]string{"lxc", "enable", c.name, "--lxcpath", c.path}, flags...)...)
}

// lxc runs a program of LXC for this container.
func (c *container) lxc(program string, args ...string) string {
	c.t.Helper()
	return c.run("lxc-"+program, append([]string{"-P", c.path, "-n", c.name}, args...)...)
}

func (c *container) log() string { return filepath.Join("/run", c.name+".log") }

// start starts the container and waits until it runs.
func (c *container) start() {
	c.t.Helper()
	out, err := c.try("lxc-start", "-P", c.path, "-n", c.name, "-l", "DEBUG", "-o", c.log())
	if err != nil {
		c.t.Fatalf("lxc-start %s: %v\n%s\n%s", c.name, err, out, c.logged())
	}
}

// logged returns the lines of hooks and errors in the log, and empties the log.
func (c *container) logged() string {
	c.t.Helper()
	var out strings.Builder
	for line := range strings.Lines(c.read(c.log())) {
		if strings.Contains(line, "patchbay") || strings.Contains(line, " ERROR ") {
			out.WriteString(line)
		}
	}
	c.write(c.log(), "")
	return out.String()
}

// startFails requires that the start fails, and returns the log.
func (c *container) startFails() string {
	c.t.Helper()
	if out, err := c.try("lxc-start", "-P", c.path, "-n", c.name, "-l", "DEBUG", "-o", c.log()); err == nil {
		c.t.Fatalf("lxc-start %s: it starts\n%s", c.name, out)
	}
	return c.logged()
}

func (c *container) stop() { c.t.Helper(); c.lxc("stop", "-k") }

func (c *container) destroy() {
	c.t.Helper()
	c.lxc("destroy", "-f")
	c.ended = true
}

// inside runs a program of busybox in the container.
func (c *container) inside(args ...string) (string, error) {
	return c.try("lxc-attach", append([]string{"-P", c.path, "-n", c.name, "--", "/bin/busybox"}, args...)...)
}

// port is what identifies a container on the network: address and MAC.
type port struct{ Address, MAC string }

func (c *container) port() port {
	c.t.Helper()
	out, err := c.inside("ip", "addr", "show", "eth0")
	if err != nil {
		c.t.Fatalf("eth0 of %s: %v\n%s", c.name, err, out)
	}
	var p port
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && fields[0] == "link/ether":
			p.MAC = fields[1]
		case len(fields) > 1 && fields[0] == "inet":
			p.Address = netip.MustParsePrefix(fields[1]).Addr().String()
		}
	}
	return p
}

func (c *container) pings(address string) {
	c.t.Helper()
	if out, err := c.inside("ping", "-c", "1", "-W", "3", address); err != nil {
		c.t.Errorf("%s pings %s: %v\n%s", c.name, address, err, out)
	}
}

// reboot reboots the container from inside, and returns when it runs again. A hook after ours reports the start.
func (c *container) reboot(starts *starts) {
	c.t.Helper()
	_, _ = c.inside("reboot") // the reboot may kill it
	if target := starts.next(); target != "reboot" {
		c.t.Errorf("LXC_TARGET %q: no reboot", target)
	}
	c.lxc("wait", "-s", "RUNNING", "-t", "20")
}

// starts returns a pipe to which the last start-host hook of each container writes LXC_TARGET.
type starts struct {
	t     *testing.T
	pipe  *os.File
	lines *bufio.Reader
	hook  string
}

func (s *scene) starts() *starts {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "starts")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		s.t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pipe.Close() })
	return &starts{s.t, pipe, bufio.NewReader(pipe), "lxc.hook.start-host = echo ${LXC_TARGET:-first} >" + path + " #"}
}

func (s *starts) next() string {
	s.t.Helper()
	if err := s.pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	line, err := s.lines.ReadString('\n')
	if err != nil {
		s.t.Fatalf("wait for a container to start: %v", err)
	}
	return strings.TrimSpace(line)
}

// gc calls GC as CRI-O does when it starts: no attachment is valid.
func (s *scene) gc(network string, plugin map[string]any) {
	s.t.Helper()
	conf := map[string]any{"cniVersion": "1.1.0", "name": network, "cni.dev/valid-attachments": nil}
	for key, value := range plugin {
		conf[key] = value
	}
	text, err := json.Marshal(conf)
	if err != nil {
		s.t.Fatal(err)
	}
	s.h.CNI(s.t, nettest.Call{Command: "GC", Config: bytes.TrimSpace(text)}).OK(s.t)
}

func hookVersion(version int) string { return fmt.Sprintf("lxc.hook.version = %d", version) }
