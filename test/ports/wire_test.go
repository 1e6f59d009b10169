package ports

import (
	"context"
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
	"github.com/patchbay-cni/patchbay/test/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 4) }

const (
	ready   = 20 * time.Second       // what has to answer may take its time on a busy machine
	nothing = 400 * time.Millisecond // and what must not is looked for at the servers too
)

// request is one question by one protocol. Its payload is like no other's.
type request struct {
	from    *nettest.Netns
	proto   string // tcp, udp, sctp
	to      netip.AddrPort
	wait    time.Duration
	payload string
}

// reply is who answered, and from what address the request had come.
type reply struct {
	server string
	saw    netip.Addr
}

func (r reply) String() string { return fmt.Sprintf("%s, which saw %s", r.server, r.saw) }

func (r reply) text(payload string) string { return r.server + " " + r.saw.String() + " " + payload }

var (
	asked atomic.Int64
	heard sync.Map // payload to reply: what servers saw, whether or not their answer arrived
)

func newPayload() string { return fmt.Sprintf("question-%d", asked.Add(1)) }

// answer is a server's: it remembers what it saw.
func answer(server string, from netip.Addr, payload string) string {
	r := reply{server, from.Unmap()}
	heard.Store(payload, r)
	return r.text(payload)
}

// serve answers on ports of a namespace until the test ends, by TCP and UDP; an address is needed
// where there are several, since a UDP answer has to come from the one that was asked.
func serve(t *testing.T, ns *nettest.Netns, at []netip.Addr, numbers ...uint16) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for _, addr := range at {
		for _, number := range numbers {
			where := netip.AddrPortFrom(addr, number).String()
			var l net.Listener
			var p net.PacketConn
			var err, failed error
			ns.Do(func() {
				l, err = lc.Listen(context.Background(), "tcp", where)
				p, failed = lc.ListenPacket(context.Background(), "udp", where)
			})
			if err := errors.Join(err, failed); err != nil {
				t.Fatalf("serve in %s: %v", ns.Name(), err)
			}
			t.Cleanup(func() { l.Close(); p.Close() })
			name := serverOn(ns, number)
			go serveTCP(l, name)
			go serveUDP(p, name)
		}
	}
}

// serverOn is the name that a server gives: its namespace's, and the port if it is not 80.
func serverOn(ns *nettest.Netns, number uint16) string {
	if number == 80 {
		return ns.Name()
	}
	return fmt.Sprintf("%s:%d", ns.Name(), number)
}

func serveTCP(l net.Listener, name string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 100)
			_ = c.SetDeadline(time.Now().Add(ready))
			if n, err := c.Read(buf); err == nil {
				from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
				_, _ = c.Write([]byte(answer(name, from, string(buf[:n]))))
			}
		}()
	}
}

func serveUDP(p net.PacketConn, name string) {
	buf := make([]byte, 100)
	for {
		n, from, err := p.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		_, _ = p.WriteTo([]byte(answer(name, from.(*net.UDPAddr).AddrPort().Addr(), string(buf[:n]))), from)
	}
}

// ask sends a request and returns the answer. The error is the system's, or os.ErrDeadlineExceeded.
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

// connect begins a connection inside the namespace, whose thread does not wait for it.
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

// open makes a socket that does not block, inside a namespace.
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

// connected waits until a connection is made, or failed.
func connected(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Write(func(fd uintptr) bool { // the runtime forgets what it saw before this
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
