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

// room is where the programs of one firewall live: the host's network and files, but a process and a mount namespace of their own.
// In it, /usr, /etc and /opt have what Debian's packages bring above what the machine has, and a layer of tmpfs above both. All its
// processes end with the first, a shell that is told what to start.
type room struct {
	h     *nettest.Node
	dir   string // of logs, the same seen from inside and outside
	env   []string
	enter []string // the command that leads into it
	in    io.WriteCloser
	out   *bufio.Reader
}

// open makes a room for the packages of some sets of scripts/lib.sh; of each, program must be there. The test is skipped without
// it, and fails in CI.
func open(t testing.TB, h *nettest.Node, programs ...string) *room {
	t.Helper()
	r := &room{h: h, dir: t.TempDir()}
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
	r.ask(t, furnish(layers))
	return r
}

// begin starts the shell.
func (r *room) begin(t testing.TB) {
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
		t.Fatalf("make namespaces for a firewall: %v", err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		_ = in.Close()
		_ = sh.Wait() // the status is the last command's; when it ends, all others have ended
	})
	proc := fmt.Sprintf("/proc/%d/ns/", sh.Process.Pid)
	r.enter = []string{"--mount=" + proc + "mnt", "--pid=" + proc + "pid", "--", "sh", "-ec"}
	r.h.Disregard(sh.Process.Pid)
}

// furnish is the script that puts layers over the machine's directories. A mount that was made private is nobody else's.
func furnish(layers []string) string {
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
		// Some packages have a /lib beside /usr/lib, which on the machine is one directory.
		fmt.Fprintf(&s, " && if [ -d %[1]s/lib ]; then cp -a %[1]s/lib/. /usr/lib/; fi", l)
	}
	s.WriteString(" && mount -t tmpfs tmpfs /var/log && ldconfig")
	return s.String()
}

// ask has the first shell run a line, and waits until it has. What the shell starts by "&" stays.
func (r *room) ask(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintf(r.in, "if %s; then echo yes; else echo no; fi\n", line); err != nil {
		t.Fatalf("firewall's shell: %v", err)
	}
	if answer, err := r.out.ReadString('\n'); err != nil || answer != "yes\n" {
		t.Fatalf("firewall's shell: %q %v: %s", answer, err, line)
	}
}

// run runs a line in a shell of its own.
func (r *room) run(t testing.TB, line string) string {
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

// daemon is a program that runs in a room.
type daemon struct {
	*room
	name, line string
}

// start starts a program, and waits until a command succeeds: none of these programs tells in another way that it is ready.
func (r *room) start(t testing.TB, name, line, ready string) *daemon {
	t.Helper()
	d := &daemon{room: r, name: name, line: line}
	d.again(t, ready)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", name, d.said())
		}
	})
	return d
}

// again starts it, the first time or another.
func (d *daemon) again(t testing.TB, ready string) {
	t.Helper()
	d.ask(t, fmt.Sprintf("{ %s </dev/null >>%s 2>&1 & } && echo $! >%s", d.line, d.file("log"), d.file("pid")))
	const wait = `i=0; until timeout 20 %s >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 300 ] || exit 1; kill -0 $(cat %s); sleep 0.2; done`
	d.run(t, fmt.Sprintf(wait, ready, d.file("pid")))
}

// stop ends the program as its service manager would, and waits for its end.
func (d *daemon) stop(t testing.TB) {
	t.Helper()
	d.ask(t, fmt.Sprintf("pid=$(cat %s) && kill $pid && { wait $pid || true; }", d.file("pid")))
}

func (d *daemon) file(what string) string { return filepath.Join(d.dir, d.name+"."+what) }

// said is the end of its log.
func (d *daemon) said() string {
	text, _ := os.ReadFile(d.file("log"))
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
