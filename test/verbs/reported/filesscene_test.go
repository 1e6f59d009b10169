package reported

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// fileHost is a host with a directory of networks, and with files of an unprivileged user.
type fileHost struct {
	*nettest.Node
	t    *testing.T
	conf string // directory of networks
}

// fileUser is an unprivileged user.
const fileUser = "65534"

func newFileHost(t *testing.T) *fileHost {
	t.Helper()
	h := &fileHost{nettest.Host(t), t, ""}
	h.conf = "/run/net.d"
	h.sh("mkdir -p /run/net.d && chmod 0755 /run")
	return h
}

// sh runs a script on the host, in which `user COMMAND...` runs a command as the unprivileged user.
func (h *fileHost) sh(script string, args ...string) string {
	h.t.Helper()
	const user = "user() { setpriv --reuid=" + fileUser + " --regid=" + fileUser + " --clear-groups --bounding-set=-all --inh-caps=-all \"$@\"; }\n"
	return h.Run(h.t, "sh", append([]string{"-ec", user + script, "sh"}, args...)...)
}

// network writes a network's file.
func (h *fileHost) network(name string, conf cni.Conf) {
	h.t.Helper()
	h.put(filepath.Join(h.conf, name+".conflist"), string(cni.Conf{"cniVersion": "1.0.0", "name": name, "plugins": []cni.Conf{conf}}.JSON(h.t)))
}

func (h *fileHost) put(path, text string) {
	h.t.Helper()
	var err error
	h.Do(func() { err = os.WriteFile(path, []byte(text), 0o600) })
	if err != nil {
		h.t.Fatal(err)
	}
}

// patchbay runs a command, which must not wait forever for a file.
func (h *fileHost) patchbay(args ...string) nettest.Answer {
	h.t.Helper()
	cmd := h.Command(nettest.Patchbay(h.t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + h.conf, "LC_ALL=C.UTF-8"}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	hung := time.AfterFunc(patienceOfFiles, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !hung.Stop() {
		h.t.Fatalf("patchbay %q hangs", args)
	}
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return nettest.Answer{Exit: cmd.ProcessState.ExitCode(), Stdout: []byte(stdout.String()), Stderr: []byte(stderr.String())}
}

// patienceOfFiles is longer than any command takes on a busy machine, and ends one that waits forever.
const patienceOfFiles = time.Minute

// printedBy returns all output of a command.
func printedBy(a nettest.Answer) string { return string(a.Stdout) + string(a.Stderr) }

// refuses requires that a command fails with this text.
func (h *fileHost) refuses(words []string, args ...string) string {
	h.t.Helper()
	a := h.patchbay(args...)
	for _, word := range words {
		if a.Exit != 1 || !strings.Contains(printedBy(a), word) {
			h.t.Fatalf("patchbay %q: want exit 1 and %q: %s", args, word, a)
		}
	}
	return printedBy(a)
}

func (h *fileHost) ok(args ...string) string {
	h.t.Helper()
	a := h.patchbay(args...)
	if a.Exit != 0 {
		h.t.Fatalf("patchbay %q: %s", args, a)
	}
	return string(a.Stdout)
}

// cni calls the plugin, which must not wait forever for a file.
func (h *fileHost) cni(call nettest.Call) nettest.Answer {
	h.t.Helper()
	const ended = 124 // the exit code of timeout(1)
	call.Plugin = nettest.Script(h.t, fmt.Sprintf("exec timeout --foreground -s KILL %d %s", int(patienceOfFiles.Seconds()), nettest.Patchbay(h.t)))
	a := h.CNI(h.t, call)
	if a.Exit == ended || a.Exit < 0 || a.Exit > 128 {
		h.t.Fatalf("%s hangs: %s", call.Command, a)
	}
	return a
}

// call returns a call for a container, whose name is its container ID.
func (h *fileHost) call(verb string, c *nettest.Container, conf cni.Conf) nettest.Call {
	h.t.Helper()
	return nettest.Call{Command: verb, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: conf.JSON(h.t), Path: filepath.Dir(nettest.Program(h.t, "static"))}
}

// fails requires that an ADD fails with a code and this text in message or details, and leaves no interface.
func (h *fileHost) fails(c *nettest.Container, conf cni.Conf, code uint, words ...string) {
	h.t.Helper()
	a := h.cni(h.call("ADD", c, conf))
	e := a.Error(h.t)
	for _, word := range words {
		if e.Code != code || !strings.Contains(e.Msg+"; "+e.Details, word) {
			h.t.Fatalf("ADD: want code %d and %q: %s", code, word, a)
		}
	}
	if links := c.Run(h.t, "ip", "-o", "link", "show", "type", "veth"); links != "" {
		h.t.Fatalf("ADD left %s", links)
	}
}

// has requires that a file has a text.
func (h *fileHost) has(path, text string) {
	h.t.Helper()
	if got := h.sh(`cat "$1"`, path); got != text {
		h.t.Errorf("%s has %q, want %q", path, got, text)
	}
}

// rewrite changes the record of an attachment.
func (h *fileHost) rewrite(path string, change func(cni.Conf)) {
	h.t.Helper()
	var record cni.Conf
	if err := json.Unmarshal([]byte(h.sh(`cat "$1"`, path)), &record); err != nil {
		h.t.Fatal(err)
	}
	change(record)
	h.put(path, string(record.JSON(h.t)))
}

// portsOf returns the ports of a bridge.
func (h *fileHost) portsOf(bridge string) string {
	h.t.Helper()
	var names []string
	for line := range strings.Lines(h.Run(h.t, "ip", "-o", "link", "show", "master", bridge)) {
		name, _, _ := strings.Cut(strings.Fields(line)[1], "@")
		names = append(names, strings.TrimSuffix(name, ":"))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// linkOf returns an interface.
func (h *fileHost) linkOf(name string) (l struct {
	IfIndex int
	IfAlias string
},
) {
	h.t.Helper()
	var all []json.RawMessage
	err := json.Unmarshal([]byte(h.Run(h.t, "ip", "-j", "link", "show", "dev", name)), &all)
	if err == nil {
		err = json.Unmarshal(all[0], &l)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// plainText requires that a text has no control characters of a terminal, and no line that begins as given.
func plainText(t *testing.T, what, text, forged string) {
	t.Helper()
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r == '\ufffd' {
			t.Errorf("%s has %U: %q", what, r, text)
			return
		}
	}
	for line := range strings.Lines(text) {
		if forged != "" && strings.HasPrefix(strings.TrimSpace(line), forged) {
			t.Errorf("%s has the line %q", what, line)
		}
	}
}

// cgroups returns a writable cgroup hierarchy of this machine, and the cgroup of its init there.
func cgroups(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	id, dir := "0", ""
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && fields[3] == "/" {
			dir = fields[4]
		}
	}
	if dir == "" {
		t.Fatal("this machine has no cgroup2")
	}
	base, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(base)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), id+"::"); ok {
			dir = filepath.Join(dir, strings.TrimSuffix(path, "/init.scope"))
		}
	}
	return dir
}

// payload starts a process that is PID 1 in a PID namespace, with a network namespace of its own, in a new cgroup. It
// returns its PID and ends it with the test.
func (h *fileHost) payload(cgroup string) string {
	h.t.Helper()
	path := filepath.Join(cgroups(h.t), cgroup)
	if err := os.MkdirAll(path, 0o755); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	h.startFromThread(cmd)
	pid := fmt.Sprint(cmd.Process.Pid)
	h.t.Cleanup(func() {
		// It leaves the cgroup before it ends, because the kernel removes ended processes from one only a moment later.
		err := os.WriteFile(filepath.Join(cgroups(h.t), "cgroup.procs"), []byte(pid), 0o644)
		for dir := path; dir != cgroups(h.t) && err == nil; dir = filepath.Dir(dir) {
			err = os.Remove(dir)
		}
		if err != nil {
			h.t.Error(err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte(pid), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// startFromThread starts a program from a thread that stays until the end of the test: Pdeathsig is sent when the thread that started the program
// ends, and a thread of Go may end at any time (golang.org/issue/27505).
func (h *fileHost) startFromThread(cmd *exec.Cmd) {
	h.t.Helper()
	started, end := make(chan error), make(chan struct{})
	h.t.Cleanup(func() { close(end) })
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		<-end
	}()
	if err := <-started; err != nil {
		h.t.Fatal(err)
	}
}
