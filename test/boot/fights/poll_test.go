package fights

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dial begins a connection from the router to a published port. It does not wait, so that many can be under way.
func (s *site) dial(port int) (c net.Conn, err error) {
	s.router.Do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		f := os.NewFile(uintptr(fd), "published port")
		defer f.Close()
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{192, 0, 2, 10}}); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return
		}
		c, err = net.FileConn(f)
	})
	return c, err
}

// ask returns the answer of the server, "" if there is none in time.
func (s *site) ask(t *testing.T, limit time.Duration) string {
	t.Helper()
	return s.read(8080, limit)
}

func (s *site) read(port int, limit time.Duration) string {
	c, err := s.dial(port)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(limit))
	text, err := io.ReadAll(c)
	if err != nil {
		return ""
	}
	return string(text)
}

const (
	every = 100 * time.Millisecond // from one connection of a poll to the next
	slow  = 900 * time.Millisecond // the first SYN was lost: the second one follows after a second
)

// attempt is one connection of a poll.
type attempt struct {
	at    time.Time
	fails bool
}

// poll connects to the second published port again and again, in the background: its server answers at once, because the CPU is emulated.
type poll struct {
	mu       sync.Mutex
	attempts []attempt
	stop     chan struct{}
	all      sync.WaitGroup
}

func (s *site) poll(t *testing.T) *poll {
	t.Helper()
	p := &poll{stop: make(chan struct{})}
	p.all.Go(func() {
		for tick := time.NewTicker(every); ; {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.all.Go(func() { p.add(attempt{time.Now(), s.read(8081, slow) != "in"}) })
			}
		}
	})
	return p
}

func (p *poll) add(a attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts = append(p.attempts, a)
}

// outage ends the poll, and returns the time from the first connection that failed after a time to the last one, and how many failed.
func (p *poll) outage(after time.Time) (lasted time.Duration, failed int) {
	close(p.stop)
	p.all.Wait()
	slices.SortFunc(p.attempts, func(a, b attempt) int { return a.at.Compare(b.at) })
	var first, last time.Time
	for _, a := range p.attempts {
		if !a.fails || a.at.Before(after) {
			continue
		}
		if failed++; failed == 1 {
			first = a.at
		}
		last = a.at
	}
	if failed == 0 {
		return 0, 0
	}
	return last.Sub(first) + every, failed
}
