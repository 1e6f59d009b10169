package commands

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
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestUpAndDown: up creates a namespace as `ip netns add` does, with loopback up and a default route; down leaves
// nothing of it.
//
// Claim: `patchbay up` creates a namespace as `ip netns add` does and attaches it; two reach each other and the outside by NAT with no
// network configured; `down` leaves nothing behind
func TestUpAndDown(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "what up says", l.ok(t, "up", "web"), "web: eth0 10.77.0.2/24, bridge patchbay0, network patchbay\n")
	expect.Contains(t, l.in(t, "web", "ip", "-br", "address"), "127.0.0.1/8", "10.77.0.2/24")
	expect.Contains(t, l.in(t, "web", "ip", "route"), "default via 10.77.0.1 dev eth0")
	expect.Contains(t, l.in(t, "web", "ls", "/sys/class/net"), "eth0")
	l.ping(t, "web", "10.77.0.1")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 detached from network patchbay, released 10.77.0.2/24\nweb: namespace deleted\n")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	l.NoLeaks(t)
}

// TestUpMakesTheDirectory: up creates /run/netns as `ip netns add` does, as a shared mount, so that an unmount takes
// effect in every mount namespace.
//
// Claim: `patchbay up` creates a namespace as `ip netns add` does and attaches it; two reach each other and the outside by NAT with no
// network configured; `down` leaves nothing behind
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

// pipes starts a program and returns a function that writes to it and one that reads its lines.
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

// TestTwoReachEachOtherAndTheOutside: the outside has no route back to the namespaces and replies to the host.
//
// Claim: `patchbay up` creates a namespace as `ip netns add` does and attaches it; two reach each other and the outside by NAT with no
// network configured; `down` leaves nothing behind
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

// TestUpRunsAProgram: with up's standard input, outputs and environment, in the namespace; everything is deleted at
// its end.
//
// Claim: `up NAME -- CMD` passes input, output, signals and exit status on, and removes everything however CMD ends
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

// TestUpExitCodes: up exits with the code of the program, as a shell does.
//
// Claim: `up NAME -- CMD` passes input, output, signals and exit status on, and removes everything however CMD ends
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

// TestUpForwardsSignals: to the program; everything is deleted, however the program ends.
//
// Claim: `up NAME -- CMD` passes input, output, signals and exit status on, and removes everything however CMD ends
func TestUpForwardsSignals(t *testing.T) {
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
			_ = cmd.Wait() // the exit code is compared
			expect.Equal(t, "exit", exitOf(cmd), tt.exit)
			expect.Equal(t, "namespaces", l.pins(t), []string{})
			l.NoLeaks(t)
		})
	}
}

// TestUpKilled: SIGKILL of up also kills its program, and down deletes the rest.
//
// Claim: `up NAME -- CMD` passes input, output, signals and exit status on, and removes everything however CMD ends
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
	l.ok(t, "gc") // gc keeps it: its namespace exists
	expect.Equal(t, "states", l.states(t), map[string]string{"job": "up"})
	l.ok(t, "down", "job")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestUpThatFails leaves no namespace behind.
//
// Claim: A failed `up` leaves nothing behind; invalid names and words change nothing
func TestUpThatFails(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.refused(t, []string{"10.99.0.1 is outside of the network's ranges: 10.77.0.1-10.77.0.254"}, "up", "db", "--ip", "10.99.0.1")
	l.refused(t, []string{"10.77.0.2 is taken by"}, "up", "db", "--ip", "10.77.0.2")
	l.refused(t, []string{"network namespace web already exists", "patchbay attach web", "patchbay down web"}, "up", "web")
	expect.Equal(t, "exit beside a program", l.run(t, "up", "web", "--", "true").exit, 1)
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up"})
	l.ok(t, "down", "web")
}

// TestUpAgain: the same name gets the same MAC, and the requested address.
//
// Claim: `patchbay up` creates a namespace as `ip netns add` does and attaches it; two reach each other and the outside by NAT with no
// network configured; `down` leaves nothing behind
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

// TestDownKeepsForeignNamespace: down only detaches a namespace that up did not create, and says so; also if the name
// is that of another namespace now.
//
// Claim: `down` deletes a namespace only if `up` created it and it is still the same one
func TestDownKeepsForeignNamespace(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "ip", "netns", "add", "mine")
	l.refused(t, []string{"patchbay up did not create namespace mine", "ip netns del mine"}, "down", "mine")
	l.ok(t, "attach", "mine")
	expect.Contains(t, l.ok(t, "down", "mine"), "mine: eth0 detached from network patchbay", "namespace kept, patchbay up did not create it (ip netns del mine deletes it)")
	l.ok(t, "up", "web")
	l.Run(t, "ip", "netns", "del", "web")
	l.Run(t, "ip", "netns", "add", "web")
	expect.Contains(t, l.ok(t, "down", "web"), "web: eth0 detached from network patchbay", "namespace kept")
	expect.Equal(t, "namespaces", sorted(l.pins(t)), []string{"mine", "web"})
	l.Run(t, "ip", "netns", "del", "mine")
	l.Run(t, "ip", "netns", "del", "web")
}

// TestDownOfNothing: the error says that there is no such namespace, and suggests a similar name.
//
// Claim: `down` deletes a namespace only if `up` created it and it is still the same one
func TestDownOfNothing(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.refused(t, []string{"network namespace wab not found\n"}, "down", "wab")
	l.ok(t, "up", "web")
	l.refused(t, []string{"network namespace wab not found; did you mean web?"}, "down", "wab")
	l.refused(t, []string{"needs a name, not the path"}, "down", "/run/netns/web")
	l.ok(t, "down", "web")
	l.refused(t, []string{"network namespace web not found"}, "down", "web")
}

// TestDownOfDeletedNamespace: the name was deleted with ip(8); down deletes the rest.
//
// Claim: `down` deletes a namespace only if `up` created it and it is still the same one
func TestDownOfDeletedNamespace(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.Run(t, "ip", "netns", "del", "web")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 detached from network patchbay, released 10.77.0.2/24\n")
}

// TestDownOfUnmountedName: the file of the name exists but no namespace is mounted on it, as after a reboot if /run is
// kept.
//
// Claim: `down` deletes a namespace only if `up` created it and it is still the same one
func TestDownOfUnmountedName(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.Run(t, "umount", "/run/netns/web")
	l.refused(t, []string{"already exists"}, "up", "web")
	expect.Equal(t, "what down says", l.ok(t, "down", "web"), "web: eth0 detached from network patchbay, released 10.77.0.2/24\nweb: namespace deleted\n")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestAnotherIPAMPlugin: up calls it as a runtime does, to assign the address and to release it. It does not call the
// other plugins of a list, and says so.
//
// Claim: Commands call another IPAM plugin as a runtime does; they do not call the other plugins of a list, and say so
func TestAnotherIPAMPlugin(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	file := filepath.Join(l.conf, "net.conflist")
	const conf = `{"cniVersion": "1.0.0", "name": "net", "plugins": [
		{"type": "patchbay", "bridge": "cni0", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.3.0.0/24"}]]}}, {"type": "portmap"}]}`
	write(t, file, conf)
	dir := filepath.Dir(nettest.Program(t, "host-local"))
	for _, command := range []string{"up web --network net", "up db --network net", "down web", "down db"} {
		cmd := l.command(t, strings.Fields(command)...)
		cmd.Env = append(cmd.Env, "CNI_PATH="+dir)
		a := finish(t, cmd)
		if a.exit != 0 {
			t.Fatalf("%s: %+v", command, a)
		}
		switch command {
		case "up web --network net":
			expect.Equal(t, "stderr", a.stderr, "patchbay: network net: other plugins of the list are not called: portmap\n")
			expect.Equal(t, "stdout", a.stdout, "web: eth0 10.3.0.2/24, bridge cni0, network net\n")
			expect.Equal(t, "file of the address", l.Run(t, "cat", "/var/lib/cni/networks/net/10.3.0.2"), "web\r\neth0")
		case "up db --network net":
			l.ping(t, "db", "10.3.0.2")
		}
	}
}

// TestBadNames: they are refused before anything is created.
//
// Claim: A failed `up` leaves nothing behind; invalid names and words change nothing
func TestBadNames(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for _, name := range []string{"../x", "-", "a b", ".", "é", strings.Repeat("x", 65)} {
		l.refused(t, []string{"invalid namespace name"}, "up", name)
	}
	l.refused(t, []string{"up needs at least one name"}, "up")
	l.refused(t, []string{"invalid namespace name"}, "up", "web", "../x")
	l.refused(t, []string{"up needs at least one name"}, "up", "web", "")
	l.refused(t, []string{"is not an IP address"}, "up", "web", "--ip", "10.77.0")
	l.refused(t, []string{"unknown flag --nosuch"}, "up", "web", "--nosuch")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	l.NoLeaks(t)
}
