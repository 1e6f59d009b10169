package nettest

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is a running capture on one interface.
type Capture struct {
	*socket
	link string
	done chan struct{}

	mu     sync.Mutex
	frames Frames
	more   chan struct{} // closed and replaced when a frame comes
}

// Capture captures every frame that an interface of the namespace sends or
// receives. The socket is bound when it returns, so no later frame is missed. The
// capture ends with Stop, or with the test.
func (n *Netns) Capture(t testing.TB, link string) *Capture {
	t.Helper()
	c := &Capture{link: link, done: make(chan struct{}), more: make(chan struct{})}
	var err error
	// Protocol 0: a packet socket with a protocol receives the frames of all
	// interfaces until it is bound (packet(7)).
	c.socket, err = n.openSocket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error { return bindPacket(fd, link) })
	if err != nil {
		t.Fatalf("capture on %s in %s: %v", link, n.name, err)
	}
	go c.run()
	t.Cleanup(func() { c.end() })
	return c
}

// bindPacket binds a packet socket to an interface of the calling thread's
// namespace, with a receive buffer for a burst.
func bindPacket(fd int, link string) error {
	l, err := net.InterfaceByName(link)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		return fmt.Errorf("set receive buffer: %w", err)
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Index})
}

// run collects frames until the deadline that end sets, then the queued rest.
func (c *Capture) run() {
	defer close(c.done)
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.receive(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // ENETDOWN: the interface is down or deleted; reported once
		}
		if err != nil {
			break
		}
		c.add(buf[:n], from)
	}
	for {
		n, from, err := c.receiveQueued(buf)
		if err != nil {
			return
		}
		c.add(buf[:n], from)
	}
}

func (c *Capture) add(b []byte, from unix.Sockaddr) {
	f := decode(b)
	f.Time = time.Now()
	if sa, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Outgoing = sa.Pkttype == unix.PACKET_OUTGOING
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, f)
	close(c.more)
	c.more = make(chan struct{})
}

// Frames returns what has been captured so far.
func (c *Capture) Frames() Frames {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(Frames(nil), c.frames...)
}

// Wait returns when at least n frames satisfy match, or with an error when the
// timeout is over.
func (c *Capture) Wait(n int, within time.Duration, match func(Frame) bool) error {
	timeout := time.After(within)
	for {
		c.mu.Lock()
		frames, more := c.frames, c.more
		c.mu.Unlock()
		if len(frames.Where(match)) >= n {
			return nil
		}
		select {
		case <-more:
		case <-timeout:
			return fmt.Errorf("capture on %s: %d of %d frames within %s", c.link, len(frames.Where(match)), n, within)
		}
	}
}

// Stop ends the capture and returns all frames, also those the kernel had
// queued. The test fails if the kernel dropped any: counts would be wrong.
func (c *Capture) Stop(t testing.TB) Frames {
	t.Helper()
	if dropped := c.end(); dropped > 0 {
		t.Errorf("capture on %s: the kernel dropped %d frames", c.link, dropped)
	}
	return c.Frames()
}

// end stops the reader and returns how many frames the kernel dropped; 0 on the
// second call.
func (c *Capture) end() uint32 {
	c.deadline(time.Unix(1, 0))
	<-c.done
	var dropped uint32
	_ = c.raw.Control(func(fd uintptr) {
		if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			dropped = st.Drops
		}
	})
	c.close()
	return dropped
}
