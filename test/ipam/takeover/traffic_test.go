package takeover

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

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

const (
	echoPort = 7000
	pace     = 60 * time.Millisecond // between two requests of one container
	patience = 10 * time.Second      // for one reply; requests are not repeated
)

// traffic sends requests through containers all the time. Each request is a new UDP flow, so that each passes the
// rules for new connections; each must be answered by the right server.
type traffic struct {
	host, outside *nettest.Netns
	requests      atomic.Int64

	mu   sync.Mutex
	lost []string
}

func newTraffic(t *testing.T, host, outside *nettest.Netns) *traffic {
	t.Helper()
	tr := &traffic{host: host, outside: outside}
	answer(t, outside, "outside")
	return tr
}

// answer replies to each datagram with a name and the payload, until the test ends or the socket is closed.
func answer(t *testing.T, n *nettest.Netns, name string) net.PacketConn {
	t.Helper()
	return serve.UDP(t, n, fmt.Sprint(":", echoPort), func(_ netip.Addr, payload string) string { return name + " " + payload })
}

// question is one kind of request.
type question struct {
	from *nettest.Netns
	to   string // address and port
	by   string // name of the server that must answer
}

// stream is the traffic of one container.
type stream struct {
	stop, done chan struct{}
	server     net.PacketConn
}

// begin asks the questions of a container in turn until end is called.
func (tr *traffic) begin(t *testing.T, c *nettest.Container, questions []question) *stream {
	t.Helper()
	s := &stream{stop: make(chan struct{}), done: make(chan struct{}), server: answer(t, c.Netns, c.Name())}
	go func() {
		defer close(s.done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				tr.ask(questions[i%len(questions)], fmt.Sprint(c.Name(), " ", i))
			}
		}
	}()
	return s
}

// end waits for the last reply. What runs in the container is killed before the container is detached.
func (s *stream) end() {
	close(s.stop)
	<-s.done
	_ = s.server.Close()
}

func (tr *traffic) ask(q question, text string) {
	tr.requests.Add(1)
	got, err := request(q, text)
	if err == nil && got == q.by+" "+text {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lost = append(tr.lost, fmt.Sprintf("%s to %s: %q, %v; want an answer of %s to %q", q.from.Name(), q.to, got, err, q.by, text))
}

func request(q question, text string) (string, error) {
	var conn net.Conn
	var err error
	q.from.Do(func() { conn, err = net.Dial("udp", q.to) })
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), second(conn.Write([]byte(text)))); err != nil {
		return "", err
	}
	buffer := make([]byte, 512)
	n, err := conn.Read(buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("no reply")
	}
	return string(buffer[:n]), err
}

func second(_ int, err error) error { return err }

// nothingLost fails for each request without its answer.
func (tr *traffic) nothingLost(t *testing.T, when string) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.lost) > 0 {
		t.Errorf("%s, %d requests of %d were lost or answered by another:\n%s", when, len(tr.lost), tr.requests.Load(), strings.Join(tr.lost[:min(len(tr.lost), 10)], "\n"))
	}
	tr.lost = nil
}
