package nettest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestHostIsNew(t *testing.T) {
	t.Parallel()
	h := Host(t)
	h.Oracle(CleanHost)
	if got := strings.Fields(h.Run(t, "sh", "-c", "echo /run/* /var/lib/*")); !cmp.Equal(got, []string{"/run/netns", "/var/lib/*"}) {
		t.Errorf("files of a new host: %q", got)
	}
	if diff := cmp.Diff([]string{"lo"}, h.Snapshot().links("")); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if err := h.PingOnce(localhost()); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if got := h.Sysctl(name); got != "0" {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// TestHostOnAnyMachine: what a namespace inherits of a machine whose administrator has set it otherwise does not stay.
//
// Claim: A test host sees nothing of the machine: no networks, name servers or disabled IPv6
func TestHostOnAnyMachine(t *testing.T) {
	t.Parallel()
	h := Host(t)
	Need(t, IPv6)
	inherited := map[string]string{
		"net/ipv4/conf/default/arp_ignore": "2", "net/ipv4/conf/all/rp_filter": "1",
		"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1", "net/ipv6/conf/lo/disable_ipv6": "1",
		"net/ipv6/conf/default/accept_ra": "0",
	}
	want := map[string]string{}
	for name := range inherited {
		want[name] = h.Sysctl(name)
	}
	for name, value := range inherited {
		h.SetSysctl(name, value)
	}
	if err := h.settle(); err != nil {
		t.Fatal(err)
	}
	for name := range inherited {
		if got := h.Sysctl(name); got != want[name] {
			t.Errorf("%s is %s, want %s", name, got, want[name])
		}
	}
	h.Run(t, "ping", "-n", "-c", "1", "-W", "5", "::1")
}

// TestHostHidesConfiguration: networks and name servers of the machine are no test's, and stay as they are.
//
// Claim: A test host sees nothing of the machine: no networks, name servers or disabled IPv6
func TestHostHidesConfiguration(t *testing.T) {
	t.Parallel()
	Root(t)
	for name, machine := range map[string]string{
		"directories": "mkdir -p /etc/cni/net.d /etc/netns/web && echo {} >/etc/cni/net.d/10-other.conflist && echo nameserver 127.0.0.53 >/etc/resolv.conf",
		"links":       "mkdir -p /opt/net.d /etc/cni && ln -s /opt/net.d /etc/cni/net.d && echo {} >/opt/net.d/10-other.conf && ln -s /opt/resolv.conf /etc/resolv.conf && echo nameserver 127.0.0.53 >/opt/resolv.conf",
		"nothing":     "true",
	} {
		th, err := startThread(func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			script := "mount --make-rprivate / && mount -t tmpfs tmpfs /opt && mount -t tmpfs tmpfs /etc && " + machine
			if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return mountOwn()
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		th.do(func() {
			out, err := exec.Command("sh", "-c", "cat /etc/resolv.conf; ls /etc/cni/net.d /etc/netns").Output()
			if strings.Contains(string(out), "127.0.0.53") || strings.Contains(string(out), "10-other") || strings.Contains(string(out), "web") {
				t.Errorf("%s: a host sees the machine's (%v):\n%s", name, err, out)
			}
		})
		th.stop()
	}
}

// TestHostsAreStrangers: what one host has, no other and not the machine sees.
func TestHostsAreStrangers(t *testing.T) {
	before := machine(t)
	t.Run("hosts", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				h := Host(t)
				if got := strings.Join(h.Snapshot().links(""), " "); got != "lo" {
					t.Errorf("links at first: %s", got)
				}
				h.Bridge("br0", fmt.Sprintf("192.0.2.%d/24", i+1))
				c := h.Container("same-name")
				h.Veth("veth0", c.Netns, "eth0")
				h.Baseline()
				h.SetSysctl("net/ipv4/ip_forward", "1")
				h.Run(t, "sh", "-c", "echo x > /run/mine; echo x > /var/lib/mine; ip netns add other; mount -t tmpfs none /mnt; touch /mnt/mine")
				if got := h.Run(t, "sh", "-c", "ls /run/netns /mnt"); got != "/mnt:\nmine\n\n/run/netns:\nother\nsame-name\n" {
					t.Errorf("files: %q", got)
				}
				h.Run(t, "ip", "netns", "del", "other")
			})
		}
	})
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the machine has changed (-before +after):\n%s", diff)
	}
}

// machine is a snapshot of the machine's own network and of its mounts.
func machine(t *testing.T) string {
	t.Helper()
	Root(t)
	n := &Netns{name: "machine", t: t, mnt: -1}
	var err error
	n.thread, err = startThread(func() (err error) {
		n.net, err = openSelf("net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	s, err := n.takeSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		t.Fatal(err)
	}
	return s.String() + string(mounts) + string(forward)
}

func TestContainer(t *testing.T) {
	t.Parallel()
	h := Host(t)
	h.Oracle(CleanHost)
	c := h.Container("web")
	if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`).MatchString(c.ID()) || len(c.ID()) != 64 {
		t.Errorf("ID %q", c.ID())
	}
	if c.Path() != "/run/netns/web" || containerID("web") != c.ID() || containerID("db") == c.ID() {
		t.Errorf("path %s, ID %s", c.Path(), c.ID())
	}
	inside := c.Run(t, "readlink", "/proc/self/ns/net")
	if pinned := h.Run(t, "ip", "netns", "exec", "web", "readlink", "/proc/self/ns/net"); pinned != inside {
		t.Errorf("pin is %s, container is %s", pinned, inside)
	}
	if c.Run(t, "ls", "/run/netns") != "web\n" {
		t.Error("the container does not have its host's mounts")
	}
	if err := c.PingOnce(localhost()); err != nil {
		t.Error(err)
	}
	h.Veth("veth0", c.Netns, "eth0")
	c.Delete()
	h.NoLeaks(t)
	if got := h.Run(t, "ls", "/run/netns"); got != "" {
		t.Errorf("pins left: %s", got)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	h := Host(t)
	home := unix.Gettid()
	h.Do(func() {
		outer := unix.Gettid()
		h.Do(func() {
			if unix.Gettid() != outer {
				t.Error("Do in Do runs on another thread")
			}
		})
		if outer == home {
			t.Error("Do runs on the test's thread")
		}
	})
	t.Run("panic", func(t *testing.T) {
		defer func() {
			if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "in namespace host: boom\n") {
				t.Errorf("panic is %q", got)
			}
		}()
		h.Do(func() { panic("boom") })
	})
	t.Run("fail now", func(t *testing.T) {
		r := record(t, func(t testing.TB) {
			h.Do(func() { t.Fatalf("inside") })
			t.Errorf("Do returned")
		})
		if r.said() != "inside" {
			t.Errorf("said %q", r.said())
		}
		if got := h.Run(t, "ls", "/run"); got != "netns\n" {
			t.Errorf("after it the host has %q in /run", got)
		}
	})
}

// TestManyPrograms: programs run at the same time, and a slow one does not delay the others.
func TestManyPrograms(t *testing.T) {
	t.Parallel()
	h := Host(t)
	wait := h.Command("cat")
	in, err := wait.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.Start(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			out, err := h.Command("echo", fmt.Sprint(i)).Output()
			if err != nil || string(out) != fmt.Sprintln(i) {
				t.Errorf("echo %d: %q, %v", i, out, err)
			}
		})
	}
	all.Wait()
	_ = in.Close()
	if err := wait.Wait(); err != nil {
		t.Error(err)
	}
	_, err = h.Command("sh", "-c", "echo why >&2; exit 3").Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 || string(exit.Stderr) != "why\n" {
		t.Errorf("exit is %v", err)
	}
	r := record(t, func(t testing.TB) { h.Run(t, "sh", "-c", "echo out; echo why >&2; false") })
	if want := "in host: sh -c echo out; echo why >&2; false: exit status 1\nout\nwhy\n"; r.said() != want {
		t.Errorf("said %q, want %q", r.said(), want)
	}
}

// TestKeptDirs: what tests need stays visible when it lies below /var/lib.
func TestKeptDirs(t *testing.T) {
	Root(t)
	dir, err := os.MkdirTemp("/var/lib", "patchbay-nettest-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv(envPrograms, filepath.Join(dir, "bin"))
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "prog"), []byte("#!/bin/sh\necho here\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := Host(t).Run(t, Program(t, "prog")); got != "here\n" {
		t.Errorf("program says %q", got)
	}
}
