package dist

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/image"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// root is a directory with busybox in which packages are installed. Its scripts run in the network namespace of a host of their own, which has
// the attachments; /run and /proc are that host's.
type root struct {
	*nettest.Node
	t   *testing.T
	dir string
}

func newRoot(t *testing.T) *root {
	t.Helper()
	r := &root{Node: nettest.Host(t), t: t, dir: t.TempDir()}
	for _, dir := range []string{"bin", "proc", "run", "tmp", "etc", "dev", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/rpm", "var/tmp"} {
		check(t, os.MkdirAll(filepath.Join(r.dir, dir), 0o755))
	}
	for _, name := range []string{"status", "available"} {
		r.write("var/lib/dpkg/"+name, "")
	}
	text, err := os.ReadFile(image.Busybox(t))
	check(t, err)
	check(t, nettest.WriteProgram(filepath.Join(r.dir, "bin/busybox"), text))
	for _, name := range []string{"sh", "rm"} {
		check(t, os.Symlink("busybox", filepath.Join(r.dir, "bin", name)))
	}
	// dpkg removes directories that get empty, and rpm leaves them: files of other packages are in those of every distribution.
	for _, path := range []string{"dev/null", "usr/bin/other", "usr/share/doc/other/copyright", "usr/share/man/man1/other.1.gz", "usr/lib/systemd/system/other", "usr/lib/systemd/network/other", "usr/libexec/other"} {
		r.write(path, "")
	}
	r.write("opt/cni/bin/bridge", "the reference plugin")
	r.write("usr/lib/cni/bridge", "the reference plugin of the distribution")
	r.Run(t, "sh", "-ec", `mount --bind /proc "$0/proc" && mount --bind /run "$0/run" && mount --bind /dev/null "$0/dev/null"`, r.dir)
	r.Baseline()
	r.Oracle(nettest.CleanHost)
	return r
}

func (r *root) write(path, text string) {
	r.t.Helper()
	check(r.t, os.MkdirAll(filepath.Dir(filepath.Join(r.dir, path)), 0o755))
	check(r.t, os.WriteFile(filepath.Join(r.dir, path), []byte(text), 0o755))
}

// files describes each file in the directory but those of the package manager.
func (r *root) files() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	check(r.t, filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, r.dir)
		if err != nil || name == "/var/lib/dpkg" || name == "/var/lib/rpm" {
			return cmp.Or(err, fs.SkipDir)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[name] = info.Mode().String()
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			all[name] += " " + shorten(text)
			return err
		}
		return nil
	}))
	return all
}

// shorten returns a small text as it is, and the length and the end of a longer one.
func shorten(text []byte) string {
	const most = 30
	if len(text) <= most {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[len(text)-most:]), "?")
}

// manager is a program that installs the packages of a program.
type manager struct {
	name, program                   string
	install, upgrade, remove, purge []string // its arguments; the first two are followed by a file. purge is nil where removal is all
}

func dpkg(program string) manager {
	return manager{"dpkg", program, []string{"--install"}, []string{"--install"}, []string{"--remove", program}, []string{"--purge", program}}
}

func rpm(program string) manager {
	return manager{"rpm", program, []string{"--install", "--nodeps"}, []string{"--upgrade", "--nodeps", "--replacepkgs"}, []string{"--erase", "--nodeps", program}, nil}
}

// managers are both, for a program.
func managers(program string) []manager { return []manager{dpkg(program), rpm(program)} }

// try runs a package manager and returns its exit status and what it printed.
func (r *root) try(m manager, env string, args ...string) (int, string) {
	r.t.Helper()
	name, before := "dpkg", []string{"--root=" + r.dir, "--log=/dev/null", "--force-unsafe-io", "--path-include=/usr/share/*"}
	if m.name == "rpm" {
		name, before = nettest.Program(r.t, "rpm"), []string{"--root", r.dir, "--dbpath", "/var/lib/rpm", "--force-debian"}
	}
	cmd := r.Command(name, append(before, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C", env)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// ok runs a package manager, which must succeed.
func (r *root) ok(m manager, args ...string) string {
	r.t.Helper()
	code, out := r.try(m, "A=", args...)
	if code != 0 {
		r.t.Fatalf("%s %q: exit status %d\n%s", m.name, args, code, out)
	}
	return out
}

// inside runs the installed program by the link in /usr/bin.
func (r *root) inside(args ...string) string {
	r.t.Helper()
	return r.Run(r.t, "chroot", append([]string{r.dir, "/usr/bin/patchbay"}, args...)...)
}

// attach makes an attachment with everything that Patchbay keeps but sticky memory, and returns its name and what deletes it.
func (r *root) attach() (name string, detach func()) {
	r.t.Helper()
	web := r.Container("web")
	network := cni.Network(cni.DefaultGateway(), cni.Masquerade(), cni.IPAM(cni.Conf{"ranges": cni.Ranges("10.1.2.0/24")}))
	cni.Add(r.t, r.Node, web, network)
	return "net/" + web.ID() + "/eth0", func() { cni.Del(r.t, r.Node, web, network) }
}

// patchbay runs the program under test on the host, which is what the root sees too.
func (r *root) patchbay(args ...string) {
	r.t.Helper()
	r.Run(r.t, nettest.Patchbay(r.t), args...)
}

// packagesOf returns the first and the second package that a manager installs.
func (r *root) packagesOf(m manager) (first, second string) {
	r.t.Helper()
	if m.name == "rpm" {
		path := rpmOf(r.t, m.program, runtime.GOARCH)
		return path, path
	}
	path := debOf(r.t, m.program, runtime.GOARCH)
	inside := map[string]string{"patchbay": "opt/cni/bin/patchbay", "patchbay-lan": "usr/bin/patchbay-lan"}[m.program]
	return release.Older(r.t, path, "0.1.9", inside), path
}
