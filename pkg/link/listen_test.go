package link_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// receiver is a socket that receives on an address; it listens if it is a TCP socket.
type receiver struct {
	kind  int
	at    string
	only6 bool // IPV6_V6ONLY
}

func (w receiver) open(t *testing.T, h *nettest.Netns) (fd int) {
	t.Helper()
	at := netip.MustParseAddrPort(w.at)
	domain, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(at.Port())})
	if at.Addr().Is4() {
		sa.(*unix.SockaddrInet4).Addr = at.Addr().As4()
	} else {
		domain, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	var err error
	h.Do(func() {
		if fd, err = unix.Socket(domain, w.kind|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		if w.only6 {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		}
		if err == nil {
			err = unix.Bind(fd, sa)
		}
		if err == nil && w.kind == unix.SOCK_STREAM {
			err = unix.Listen(fd, 1)
		}
	})
	if err != nil {
		t.Fatalf("%+v: %v", w, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func addrPorts(texts ...string) link.Listeners {
	var all link.Listeners
	for _, text := range texts {
		all = append(all, netip.MustParseAddrPort(text))
	}
	return all
}

// wantListeners compares the result of Listeners in the host's namespace.
func wantListeners(t *testing.T, h *nettest.Node, proto uint8, port uint16, want ...string) {
	t.Helper()
	host := in(t, h)
	var got link.Listeners
	var err error
	h.Do(func() { got, err = host.Listeners(proto, port) })
	if err != nil {
		t.Error(err)
	}
	slices.SortFunc(got, netip.AddrPort.Compare)
	if diff := cmp.Diff(addrPorts(want...), got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("protocol %d, port %d (-want +got):\n%s", proto, port, diff)
	}
}

// TestListeners: the sockets of a protocol are listed, on every kind of address, of one port and of all ports.
func TestListeners(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.LAN(t)
	for kind := range map[int]bool{unix.SOCK_STREAM: true, unix.SOCK_DGRAM: true} {
		port := map[int]string{unix.SOCK_STREAM: "80", unix.SOCK_DGRAM: "90"}[kind]
		for _, w := range []receiver{
			{kind, nettest.LANHost4 + ":" + port + "80", false},
			{kind, "[" + nettest.LANHost6 + "]:" + port + "80", false},
			{kind, "0.0.0.0:" + port + "81", false},
			{kind, "[::]:" + port + "82", true},
			{kind, "[::]:" + port + "83", false},
			{kind, "[::ffff:" + nettest.LANHost4 + "]:" + port + "84", false},
		} {
			w.open(t, h.Netns)
		}
	}
	wantListeners(t, h, unix.IPPROTO_TCP, 8080, nettest.LANHost4+":8080", "["+nettest.LANHost6+"]:8080")
	wantListeners(t, h, unix.IPPROTO_TCP, 8083, "0.0.0.0:8083", "[::]:8083")
	wantListeners(t, h, unix.IPPROTO_TCP, 9080)
	wantListeners(t, h, unix.IPPROTO_UDP, 9080, nettest.LANHost4+":9080", "["+nettest.LANHost6+"]:9080")
	wantListeners(t, h, unix.IPPROTO_SCTP, 8080)
	wantListeners(t, h, unix.IPPROTO_TCP, 0, "0.0.0.0:8081", "0.0.0.0:8083", nettest.LANHost4+":8080", nettest.LANHost4+":8084",
		"[::]:8082", "[::]:8083", "["+nettest.LANHost6+"]:8080")
	wantListeners(t, h, unix.IPPROTO_UDP, 0, "0.0.0.0:9081", "0.0.0.0:9083", nettest.LANHost4+":9080", nettest.LANHost4+":9084",
		"[::]:9082", "[::]:9083", "["+nettest.LANHost6+"]:9080")
}

// TestListenersAreNoConnections: connected TCP and UDP sockets are not listed.
func TestListenersAreNoConnections(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	server := receiver{unix.SOCK_STREAM, "127.0.0.1:8080", false}.open(t, h.Netns)
	client := receiver{unix.SOCK_DGRAM, "127.0.0.1:9090", false}.open(t, h.Netns)
	wantListeners(t, h, unix.IPPROTO_UDP, 0, "127.0.0.1:9090")
	h.Do(func() {
		if err := unix.Connect(client, &unix.SockaddrInet4{Port: 9091, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Error(err)
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 8080, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Error(err)
		}
		accepted, _, err := unix.Accept(server)
		if err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { unix.Close(accepted) })
	})
	wantListeners(t, h, unix.IPPROTO_UDP, 0)
	wantListeners(t, h, unix.IPPROTO_TCP, 0, "127.0.0.1:8080")
	if err := unix.Shutdown(server, unix.SHUT_RD); err != nil { // listens no more
		t.Error(err)
	}
	wantListeners(t, h, unix.IPPROTO_TCP, 0) // the connection is still there
}

func TestListenersAt(t *testing.T) {
	all := addrPorts("192.0.2.10:80", "0.0.0.0:81", "[2001:db8::1]:82", "[::]:83")
	for _, tc := range []struct {
		addr string // "": any
		port uint16
		want string // "": none
	}{
		{"192.0.2.10", 80, "192.0.2.10:80"},
		{"192.0.2.11", 80, ""},
		{"192.0.2.10", 88, ""},
		{"0.0.0.0", 80, "192.0.2.10:80"},
		{"::", 80, ""},
		{"", 80, "192.0.2.10:80"},
		{"192.0.2.11", 81, "0.0.0.0:81"},
		{"0.0.0.0", 81, "0.0.0.0:81"},
		{"2001:db8::1", 81, ""},
		{"2001:db8::1", 82, "[2001:db8::1]:82"},
		{"2001:db8::2", 82, ""},
		{"::", 82, "[2001:db8::1]:82"},
		{"0.0.0.0", 82, ""},
		{"", 82, "[2001:db8::1]:82"},
		{"2001:db8::2", 83, "[::]:83"},
		{"192.0.2.10", 83, ""},
	} {
		addr, _ := netip.ParseAddr(tc.addr)
		got, ok := all.At(addr, tc.port)
		if ok != (tc.want != "") || ok && got.String() != tc.want {
			t.Errorf("At(%q, %d) = %s, %v, want %q", tc.addr, tc.port, got, ok, tc.want)
		}
	}
}
