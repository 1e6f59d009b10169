package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// initMachine is init of the virtual machine: it mounts, loads modules, runs the tests one after another, and powers off.
func initMachine() {
	var m machine
	text, err := os.ReadFile("/machine.json")
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil {
		err = m.run()
	}
	if err != nil {
		fmt.Println("init:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// run runs the tests, with what they print on the serial port.
func (m *machine) run() error {
	out, err := setUp(m.Port)
	if err != nil {
		return err
	}
	return m.tests(out)
}

// mounts are those that systemd would make.
func mounts() [][3]string {
	return [][3]string{
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"devtmpfs", "/dev", "devtmpfs"},
		{"devpts", "/dev/pts", "devpts"},
		{"tmpfs", "/dev/shm", "tmpfs"},
		{"tmpfs", "/run", "tmpfs"},
		{"tmpfs", "/tmp", "tmpfs"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2"},
	}
}

// modules are what a distribution has loaded; the kernel loads others on demand.
func modules() []string {
	return []string{"bridge", "br_netfilter", "veth", "8021q", "nf_tables", "nf_conntrack", "nf_conntrack_netlink", "nfnetlink", "macvlan", "af_packet", "tun", "vxlan"}
}

// hooks keep the static keys of netfilter and of traffic control (Documentation/staging/static-keys.rst) switched on. The kernel patches its code
// when the first namespace needs a hook and when the last one needs none; while one emulated CPU executes that code, the other's patch ends in an
// "Oops: int3" now and then.
const hooks = `
table inet hooks {
	chain prerouting { type filter hook prerouting priority 0; }
	chain input { type filter hook input priority 0; }
	chain forward { type filter hook forward priority 0; }
	chain output { type filter hook output priority 0; }
	chain postrouting { type filter hook postrouting priority 0; }
}
table bridge hooks {
	chain prerouting { type filter hook prerouting priority 0; }
	chain input { type filter hook input priority 0; }
	chain forward { type filter hook forward priority 0; }
	chain output { type filter hook output priority 0; }
	chain postrouting { type filter hook postrouting priority 0; }
}
`

// setUp returns the serial port that the tests print to.
func setUp(port string) (*os.File, error) {
	for _, m := range mounts() {
		_ = os.MkdirAll(m[1], 0o755)
		if err := unix.Mount(m[0], m[1], m[2], 0, ""); err != nil && !errors.Is(err, unix.EBUSY) { // devtmpfs may be mounted
			return nil, fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	out, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin"); err != nil {
		return nil, err
	}
	if text, err := exec.Command("stty", "-F", port, "raw", "-echo", "-opost", "115200").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("stty: %w: %s", err, text)
	}
	for _, name := range modules() {
		if text, err := exec.Command("modprobe", name).CombinedOutput(); err != nil {
			fmt.Printf("modprobe %s: %v: %s\n", name, err, text)
		}
	}
	for _, command := range [][]string{{"ip", "link", "set", "lo", "up"}, {"tc", "qdisc", "add", "dev", "lo", "clsact"}, {"nft", "-f", "-"}} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(hooks) // of nft; the others read nothing
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, text)
		}
	}
	return out, unix.Sethostname([]byte("kernels"))
}

// tests runs every compiled test.
func (m *machine) tests(out io.Writer) error {
	for _, test := range m.Tests {
		args := []string{"-test.v=test2json", "-test.timeout=" + m.Limit, "-test.run=" + test.Run, "-test.skip=" + test.Skip}
		if m.Bench != "" {
			args = append(args, "-test.bench="+m.Bench, "-test.benchtime=50x")
		}
		cmd := exec.Command(test.Program, args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = test.Dir, append(m.Environment, "PWD="+test.Dir), out, out
		fmt.Fprintf(out, "%s%s\n", beginMark, test.Package)
		begun := time.Now()
		err := cmd.Run()
		if err != nil {
			fmt.Fprintf(out, "exit: %v after %s\n", err, time.Since(begun).Round(time.Second))
		}
		fmt.Fprintf(out, "\n%s%s %d\n", endMark, test.Package, cmd.ProcessState.ExitCode())
	}
	_, err := fmt.Fprintln(out, doneMark)
	return err
}
