package bandwidth

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// transfer is what a flow did during a measurement.
type transfer struct {
	rate  float64       // bit/s of payload at the receiver
	pause time.Duration // longest time between two reads of the receiver
	again float64       // share of the segments that were sent again

	bits  float64       // received since the flow began, with the first part
	since time.Duration // its begin
}

// send sends from one namespace to an address of another, and measures for a while. The first part, in which the burst is used up, is left out.
func send(t testing.TB, from, to *nettest.Netns, address string, after, during time.Duration) transfer {
	t.Helper()
	var l net.Listener
	var err error
	listen := new(net.ListenConfig)
	listen.SetMultipathTCP(false)
	to.Do(func() { l, err = listen.Listen(context.Background(), "tcp", net.JoinHostPort(address, "5201")) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	meter := &meter{start: time.Now()}
	go meter.accept(l)
	var conn net.Conn
	dial := &net.Dialer{Timeout: 10 * time.Second}
	dial.SetMultipathTCP(false)
	from.Do(func() { conn, err = dial.Dial("tcp", l.Addr().String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go flood(conn)
	time.Sleep(after)
	meter.reset()
	before := info(t, conn)
	time.Sleep(during)
	out := meter.read()
	now := info(t, conn)
	if segments := now.Data_segs_out - before.Data_segs_out; segments > 0 {
		out.again = float64(now.Total_retrans-before.Total_retrans) / float64(segments)
	}
	return out
}

func flood(conn net.Conn) {
	block := make([]byte, 256<<10)
	for {
		if _, err := conn.Write(block); err != nil {
			return
		}
	}
}

func info(t testing.TB, conn net.Conn) (out *unix.TCPInfo) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		failed := raw.Control(func(fd uintptr) { out, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err == nil {
			err = failed
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// meter counts what a receiver reads.
type meter struct {
	mu          sync.Mutex
	start       time.Time // before the first byte was sent
	bytes       int64     // since the reset
	total       int64     // since start
	began, last time.Time
	pause       time.Duration
}

func (m *meter) accept(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := conn.Read(buf)
		m.add(n)
		if err != nil {
			return
		}
	}
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.bytes += int64(n)
	m.total += int64(n)
	m.pause = max(m.pause, now.Sub(m.last))
	m.last = now
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes, m.began, m.last, m.pause = 0, time.Now(), time.Now(), 0
}

func (m *meter) read() transfer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return transfer{
		rate: float64(m.bytes) * 8 / time.Since(m.began).Seconds(), pause: max(m.pause, time.Since(m.last)),
		bits: float64(m.total) * 8, since: time.Since(m.start),
	}
}

// floodUDP sends datagrams as fast as it can. What arrives counts with its headers, the rate after the burst.
func floodUDP(t testing.TB, from, to *nettest.Netns, address string, during time.Duration) transfer {
	t.Helper()
	var p net.PacketConn
	var conn net.Conn
	var err error
	to.Do(func() {
		p, err = new(net.ListenConfig).ListenPacket(context.Background(), "udp", net.JoinHostPort(address, "5202"))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	from.Do(func() { conn, err = net.Dial("udp", p.LocalAddr().String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	meter := &meter{start: time.Now()}
	go func() {
		datagram := make([]byte, 1400)
		for !errors.Is(err, net.ErrClosed) {
			_, err = conn.Write(datagram)
		}
	}()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, _, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			meter.add(n + 42) // Ethernet, IPv4 and UDP
		}
	}()
	time.Sleep(500 * time.Millisecond)
	meter.reset()
	time.Sleep(during)
	return meter.read()
}
