package buildkit

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// options are those of the function that buildkitd calls, netproviders.Providers.
type options struct {
	Mode string
	CNI  struct {
		Root, ConfigPath, BinaryDir string
		PoolSize                    int
		BridgeName, BridgeSubnet    string
	}
}

// root is the directory of buildkitd's worker, and namespaces where its network namespaces are.
const (
	root       = "/var/lib/buildkit/runc-overlayfs"
	namespaces = root + "/net/cni"
)

// poolSize is the number of network namespaces that are kept ready.
const poolSize = 2

// daemon is a host with a LAN and the networks of a buildkitd.
type daemon struct {
	*nettest.Node
	t   *testing.T
	lan *nettest.LAN
	run *inside.Program
	bin string
	opt options
}

// newDaemon returns a host on which the plugins have BuildKit's names, as in its image, or those of the reference.
func newDaemon(t *testing.T, mode string) *daemon {
	t.Helper()
	d := &daemon{t: t, bin: t.TempDir()}
	prefix := map[string]string{"bridge": "buildkit-cni-", "cni": ""}[mode]
	for _, name := range []string{"bridge", "loopback", "host-local", "firewall"} {
		dropin.Copy(t, name, d.bin, prefix+name)
	}
	dropin.Install(t, d.bin)
	d.opt.Mode, d.opt.CNI.Root, d.opt.CNI.PoolSize = mode, root, poolSize
	d.opt.CNI.BridgeName, d.opt.CNI.BridgeSubnet = "buildkit0", "10.10.0.0/16" // the defaults
	d.opt.CNI.BinaryDir = d.bin
	d.opt.CNI.ConfigPath = mustAbs(t, "../lists/testdata/buildkit.conf") // BuildKit's own
	d.Node = nettest.Host(t, nettest.Watch(namespaces))
	d.lan = d.LAN(t)
	d.Run(t, "mount", "-t", "sysfs", "sysfs", "/sys") // BuildKit reads the counters of the host's interfaces there
	d.Run(t, "mkdir", "-p", namespaces)
	d.Baseline()
	d.start()
	return d
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the program and its provider, which fills its pool.
func (d *daemon) start() {
	d.t.Helper()
	d.run = inside.StartOther(d.t, d.Node, nettest.Program(d.t, "buildkit-provider"), "PATH="+d.bin+":"+os.Getenv("PATH"))
	d.must("start", d.opt, nil)
}

func (d *daemon) must(call string, input, output any) {
	d.t.Helper()
	if err := d.run.Ask(d.t, call, input, output); err != nil {
		d.t.Fatalf("%s: %v", call, err)
	}
}

// create returns the path of a namespace; a step with a hostname gets one that is not of the pool.
func (d *daemon) create(hostname string) (path string) {
	d.t.Helper()
	d.must("new", hostname, &path)
	return path
}

// existing returns the paths of all network namespaces of the daemon.
func (d *daemon) existing() (paths []string) {
	d.t.Helper()
	var entries []fs.DirEntry
	var err error
	d.Do(func() { entries, err = os.ReadDir(namespaces) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		paths = append(paths, filepath.Join(namespaces, e.Name()))
	}
	return paths
}

// take returns all namespaces of the pool, when it is full. There is no event for that: a namespace that did not exist
// before it was asked for is not of the pool, and goes back.
func (d *daemon) take() []string {
	d.t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		before := d.existing()
		if len(before) < poolSize {
			continue
		}
		taken := []string{d.create(""), d.create("")}
		if slices.Contains(before, taken[0]) && slices.Contains(before, taken[1]) {
			return taken
		}
		for _, path := range taken {
			d.must("close", path, nil)
		}
	}
	d.t.Fatalf("the pool is not full: %q", d.existing())
	return nil
}

// address returns the address of eth0 in a namespace.
func (d *daemon) address(path string) netip.Addr {
	d.t.Helper()
	out := d.Run(d.t, "nsenter", "--net="+path, "ip", "-4", "-json", "address", "show", "eth0")
	return addressOf(d.t, out)
}

// ping sends one echo request from a namespace.
func (d *daemon) ping(from string, to netip.Addr) {
	d.t.Helper()
	if out, err := d.Command("nsenter", "--net="+from, "ping", "-c1", "-W5", to.String()).CombinedOutput(); err != nil {
		d.t.Errorf("ping from %s to %s: %v\n%s", from, to, err, out)
	}
}
