package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/test/kit/initramfs"
)

// tools returns the programs of this machine that tests run. What else they run is in busybox.
func tools() []string {
	return []string{
		"ip", "bridge", "ss", "tc", "nft", "iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore",
		"iptables-nft", "iptables-legacy", "ip6tables-legacy", "ping", "tcpdump", "strace", "nsenter", "unshare", "setpriv", "mount", "umount", "sysctl", "ps",
		"ethtool", "arping", "jq", "find", "flock", "sh",
	}
}

// beside returns what the programs read, the names of protocols, services and users: of this machine, as they are the same everywhere.
func beside() []string {
	return []string{
		"/etc/protocols", "/etc/services", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/iproute2", "/etc/alternatives", "/etc/ethertypes",
	}
}

// machine is what init of the virtual machine reads from /machine.json.
type machine struct {
	Environment []string
	Port        string // the serial port that the tests print to
	Limit       string // of a package, as "30m0s"
	Bench       string // a regular expression; "" for no benchmark
	Tests       []compiled
}

// compiled is a compiled test with its working directory, and its arguments -test.run and -test.skip.
type compiled struct{ Package, Program, Dir, Run, Skip string }

// image writes the initramfs.
func (j *job) image(path string) error {
	return initramfs.Write(path, func(a *initramfs.Archive) {
		j.addSystem(a)
		a.Fail(errors.Join(j.addModules(a), j.addTools(a), j.addTests(a)))
	})
}

// addSystem adds init, busybox, and the directories on which init mounts.
func (j *job) addSystem(a *initramfs.Archive) {
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/mnt", "/var/lib", "/var/tmp", "/etc/cni/net.d", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64"} {
		a.Dir(dir)
	}
	for _, link := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(link); err == nil {
			a.Symlink(link, target)
		}
	}
	a.CopyAs(j.init, "/init")
	a.CopyAs(cmp.Or(j.system().find("busybox"), j.busybox), "/usr/bin/busybox")
	a.File("/etc/machine-id", 0o444, []byte("8d7f3a9c5b1e4f60a2c4d6e8f0123456\n"))
	a.File("/etc/hostname", 0o644, []byte("kernels\n"))
	a.File("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))
}

// addModules adds modules of the kernel, with the tables by which modprobe finds them.
func (j *job) addModules(a *initramfs.Archive) error {
	modules := filepath.Join(j.kernel, "lib/modules", j.release)
	if out, err := exec.Command(j.busybox, "depmod", "-b", j.kernel, j.release).CombinedOutput(); err != nil {
		return fmt.Errorf("depmod: %w\n%s", err, out)
	}
	for _, dir := range j.arch().moduleDirs() {
		if from := filepath.Join(modules, "kernel", dir); readable(from) {
			a.Fail(j.addModulesOf(a, from, filepath.Join("/usr/lib/modules", j.release, "kernel", dir)))
		}
	}
	for _, name := range []string{"modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.order"} {
		if from := filepath.Join(modules, name); readable(from) {
			a.CopyAs(from, filepath.Join("/usr/lib/modules", j.release, name))
		}
	}
	return nil
}

// addModulesOf adds the modules of a directory, but for those that the kernel is to lack.
func (j *job) addModulesOf(a *initramfs.Archive, from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !j.lacks(strings.TrimSuffix(e.Name(), ".ko")) {
			a.CopyAs(path, filepath.Join(to, strings.TrimPrefix(path, from)))
		}
		return err
	})
}

// addTools adds the programs with their libraries, and links to busybox for all others.
func (j *job) addTools(a *initramfs.Archive) error {
	if err := j.system().add(a, tools()); err != nil {
		return err
	}
	for _, path := range beside() {
		if readable(path) {
			a.Copy(path)
		}
	}
	applets, err := exec.Command(j.busybox, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("list applets of busybox: %w", err)
	}
	for _, applet := range lines(applets) {
		name := filepath.Base(applet)
		if !a.Has("/usr/bin/"+name) && !a.Has("/usr/sbin/"+name) && !a.Has("/bin/"+name) && !a.Has("/sbin/"+name) {
			a.Symlink("/usr/bin/"+name, "/usr/bin/busybox")
		}
	}
	a.Symlink("/usr/sbin/modprobe", "/usr/bin/busybox")
	return nil
}

// addTests adds the compiled tests, the files of the repository, the plugin under test and the reference plugins.
func (j *job) addTests(a *initramfs.Archive) error {
	m := machine{Bench: j.bench, Port: j.arch().port, Limit: (j.timeout / 2).String(), Environment: []string{
		"PATH=/usr/sbin:/usr/bin", "HOME=/root", "USER=root", "CI=true", "PATCHBAY_EMULATED=true", "LANG=C", "PATCHBAY_BIN=" + j.plugin, "PATCHBAY_CACHE_BIN=" + j.plugins,
	}}
	for _, pkg := range j.packages {
		program := filepath.Join(j.tests, strings.ReplaceAll(pkg, "/", "-")+".test")
		m.Tests = append(m.Tests, compiled{
			Package: pkg, Program: program, Dir: filepath.Join(j.root, pkg), Run: cmp.Or(j.run, j.narrowed()[pkg]), Skip: skipPattern(j.except(pkg)),
		})
		a.Copy(program)
	}
	for _, dir := range []string{"docs", "conf", "pkg", "plugins", "test", "README.md", "go.mod"} {
		a.Copy(filepath.Join(j.root, dir))
	}
	a.Copy(j.plugin)
	for _, name := range []string{"bridge", "host-local", "static", "loopback", "macvlan", "ptp", "portmap", "firewall", "tuning", "bandwidth", "sbr", "dhcp", "multus"} {
		if path := filepath.Join(j.plugins, name); readable(path) {
			a.Copy(path)
		}
	}
	text, err := json.Marshal(m)
	a.File("/machine.json", 0o644, text)
	return err
}

func readable(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lines returns the lines of a text that are not empty.
func lines(text []byte) (found []string) {
	for line := range bytes.Lines(text) {
		if s := string(bytes.TrimSpace(line)); s != "" {
			found = append(found, s)
		}
	}
	return found
}
