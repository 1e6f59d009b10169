package hostfw

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// environment is the process and mount namespace of a firewall's programs, with the host's network namespace and files. Overlays on /usr, /etc and
// /opt combine the unpacked Debian packages with the files of the machine; changes go to a tmpfs. All processes end with the first, a shell that
// starts the programs.
type environment struct {
	h     *nettest.Node
	dir   string // of logs; the same path inside and outside
	env   []string
	enter []string // arguments of nsenter
	in    io.WriteCloser
	out   *bufio.Reader
}

// open creates an environment with the package sets of scripts/lib.sh ("ufw/usr/sbin/ufw" is set ufw). Without a program the test is skipped, and
// in CI it fails.
func open(t testing.TB, h *nettest.Node, programs ...string) *environment {
	t.Helper()
	r := &environment{h: h, dir: t.TempDir()}
	var layers, paths []string
	for _, program := range programs {
		set, _, _ := strings.Cut(program, "/")
		top := strings.TrimSuffix(nettest.Program(t, filepath.Join("..", "pkg", program)), strings.TrimPrefix(program, set))
		layers = append(layers, top)
		paths = append(paths, filepath.Join(top, "usr/sbin"), filepath.Join(top, "usr/bin"))
	}
	paths = append(paths, os.Getenv("PATH"), "/usr/sbin", "/sbin")
	r.env = append(os.Environ(), "PATH="+strings.Join(paths, ":"), "HOME=/run", "PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8")
	r.begin(t)
	r.ask(t, mountScript(layers))
	return r
}

// begin starts the shell.
func (r *environment) begin(t testing.TB) {
	t.Helper()
	sh := r.h.Command("sh")
	sh.Env, sh.Stderr = r.env, os.Stderr
	sh.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := sh.StdoutPipe()
	if err == nil {
		err = sh.Start()
	}
	if err != nil {
		t.Fatalf("create namespaces for a firewall: %v", err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		_ = in.Close()
		_ = sh.Wait() // when the shell has ended, all other processes have ended; its status does not matter
	})
	proc := fmt.Sprintf("/proc/%d/ns/", sh.Process.Pid)
	r.enter = []string{"--mount=" + proc + "mnt", "--pid=" + proc + "pid", "--", "sh", "-ec"}
	r.h.Disregard(sh.Process.Pid)
}

// mountScript returns the script that mounts the overlays. Private mounts do not propagate to the machine.
func mountScript(layers []string) string {
	var s strings.Builder
	s.WriteString("mount --make-rprivate / && mount -t proc proc /proc && layer=$(mktemp -d /run/hostfw.XXXXXX)")
	for _, dir := range []string{"/usr", "/etc", "/opt"} {
		lower := dir
		for _, l := range layers {
			if info, err := os.Stat(l + dir); err == nil && info.IsDir() {
				lower = l + dir + ":" + lower
			}
		}
		fmt.Fprintf(&s, " && mkdir -p $layer%[1]s $layer%[1]s.work && mount -t overlay overlay -o lowerdir=%[2]s,upperdir=$layer%[1]s,workdir=$layer%[1]s.work %[1]s", dir, lower)
	}
	for _, l := range layers {
		// Some packages have /lib and /usr/lib, which are one directory on the machine.
		fmt.Fprintf(&s, " && if [ -d %[1]s/lib ]; then cp -a %[1]s/lib/. /usr/lib/; fi", l)
	}
	s.WriteString(" && mount -t tmpfs tmpfs /var/log && ldconfig")
	return s.String()
}

// ask runs a line in the first shell and waits for it. Programs started with "&" continue.
func (r *environment) ask(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintf(r.in, "if %s; then echo yes; else echo no; fi\n", line); err != nil {
		t.Fatalf("firewall's shell: %v", err)
	}
	if answer, err := r.out.ReadString('\n'); err != nil || answer != "yes\n" {
		t.Fatalf("firewall's shell: %q %v: %s", answer, err, line)
	}
}

// run runs a line in a new shell.
func (r *environment) run(t testing.TB, line string) string {
	t.Helper()
	cmd := r.h.Command("nsenter", append(r.enter, line)...)
	cmd.Env = r.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, out, stderr.String())
	}
	return string(out)
}

// daemon is a program in an environment.
type daemon struct {
	*environment
	name, line string
}

// start starts a program and polls a command until it succeeds: none of these programs reports readiness otherwise.
func (r *environment) start(t testing.TB, name, line, ready string) *daemon {
	t.Helper()
	d := &daemon{environment: r, name: name, line: line}
	d.again(t, ready)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", name, d.said())
		}
	})
	return d
}

// again starts the program.
func (d *daemon) again(t testing.TB, ready string) {
	t.Helper()
	d.ask(t, fmt.Sprintf("{ %s </dev/null >>%s 2>&1 & } && echo $! >%s", d.line, d.file("log"), d.file("pid")))
	const wait = `i=0; until timeout 20 %s >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 300 ] || exit 1; kill -0 $(cat %s); sleep 0.2; done`
	d.run(t, fmt.Sprintf(wait, ready, d.file("pid")))
}

// stop sends SIGTERM, as the service manager would, and waits for the end of the program.
func (d *daemon) stop(t testing.TB) {
	t.Helper()
	d.ask(t, fmt.Sprintf("pid=$(cat %s) && kill $pid && { wait $pid || true; }", d.file("pid")))
}

func (d *daemon) file(what string) string { return filepath.Join(d.dir, d.name+"."+what) }

// said returns the last lines of the log.
func (d *daemon) said() string {
	text, _ := os.ReadFile(d.file("log"))
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
