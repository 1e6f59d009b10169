package delegated

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// answers adds commands to the ADD of a fake.
func answers(commands string) string { return `[ "$CNI_COMMAND" != ADD ] || { ` + commands + "; }" }

func prints(result string) string { return answers(`echo '` + result + `'`) }

// TestBadAnswers: the error is one sentence that names plugin and path, the plugin gets a DEL for what it may have
// reserved, and nothing is left.
//
// Claim: An IPAM plugin that is killed, prints an invalid result, nothing, too much, or an error gives one sentence that names it, and
// nothing is left behind
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	const again = 11
	for _, tc := range []struct {
		name, commands string
		code           uint
		msg, details   string
	}{
		{"killed in the middle", answers("kill -9 $$"), codeIPAM, "ended by signal 9 (killed)", "call DEL to release what it may have reserved"},
		{"garbage", answers("echo this is no JSON; echo why it is so >&2"), codeIPAM, "invalid output (this is no JSON", "on stderr it said: why it is so"},
		{"a list", answers("echo []"), codeIPAM, "invalid output ([])", "call DEL to release what it may have reserved"},
		{"nothing", answers("true"), codeIPAM, "no output", "call DEL to release what it may have reserved"},
		{"nothing, and fails", answers("echo out of order >&2; exit 3"), codeIPAM, "no output and exit status 3", "out of order"},
		{"garbage, and fails", answers("echo oops; exit 3"), codeIPAM, "invalid output and exit status 3: oops", ""},
		{"5 MB", answers("head -c 5000000 /dev/zero | tr '\\0' x"), codeIPAM, "invalid output of more than 4194304 bytes", ""},
		{"code 11", answers(`echo '` + refuses + `'; exit 1`), again, ": the server is asleep", "wake it"},
		{"an unknown version", prints(`{"cniVersion": "7.0.0", "ips": []}`), codeIPAM, "invalid output: ", "7.0.0"},
		{"a wrong shape", prints(`{"cniVersion": "1.0.0", "ips": "10.1.0.2"}`), codeIPAM, "invalid output: ", ""},
		{"null in a list", prints(`{"cniVersion": "1.0.0", "ips": [null]}`), codeIPAM, "invalid output: ips: a member is null", ""},
		{"no address", prints(`{"cniVersion": "1.0.0"}`), codeIPAM, "it contains no IP address", ""},
		{"an address twice", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}, {"address": "10.1.0.2/24"}]}`), codeIPAM, "IP address 10.1.0.2 occurs twice", ""},
		{"multicast", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "224.0.0.5/24"}]}`), codeIPAM, "224.0.0.5 is not a unicast address", ""},
		{"unspecified", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "::/64"}]}`), codeIPAM, ":: is not a unicast address", ""},
		{"a gateway of another family", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24", "gateway": "fd00::1"}]}`), codeIPAM, "gateway fd00::1 of 10.1.0.2/24 is not a unicast address of the same family", ""},
		{"a route by another family", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "10.0.0.0/8", "gw": "fd00::1"}]}`), codeIPAM, "gateway fd00::1 of the route to 10.0.0.0/8 is not a unicast address of the same family", ""},
		{"a route by nobody", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "10.0.0.0/8", "gw": "224.0.0.1"}]}`), codeIPAM, "gateway 224.0.0.1 of the route to 10.0.0.0/8 is not a unicast address of the same family", ""},
		{"a route the kernel refuses", prints(`{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "10.0.0.0/8", "gw": "10.1.0.3", "scope": 254}]}`), 999, "10.0.0.0/8 via 10.1.0.3", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, tc.commands)
			e := s.fails("ADD", tc.code, tc.msg)
			expect.Contains(t, e.Msg+e.Details, tc.details)
			if tc.code != 999 {
				expect.Contains(t, e.Msg, "IPAM plugin fake ("+s.bin+"/fake)")
			}
			expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
			s.nothingLeft()
			s.ok("DEL")
		})
	}
}

// TestResultsOfAnotherVersion: results of another version than the configuration's are accepted, and returned in the
// configuration's version.
//
// Claim: The result of an IPAM plugin may be of any version, also another than the configuration's
func TestResultsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for version, result := range map[string]string{
		"0.2.0": `{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": [{"dst": "10.9.0.0/16"}]}, "ip6": {"ip": "fd00:1::2/64"}}`,
		"0.4.0": `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"version": "6", "address": "fd00:1::2/64"}], "routes": [{"dst": "10.9.0.0/16"}]}`,
		"1.0.0": `{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 7}, {"address": "fd00:1::2/64"}], "routes": [{"dst": "10.9.0.0/16"}], "interfaces": [{"name": "no"}]}`,
		"none":  `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::2/64"}], "routes": [{"dst": "10.9.0.0/16"}]}`,
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, prints(result))
			answer := s.run("ADD")
			r := answer.Result(t)
			expect.Contains(t, string(answer.Stdout), `"cniVersion": "1.1.0"`)
			expect.Equal(t, "addresses", ips(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
			expect.Equal(t, "interfaces", []int{len(r.Interfaces), *r.IPs[0].Interface}, []int{3, 2})
			expect.Contains(t, s.c.Run(t, "ip", "route"), "10.9.0.0/16 via 10.1.0.1 dev eth0")
			s.ok("DEL")
			s.nothingLeft()
		})
	}
}

// TestProgramsThatCannotRun: ADD fails before it changes anything, or leaves nothing.
//
// Claim: An IPAM plugin that is missing, not executable or of another architecture is named in the error, and nothing is changed
func TestProgramsThatCannotRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		mode    os.FileMode
		ipam    string
		code    uint
		msg     string
	}{
		"missing":                 {"", 0, "absent", codeIPAM, "IPAM plugin absent: not found in CNI_PATH"},
		"not executable":          {"#!/bin/sh\n", 0o644, "bad", codeIPAM, "bad): not executable"},
		"of another architecture": {foreignELF(), 0o755, "bad", codeIPAM, "bad): not an executable for this machine"},
		"of another system":       {"MZ...", 0o755, "bad", codeIPAM, "bad): not an executable for this machine"},
		"without interpreter":     {"#!/nowhere/sh\n", 0o755, "bad", codeIPAM, "bad): start failed (fork/exec"},
		"a path":                  {"", 0, "../bin/true", 7, `ipam.type "../bin/true": invalid plugin name`},
		"a directory":             {"", 0, ".", 7, `ipam.type ".": invalid plugin name`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			s := on(t, h, h.Container("c"), withIPAM(cni.Conf{"type": tc.ipam}))
			if tc.mode != 0 {
				if err := os.WriteFile(filepath.Join(s.bin, "bad"), []byte(tc.content), tc.mode); err != nil {
					t.Fatal(err)
				}
			}
			s.fails("ADD", tc.code, tc.msg)
			s.nothingLeft()
			expect.Contains(t, string(s.run("DEL").OK(t).Stderr), "assuming that it reserved no address")
		})
	}
}

// foreignELF is the ELF header of a program for SPARC.
func foreignELF() string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x02\x01")
	binary.BigEndian.PutUint16(head[16:], 2)  // ET_EXEC
	binary.BigEndian.PutUint16(head[18:], 43) // EM_SPARCV9
	binary.BigEndian.PutUint32(head[20:], 1)
	return string(head)
}

// hanging starts the ADD of a fake that prints its process ID and then never ends.
func hanging(t *testing.T) (s *scene, running *nettest.Running, fakePID int) {
	t.Helper()
	s = scripted(t, "")
	fifo := filepath.Join(s.bin, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s.script(answers(`echo $$ >` + fifo + `; exec sleep 600`))
	running = s.h.StartCNI(t, s.call("ADD"))
	text, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	fakePID, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return s, running, fakePID
}

// ends waits for the end of a process.
func ends(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const patience = 5000 // milliseconds
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience); n != 1 || err != nil {
		t.Errorf("the plugin still runs: %d, %v", n, err)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// TestSignalEndsAHangingPlugin: a signal ends the plugin with the ADD, and DEL calls the plugin to release the
// address.
//
// Claim: SIGTERM ends a verb as SIGKILL does: at any changing call of ADD, DEL or GC the next DEL or ADD leaves nothing behind
// Claim: An IPAM plugin that hangs is killed at a deadline, and when the ADD is killed, also with SIGKILL
func TestSignalEndsAHangingPlugin(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s, running, pid := hanging(t)
			expect.Contains(t, s.record(), `"ipamType": "fake"`, `"ipam": "pending"`)
			if err := running.Signal(signal); err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "exit", running.Wait(t).Exit, -1)
			ends(t, pid)
			s.ok("DEL")
			expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
			s.nothingLeft()
		})
	}
}

// TestKilledAddKillsThePlugin: otherwise it could reserve an address after the DEL that follows.
//
// Claim: An IPAM plugin that hangs is killed at a deadline, and when the ADD is killed, also with SIGKILL
// Claim: An ADD over a stale attachment lets its IPAM plugin release the addresses, then allocates again
func TestKilledAddKillsThePlugin(t *testing.T) {
	t.Parallel()
	for name, clean := range map[string]func(*scene){
		"DEL":                    func(s *scene) { s.ok("DEL") },
		"DEL without the plugin": func(s *scene) { s.link("fake", "/nowhere"); s.ok("DEL") },
		"GC": func(s *scene) {
			s.conf["cni.dev/valid-attachments"] = []cni.Conf{}
			s.ok("GC")
		},
		"ADD and DEL": func(s *scene) { s.script(gives); s.add(); s.ok("DEL") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, running, pid := hanging(t)
			if err := running.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			running.Wait(t)
			ends(t, pid)
			expect.Contains(t, s.record(), `"ipam": "pending"`)
			clean(s)
			s.nothingLeft()
		})
	}
}

// TestBackgroundProcessOfPlugin: ADD does not wait for a process that keeps the plugin's outputs open.
//
// Claim: A program that an IPAM plugin leaves running blocks nothing
func TestBackgroundProcessOfPlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, "")
	pidFile := filepath.Join(s.bin, "pid")
	s.script(answers(`sleep 600 & echo $! >` + pidFile + `; echo "left one behind" >&2; ` + `echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]}'`))
	answer := s.run("ADD")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("what was left behind does not run any more, this test shows nothing: %v", err)
	}
	expect.Equal(t, "addresses", ips(answer.Result(t)), []string{"10.1.0.2/24"})
	expect.Contains(t, string(answer.Stderr), "left one behind")
	s.ok("DEL")
	s.nothingLeft()
}

// TestContainerInterfaceThatStaysDown: disableContainerInterface is refused with any IPAM plugin.
func TestContainerInterfaceThatStaysDown(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.conf["disableContainerInterface"] = true
	s.fails("ADD", 7, "disableContainerInterface: cannot be true together with ipam")
	expect.Equal(t, "calls", s.calls(), nil)
}
