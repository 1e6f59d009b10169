package people

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestUpAndDown: a namespace as `ip netns add` makes it, with loopback up and a default route; then
// nothing of it.
func TestUpAndDown(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "what up says", l.ok(t, "up", "web"), "web: eth0 10.77.0.2/24, bridge patchbay0, network patchbay\n")
	expect.Contains(t, l.in(t, "web", "ip", "-br", "address"), "127.0.0.1/8", "10.77.0.2/24")
	expect.Contains(t, l.in(t, "web", "ip", "route"), "default via 10.77.0.1 dev eth0")
	expect.Contains(t, l.in(t, "web", "ls", "/sys/class/net"), "eth0")
	l.ping(t, "web", "10.77.0.1")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 is off network patchbay, free: 10.77.0.2/24\n")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	l.NoLeaks(t)
}

// TestUpMakesTheDirectory where nobody has made /run/netns, as `ip netns add` does: a mount that is
// shared, so that what is unmounted here is in no other mount namespace either.
func TestUpMakesTheDirectory(t *testing.T) {
	t.Parallel()
	const mount = `awk '$5 == "/run/netns" {print $4, $7}' /proc/self/mountinfo | sed 's/:.*/:/'`
	l := newLaptop(t)
	l.Run(t, "umount", "/run/netns")
	l.Run(t, "ip", "netns", "add", "web")
	theirs := l.Run(t, "sh", "-c", mount)
	l.Run(t, "ip", "netns", "del", "web")
	l.Run(t, "umount", "/run/netns")
	l.Run(t, "rmdir", "/run/netns")
	l.ok(t, "up", "web")
	expect.Equal(t, "mount of /run/netns", l.Run(t, "sh", "-c", mount), theirs)
	expect.Contains(t, theirs, "/netns shared:")
	l.ok(t, "down", "web")
}

// pipes starts a program, with a way to write to it and to read its lines.
func pipes(t *testing.T, cmd *nettest.Cmd) (in *os.File, out *bufio.Scanner) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stdin.(*os.File), bufio.NewScanner(stdout)
}

// TestTwoReachEachOtherAndTheOutside, which has no route back to them: it answers the host.
func TestTwoReachEachOtherAndTheOutside(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.LAN(t)
	l.ok(t, "up", "web")
	l.ok(t, "up", "db")
	l.ping(t, "web", "10.77.0.3")
	l.ping(t, "db", "10.77.0.2")
	l.ping(t, "web", nettest.LANOutside4)
	l.ok(t, "down", "web")
	l.ping(t, "db", nettest.LANOutside4)
	l.ok(t, "down", "db")
}

// TestUpRunsAProgram with our input, outputs and environment, in the namespace, and takes all away.
func TestUpRunsAProgram(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	cmd := l.command(t, "up", "job", "--", "sh", "-c", `cat; ls /sys/class/net; ip -br -4 addr show eth0; env | grep ^CNI_; echo "$1" >&2; exit 7`, "sh", "--network")
	cmd.Stdin = strings.NewReader("from outside\n")
	cmd.Env = append(cmd.Env, "CNI_PATH=/elsewhere")
	a := finish(t, cmd)
	expect.Equal(t, "exit", a.exit, 7)
	expect.Equal(t, "stderr", a.stderr, "job: eth0 10.77.0.2/24, bridge patchbay0, network patchbay\n--network\n")
	words := strings.Fields(a.stdout)
	if len(words) < 7 || !strings.HasPrefix(words[4], "eth0") || words[6] != "10.77.0.2/24" {
		t.Fatalf("stdout: %q", a.stdout)
	}
	expect.Equal(t, "input and links", words[:4], []string{"from", "outside", "eth0", "lo"})
	expect.Equal(t, "environment", words[7:], []string{"CNI_PATH=/elsewhere"})
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	l.NoLeaks(t)
}

// TestUpExitCodes are the program's, as a shell has them.
func TestUpExitCodes(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 255": 255, "kill -KILL $$": 137, "kill -PIPE $$": 141} {
		if a := l.run(t, "up", "job", "--", "sh", "-c", script); a.exit != want {
			t.Errorf("%s: exit %d, want %d\n%s", script, a.exit, want, a.stderr)
		}
	}
	for program, want := range map[string]int{"no-such-program": 127, "/": 126, "/etc/hostname": 126} {
		a := l.run(t, "up", "job", "--", program)
		expect.Equal(t, "exit of "+program, a.exit, want)
		expect.Contains(t, a.stderr, "patchbay: ", program)
	}
	expect.Equal(t, "attachments", len(l.list(t)), 0)
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestUpPassesSignalsOn to the program, and takes all away whatever becomes of it.
func TestUpPassesSignalsOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		signal       syscall.Signal
		exit         int
	}{
		{"TERM is caught", `trap "exit 42" TERM; echo; while :; do sleep 0.1; done`, syscall.SIGTERM, 42},
		{"INT is caught", `trap "exit 43" INT; echo; while :; do sleep 0.1; done`, syscall.SIGINT, 43},
		{"HUP kills", `echo; exec sleep 1000`, syscall.SIGHUP, 129},
		{"TERM kills", `echo; exec sleep 1000`, syscall.SIGTERM, 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLaptop(t)
			cmd := l.command(t, "up", "job", "--", "sh", "-c", tt.script)
			_, out := pipes(t, cmd)
			if !out.Scan() {
				t.Fatal("the program did not start")
			}
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the exit code is looked at
			expect.Equal(t, "exit", exitOf(cmd), tt.exit)
			expect.Equal(t, "namespaces", l.pins(t), []string{})
			l.NoLeaks(t)
		})
	}
}

// TestUpKilled with -9 takes its program along, and down takes away what is left.
func TestUpKilled(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	cmd := l.command(t, "up", "job", "--", "sh", "-c", "echo $$; exec sleep 1000")
	_, out := pipes(t, cmd)
	out.Scan()
	pid, err := strconv.Atoi(out.Text())
	if err != nil {
		t.Fatal(err)
	}
	program, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(program)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	const patience = 10000 // ms
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(program), Events: unix.POLLIN}}, patience); n != 1 {
		t.Errorf("the program lives on: %v", err)
	}
	l.ok(t, "gc") // it is no corpse: somebody may have a use for it
	expect.Equal(t, "states", l.states(t), map[string]string{"job": "up"})
	l.ok(t, "down", "job")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestUpThatFails leaves no namespace behind.
func TestUpThatFails(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.refused(t, []string{"10.99.0.1 is in none of the network's ranges"}, "up", "db", "--ip", "10.99.0.1")
	l.refused(t, []string{"10.77.0.2 is taken by"}, "up", "db", "--ip", "10.77.0.2")
	l.refused(t, []string{"a network namespace web exists already", "patchbay attach web", "patchbay down web"}, "up", "web")
	expect.Equal(t, "exit beside a program", l.run(t, "up", "web", "--", "true").exit, 1)
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up"})
	l.ok(t, "down", "web")
}

// TestUpAgain gives the same name the same MAC, and an address that was asked for.
func TestUpAgain(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Contains(t, l.ok(t, "up", "--ip", "10.77.0.50", "web"), "10.77.0.50/24")
	first := l.in(t, "web", "cat", "/sys/class/net/eth0/address")
	l.ok(t, "down", "web")
	expect.Contains(t, l.ok(t, "up", "web", "--ip=10.77.0.51/24"), "10.77.0.51/24")
	expect.Equal(t, "MAC", l.in(t, "web", "cat", "/sys/class/net/eth0/address"), first)
	l.ok(t, "down", "web")
}

// TestDownLeavesWhatUpDidNotMake: it only unplugs it, and says so; also where the name is now
// another namespace's than the one that up has made.
func TestDownLeavesWhatUpDidNotMake(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "ip", "netns", "add", "mine")
	l.refused(t, []string{"patchbay up did not make the namespace mine", "ip netns del mine"}, "down", "mine")
	l.ok(t, "attach", "mine")
	expect.Contains(t, l.ok(t, "down", "mine"), "mine: eth0 is off network patchbay", "the namespace stays, patchbay up did not make it (ip netns del mine)")
	l.ok(t, "up", "web")
	l.Run(t, "ip", "netns", "del", "web")
	l.Run(t, "ip", "netns", "add", "web")
	expect.Contains(t, l.ok(t, "down", "web"), "web: eth0 is off network patchbay", "the namespace stays")
	expect.Equal(t, "namespaces", sorted(l.pins(t)), []string{"mine", "web"})
	l.Run(t, "ip", "netns", "del", "mine")
	l.Run(t, "ip", "netns", "del", "web")
}

// TestDownOfNothing says so, and what was meant.
func TestDownOfNothing(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.refused(t, []string{"there is no network namespace wab\n"}, "down", "wab")
	l.ok(t, "up", "web")
	l.refused(t, []string{"there is no network namespace wab; did you mean web?"}, "down", "wab")
	l.refused(t, []string{"wants a name, not the path"}, "down", "/run/netns/web")
	l.ok(t, "down", "web")
	l.refused(t, []string{"there is no network namespace web"}, "down", "web")
}

// TestDownOfWhatIsGone: the name was taken away by hand; what is left goes.
func TestDownOfWhatIsGone(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.Run(t, "ip", "netns", "del", "web")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 is off network patchbay, free: 10.77.0.2/24\n")
}

// TestDownOfAPinAlone: the mount of the namespace is gone and its file is there, as a reboot leaves it
// where /run outlives one.
func TestDownOfAPinAlone(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.Run(t, "umount", "/run/netns/web")
	l.refused(t, []string{"exists already"}, "up", "web")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 is off network patchbay, free: 10.77.0.2/24\n")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestAnotherIPAMPlugin is called as a runtime calls it, for the address and to to give it back;
// the other plugins of a list are not, and up says so.
func TestAnotherIPAMPlugin(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	file := filepath.Join(l.conf, "net.conflist")
	const conf = `{"cniVersion": "1.0.0", "name": "net", "plugins": [
		{"type": "patchbay", "bridge": "cni0", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.3.0.0/24"}]]}}, {"type": "portmap"}]}`
	write(t, file, conf)
	dir := filepath.Dir(nettest.Program(t, "host-local"))
	for _, command := range []string{"up web", "up db", "down web", "down db"} {
		cmd := l.command(t, strings.Fields(command)...)
		cmd.Env = append(cmd.Env, "CNI_PATH="+dir)
		a := finish(t, cmd)
		if a.exit != 0 {
			t.Fatalf("%s: %+v", command, a)
		}
		switch command {
		case "up web":
			expect.Equal(t, "stderr", a.stderr, "patchbay: network net has further plugins, which are not called: portmap\n")
			expect.Equal(t, "stdout", a.stdout, "web: eth0 10.3.0.2/24, bridge cni0, network net\n")
			expect.Equal(t, "file of the address", l.Run(t, "cat", "/var/lib/cni/networks/net/10.3.0.2"), "web\r\neth0")
		case "up db":
			l.ping(t, "db", "10.3.0.2")
		}
	}
}

// TestBadNames are refused before anything is made.
func TestBadNames(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for _, name := range []string{"../x", "-", "a b", ".", "é", strings.Repeat("x", 65)} {
		l.refused(t, []string{"cannot be the name of a namespace"}, "up", name)
	}
	l.refused(t, []string{"up wants one name, got 0 arguments"}, "up")
	l.refused(t, []string{"up wants one name, got 2 arguments"}, "up", "a", "b")
	l.refused(t, []string{"that is no IP address"}, "up", "web", "--ip", "10.77.0")
	l.refused(t, []string{"flag provided but not defined"}, "up", "web", "--nosuch")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	l.NoLeaks(t)
}
