package attacks

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Send sends frames as they are by an interface of a namespace, one behind the other.
func Send(t testing.TB, ns *nettest.Netns, ifName string, frames ...[]byte) {
	t.Helper()
	var err error
	ns.Do(func() {
		var fd int
		if fd, err = packetSocket(ifName); err != nil {
			return
		}
		defer unix.Close(fd)
		for _, frame := range frames {
			if _, err = unix.Write(fd, frame); err != nil {
				return
			}
		}
	})
	if err != nil {
		t.Fatalf("send frames in %s: %v", ns.Name(), err)
	}
}

// packetSocket is one of the calling thread's namespace, bound to an interface.
func packetSocket(ifName string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	iface, err := net.InterfaceByName(ifName)
	if err == nil {
		all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("packet socket on %s: %w", ifName, err)
	}
	return fd, nil
}

// Ear is what an interface of a namespace has received.
type Ear struct {
	mu     sync.Mutex
	frames [][]byte
	more   chan struct{} // closed and replaced when a frame arrives
}

// Listen hears every frame that an interface receives, until the test ends.
func Listen(t testing.TB, ns *nettest.Netns, ifName string) *Ear {
	t.Helper()
	var fd int
	var err error
	ns.Do(func() { fd, err = packetSocket(ifName) })
	if err != nil {
		t.Fatalf("listen in %s: %v", ns.Name(), err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	t.Cleanup(func() { f.Close() })
	e := &Ear{more: make(chan struct{})}
	go e.hear(f)
	return e
}

func (e *Ear) hear(f *os.File) {
	buf := make([]byte, 4096)
	raw, err := f.SyscallConn()
	for err == nil {
		var n int
		var from unix.Sockaddr
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			n, from, failed = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if at, ok := from.(*unix.SockaddrLinklayer); !ok || failed != nil || at.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		e.mu.Lock()
		e.frames = append(e.frames, bytes.Clone(buf[:n]))
		close(e.more)
		e.more = make(chan struct{})
		e.mu.Unlock()
	}
}

// Heard reports whether a frame held a text.
func (e *Ear) Heard(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, frame := range e.frames {
		if bytes.Contains(frame, []byte(text)) {
			return true
		}
	}
	return false
}

// Wait waits until a frame holds a text; false at the deadline.
func (e *Ear) Wait(text string, within time.Duration) bool {
	for deadline := time.After(within); ; {
		e.mu.Lock()
		more := e.more
		e.mu.Unlock()
		if e.Heard(text) {
			return true
		}
		select {
		case <-more:
		case <-deadline:
			return e.Heard(text)
		}
	}
}
