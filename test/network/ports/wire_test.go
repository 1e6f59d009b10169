package ports

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

func TestMain(m *testing.M) { expect.Main(m, 4) }

const (
	ready   = 20 * time.Second       // timeout for expected replies, long enough for a loaded machine
	nothing = 400 * time.Millisecond // timeout for unexpected replies; the servers are checked too
)

// request is one request over one protocol, with a unique payload.
type request struct {
	from    *nettest.Netns
	proto   string // tcp, udp, sctp
	to      netip.AddrPort
	wait    time.Duration
	payload string
}

// reply is the server that replied, and the source address that it saw.
type reply struct {
	server string
	saw    netip.Addr
}

func (r reply) String() string { return fmt.Sprintf("%s, which saw %s", r.server, r.saw) }

func (r reply) text(payload string) string { return r.server + " " + r.saw.String() + " " + payload }

var (
	asked atomic.Int64
	heard sync.Map // payload to reply: what servers received, even if the reply did not arrive
)

func newPayload() string { return fmt.Sprintf("question-%d", asked.Add(1)) }

// answer returns the reply of a server and stores what it received.
func answer(server string, from netip.Addr, payload string) string {
	r := reply{server, from.Unmap()}
	heard.Store(payload, r)
	return r.text(payload)
}

// listen serves TCP and UDP ports of a namespace until the test ends, with one socket per address: see serve.UDP.
func listen(t *testing.T, ns *nettest.Netns, at []netip.Addr, numbers ...uint16) {
	t.Helper()
	for _, addr := range at {
		for _, number := range numbers {
			where, name := netip.AddrPortFrom(addr, number).String(), serverOn(ns, number)
			serve.TCP(t, ns, where, func(c net.Conn) {
				buf := make([]byte, 100)
				_ = c.SetDeadline(time.Now().Add(ready))
				if n, err := c.Read(buf); err == nil {
					from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
					_, _ = c.Write([]byte(answer(name, from, string(buf[:n]))))
				}
			})
			serve.UDP(t, ns, where, func(from netip.Addr, payload string) string { return answer(name, from, payload) })
		}
	}
}

// serverOn returns the name of a server: that of its namespace, and the port if it is not 80.
func serverOn(ns *nettest.Netns, number uint16) string {
	if number == 80 {
		return ns.Name()
	}
	return fmt.Sprintf("%s:%d", ns.Name(), number)
}

// ask sends a request and returns the reply. Errors are those of the system calls, or os.ErrDeadlineExceeded.
func ask(q request) (reply, error) {
	if q.proto == "sctp" {
		return askSCTP(q)
	}
	f, err := connect(q)
	if err != nil {
		return reply{}, err
	}
	defer f.Close()
	if err := connected(f); err != nil {
		return reply{}, err
	}
	if _, err := f.Write([]byte(q.payload)); err != nil {
		return reply{}, err
	}
	buf := make([]byte, 200)
	n, err := f.Read(buf)
	if err != nil {
		return reply{}, err
	}
	return parse(string(buf[:n]), q.payload)
}

func parse(text, payload string) (reply, error) {
	words := strings.Fields(text)
	if len(words) != 3 || words[2] != payload {
		return reply{}, fmt.Errorf("asked %q and got %q", payload, text)
	}
	saw, err := netip.ParseAddr(words[1])
	return reply{words[0], saw}, err
}

// connect starts a connection in the namespace without blocking its thread.
func connect(q request) (*os.File, error) {
	kind := unix.SOCK_STREAM
	if q.proto == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := open(q.from, q.to.Addr(), kind, 0)
	if err != nil {
		return nil, err
	}
	q.from.Do(func() { err = unix.Connect(fd, sockaddr(q.to)) })
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	return f, f.SetDeadline(time.Now().Add(q.wait))
}

// open creates a non-blocking socket in a namespace.
func open(ns *nettest.Netns, family netip.Addr, kind, proto int) (fd int, err error) {
	domain := unix.AF_INET
	if family.Is6() {
		domain = unix.AF_INET6
	}
	ns.Do(func() { fd, err = unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto) })
	return fd, err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connected waits until a connection is established or failed.
func connected(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Write(func(fd uintptr) bool { // the poller may have reported writability before connect(2)
		writable, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		return err == nil && writable > 0
	})
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		var code int
		if code, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			err = unix.Errno(code)
		}
	})
	return errors.Join(failed, err)
}

// pathMTU returns the MTU that the calling thread's namespace knows for the path to an address.
func pathMTU(t *testing.T, to netip.Addr) int {
	t.Helper()
	domain, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU
	if to.Is6() {
		domain, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(to, 9))); err != nil {
		t.Fatal(err)
	}
	mtu, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		t.Fatal(err)
	}
	return mtu
}
