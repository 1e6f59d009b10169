package load

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	linksPerSecond = 500 // links that the other program adds and deletes
	callers        = 8
	eachCalls      = 125 // ADDs of each caller: 1 000 together
	others         = 150 // links that exist all the time, so that a list of links is several messages
)

// TestLinkStorm: a daemon adds and deletes 500 links a second in the host's network namespace, so that lists of links are interrupted
// (NLM_F_DUMP_INTR), while 8 callers attach and detach 1 000 containers, and collect garbage.
//
// Claim: 1 000 ADDs, CHECKs and DELs by 8 callers, and gc, have no error while another program adds and deletes 500 links a second
func TestLinkStorm(t *testing.T) {
	h := nettest.Host(t)
	h.Run(t, "sh", "-c", fmt.Sprintf("for i in $(seq %d); do echo link add other$i group 78 type ifb; done | ip -batch -", others))
	network := network("net", "cni0", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.1.0.0/24"))
	storm := startLinks(t, h)
	interrupted, stop := countInterruptions(t, h)
	begun := time.Now()
	var ended sync.WaitGroup
	for i := range callers {
		c := h.Container(fmt.Sprintf("c%d", i))
		ended.Go(func() {
			for n := 0; n < eachCalls && !t.Failed(); n++ {
				attachOnce(t, h, c, network.With(publishing(8000+i, "")))
				if n%5 == 0 {
					h.Run(t, nettest.Patchbay(t), "gc") // lists all links
				}
			}
		})
	}
	ended.Wait()
	took := time.Since(begun)
	stop()
	made := storm.end(t)
	t.Logf("%d ADDs in %v; %d links added and deleted, %.0f/s; %d lists of links were interrupted",
		callers*eachCalls, took.Round(time.Millisecond), made, float64(made)/time.Since(begun).Seconds(), interrupted.Load())
	if interrupted.Load() == 0 {
		t.Error("no list of links was interrupted: the other program was too slow")
	}
	h.Run(t, "ip", "link", "delete", "group", "78")
}

// attachOnce calls ADD, CHECK and DEL.
func attachOnce(t *testing.T, h *nettest.Node, c *nettest.Container, conf cni.Conf) {
	m := &batch{h: h, config: conf}
	one := &member{Container: c}
	for _, verb := range []string{"ADD", "CHECK", "DEL"} {
		a := h.CNI(t, m.call(t, one, verb))
		if a.Exit != 0 {
			t.Errorf("%s: %s", verb, a)
		}
		if verb == "ADD" {
			one.prev = a.Stdout
		}
	}
}

// links is a program that adds and deletes links.
type links struct {
	stop chan struct{}
	done chan error
	made atomic.Int64
}

// startLinks starts it. A tenth of a second has a tenth of the links, which are deleted with one request: the kernel waits once for them.
func startLinks(t *testing.T, h *nettest.Node) *links {
	t.Helper()
	l := &links{stop: make(chan struct{}), done: make(chan error, 1)}
	ip := h.Command("ip", "-batch", "-")
	in, err := ip.StdinPipe()
	if err == nil {
		err = ip.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		pace := time.NewTicker(time.Second / 10)
		defer pace.Stop()
		for {
			select {
			case <-l.stop:
				in.Close()
				l.done <- ip.Wait()
				return
			case <-pace.C:
			}
			for i := range linksPerSecond / 10 {
				fmt.Fprintf(in, "link add storm%d group 77 type ifb\n", i)
			}
			fmt.Fprintln(in, "link delete group 77")
			l.made.Add(linksPerSecond / 10)
		}
	}()
	return l
}

// end ends it, and returns how many links it added and deleted.
func (l *links) end(t *testing.T) int64 {
	t.Helper()
	close(l.stop)
	if err := <-l.done; err != nil {
		t.Errorf("ip -batch: %v", err)
	}
	return l.made.Load()
}

// countInterruptions lists links again and again, and counts the lists that the kernel reports as interrupted.
func countInterruptions(t *testing.T, h *nettest.Node) (count *atomic.Int64, stop func()) {
	t.Helper()
	count = new(atomic.Int64)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Second / 10):
			}
			h.Do(func() {
				if _, err := netlink.LinkList(); errors.Is(err, netlink.ErrDumpInterrupted) {
					count.Add(1)
				}
			})
		}
	}()
	return count, func() { close(end); <-done }
}
