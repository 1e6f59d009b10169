package nettest

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Netns is a network namespace of a test, seen with the mount namespace of the
// host it belongs to. A Node is one, a Container is one, a LAN has several.
// Its methods may be called from any goroutine.
type Netns struct {
	name string
	t    testing.TB
	host *Node

	mu     sync.Mutex
	net    int // descriptor of the network namespace, -1 once closed
	mnt    int // descriptor of the host's mount namespace, owned by the host
	thread *thread
	handle *netlink.Handle
}

// Name returns the name the test gave; the host's is "host".
func (n *Netns) Name() string { return n.name }

// Do runs fn on an operating system thread inside the namespace and returns
// when fn does. Calls are served one at a time; a Do inside a Do runs at once.
// Goroutines that fn starts are not in the namespace, and /proc/self there is
// the test process, so paths must begin with /proc/thread-self. Panics and
// testing's FailNow inside fn reach the caller.
func (n *Netns) Do(fn func()) {
	n.t.Helper()
	for {
		th, err := n.running()
		if err != nil {
			panic(fmt.Sprintf("nettest: namespace %s: %v", n.name, err))
		}
		end, ran := th.do(fn)
		if !ran || end.left {
			n.dropThread(th)
		}
		if end.left {
			runtime.Goexit()
		}
		if end.panic != nil {
			panic(fmt.Sprintf("in namespace %s: %v\n%s", n.name, end.panic, end.stack))
		}
		if ran {
			return
		}
	}
}

// running returns the thread of the namespace, starting it at its first use.
func (n *Netns) running() (*thread, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.thread != nil {
		return n.thread, nil
	}
	if n.net < 0 {
		return nil, os.ErrClosed
	}
	th, err := startThread(func() error { return enter(n.mnt, n.net) })
	n.thread = th
	return th, err
}

// dropThread drops a thread that has ended; the next Do starts another one.
func (n *Netns) dropThread(th *thread) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.thread == th {
		n.thread = nil
	}
}

// enter puts the calling thread into a mount and a network namespace. The
// working directory is kept where the new mount namespace has it too.
func enter(mnt, net int) error {
	wd, _ := os.Getwd()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare file system attributes: %w", err)
	}
	if err := unix.Setns(mnt, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	if err := unix.Setns(net, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	_ = unix.Chdir(wd)
	return nil
}

// Netlink returns a route netlink handle of the namespace. It is opened once,
// is safe for use from several goroutines and is closed with the namespace.
func (n *Netns) Netlink() *netlink.Handle {
	n.t.Helper()
	n.mu.Lock()
	h := n.handle
	n.mu.Unlock()
	if h != nil {
		return h
	}
	var err error
	n.Do(func() { h, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	if err != nil {
		n.t.Fatalf("open netlink socket in %s: %v", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.handle != nil {
		h.Close()
		return n.handle
	}
	n.handle = h
	return h
}

// close closes everything that keeps the namespace.
func (n *Netns) close() {
	n.mu.Lock()
	th, h, fd := n.thread, n.handle, n.net
	n.thread, n.handle, n.net = nil, nil, -1
	n.mu.Unlock()
	if th != nil {
		th.stop()
	}
	if h != nil {
		h.Close()
	}
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// stopThread ends the thread; the next use starts another one. A test with hundreds of
// containers that runs nothing in them needs no threads.
func (n *Netns) stopThread() {
	n.mu.Lock()
	th := n.thread
	n.thread = nil
	n.mu.Unlock()
	if th != nil {
		th.stop()
	}
}

// inode returns device and inode of the namespace: what /proc/PID/ns/net of a
// process inside shows. False once the namespace is closed.
func (n *Netns) inode() (netnsInode, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var st unix.Stat_t
	if n.net < 0 || unix.Fstat(n.net, &st) != nil {
		return netnsInode{}, false
	}
	return netnsInode{dev: st.Dev, ino: st.Ino}, true
}

// netnsInode identifies a namespace that is held open.
type netnsInode struct{ dev, ino uint64 }

// Sysctl returns the value of a setting below /proc/sys, with slashes:
// "net/ipv4/ip_forward".
func (n *Netns) Sysctl(name string) string {
	n.t.Helper()
	var value []byte
	var err error
	n.Do(func() { value, err = os.ReadFile("/proc/sys/" + name) })
	if err != nil {
		n.t.Fatalf("read sysctl in %s: %v", n.name, err)
	}
	return strings.TrimSpace(string(value))
}

// SetSysctl writes a setting below /proc/sys, with slashes.
func (n *Netns) SetSysctl(name, value string) {
	n.t.Helper()
	var err error
	n.Do(func() { err = writeSysctl(name, value) })
	if err != nil {
		n.t.Fatalf("in %s: %v", n.name, err)
	}
}

// writeSysctl writes a setting of the calling thread's namespace.
func writeSysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("write sysctl %s=%s: %w", name, value, err)
	}
	return nil
}

// MAC returns the hardware address of a link, lower case with colons.
func (n *Netns) MAC(link string) string {
	n.t.Helper()
	return n.link(link).Attrs().HardwareAddr.String()
}

// Addresses returns the addresses of a link, without the link-local ones that
// the kernel makes by itself.
func (n *Netns) Addresses(link string) []netip.Prefix {
	n.t.Helper()
	list, err := n.Netlink().AddrList(n.link(link), netlink.FAMILY_ALL)
	if err != nil {
		n.t.Fatalf("list addresses of %s in %s: %v", link, n.name, err)
	}
	var out []netip.Prefix
	for _, a := range list {
		p := prefixOf(a.IPNet)
		if !p.Addr().Is6() || !p.Addr().IsLinkLocalUnicast() {
			out = append(out, p)
		}
	}
	return out
}

// link returns a link that must exist.
func (n *Netns) link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.Netlink().LinkByName(name)
	if err != nil {
		n.t.Fatalf("find link %s in %s: %v", name, n.name, err)
	}
	return l
}
