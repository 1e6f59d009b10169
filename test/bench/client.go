package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// serverPort is where the server of a container waits.
const serverPort = 80

// hostAddress is the host's towards the outside: a documentation address, like the outside's own.
func hostAddress() netip.Prefix { return netip.MustParsePrefix("192.0.2.1/24") }

func outsideAddress() netip.Prefix { return netip.MustParsePrefix("192.0.2.2/24") }

// outside creates a namespace that a veth pair connects with a host.
func (m *maker) outside(host ns.NetNS) (ns.NetNS, error) {
	outside, err := m.host()
	if err != nil {
		return nil, err
	}
	err = host.Do(func(ns.NetNS) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "uplink"
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "uplink", PeerNamespace: netlink.NsFd(outside.Fd())}); err != nil {
			return fmt.Errorf("create uplink: %w", err)
		}
		return uplink(hostAddress())
	})
	if err != nil {
		return nil, err
	}
	return outside, outside.Do(func(ns.NetNS) error { return uplink(outsideAddress()) })
}

func uplink(address netip.Prefix) error {
	l, err := netlink.LinkByName("uplink")
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address.String())
	if err != nil {
		return err
	}
	return errors.Join(netlink.AddrAdd(l, a), netlink.LinkSetUp(l))
}

// client connects from outside, through a published port, to the server of a container.
type client struct {
	name    string
	present int // ports on the host
	from    ns.NetNS
	to      netip.AddrPort
	server  server
}

func closeClients(all []client) {
	for _, one := range all {
		one.server.close()
	}
}

// measure runs all clients in turn, each for a number of connections per round, and returns the durations. The first round, with neighbour
// resolution and cold caches, is dropped.
func measure(ctx context.Context, all []client, c connects) ([]sample, error) {
	took := make([]sample, len(all))
	for round := range 1 + c.rounds {
		for i := range all {
			at := (round + i) % len(all)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			one, err := all[at].measure(c.each)
			if err != nil {
				return nil, fmt.Errorf("%s: connect to %s: %w", all[at].name, all[at].to, err)
			}
			if round > 0 {
				took[at] = append(took[at], one)
			}
		}
	}
	return took, nil
}

func (r client) measure(n int) (took time.Duration, err error) {
	err = r.from.Do(func(ns.NetNS) error {
		start := time.Now()
		for range n {
			if err := connect(r.to); err != nil {
				return err
			}
		}
		took = time.Since(start)
		return nil
	})
	return took, err
}

// connect opens one connection and resets it, so that neither end keeps a port in TIME_WAIT.
func connect(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	patience := unix.Timeval{Sec: 5} // also limits connect(2)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience); err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if errors.Is(err, unix.EINTR) { // interrupted by the Go runtime's preemption signal; connecting continues
		return endConnect(fd)
	}
	return err
}

// endConnect waits for the end of a connect(2) that a signal has interrupted.
func endConnect(fd int) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = unix.ETIMEDOUT
		}
		if err != nil {
			return err
		}
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && errno != 0 {
			err = unix.Errno(errno)
		}
		return err
	}
}

// server accepts connections and closes them.
type server struct {
	fd    int
	ended chan struct{}
}

// serve starts a server in a container.
func serve(path string) (server, error) {
	s := server{ended: make(chan struct{})}
	err := ns.WithNetNSPath(path, func(ns.NetNS) (err error) {
		if s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.Bind(s.fd, &unix.SockaddrInet4{Port: serverPort}), unix.Listen(s.fd, 4096))
	})
	if err != nil {
		return server{}, fmt.Errorf("serve in %s: %w", path, err)
	}
	go s.run()
	return s, nil
}

// run ends when the socket is shut down.
func (s server) run() {
	defer close(s.ended)
	for {
		fd, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			unix.Close(fd)
		case !errors.Is(err, unix.ECONNABORTED) && !errors.Is(err, unix.EINTR):
			return
		}
	}
}

func (s server) close() {
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
	<-s.ended
	unix.Close(s.fd)
}
