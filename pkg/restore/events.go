package restore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// need says what is to be looked at.
type need struct {
	links  bool
	rules  bool
	causes []string // of rules, each once
}

// add adds the needs of another.
func (n *need) add(other need) {
	n.links, n.rules = n.links || other.links, n.rules || other.rules
	for _, c := range other.causes {
		if !slices.Contains(n.causes, c) && len(n.causes) < mostCauses {
			n.causes = append(n.causes, c)
		}
	}
}

// mostCauses is the greatest number of causes that are reported of one restoration.
const mostCauses = 5

// events are the subscriptions, and the need of what they have noticed since it was taken.
type events struct {
	rules *nfnl.Changes
	links *link.Changes
	stop  int // eventfd(2) that ends the goroutine

	noticed chan struct{} // one value for any number of events; closed after a failure
	mu      sync.Mutex
	need    need
	err     error // set before noticed is closed
}

// subscribe subscribes in the network namespace of the process. A kernel without nftables has no ruleset to lose.
func subscribe() (*events, error) {
	e := &events{noticed: make(chan struct{}, 1), stop: -1}
	var err error
	if e.rules, err = nfnl.OpenChanges(); err != nil && !nfnl.IsUnsupported(err) {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	if e.links, err = link.OpenHostChanges(); err == nil {
		e.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	go e.run()
	return e, nil
}

// close closes the descriptors.
func (e *events) close() {
	if e.rules != nil {
		e.rules.Close()
	}
	if e.links != nil {
		e.links.Close()
	}
	if e.stop >= 0 {
		unix.Close(e.stop)
	}
}

// end ends the goroutine, which closes the descriptors.
func (e *events) end() { _, _ = unix.Write(e.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// take returns what was noticed since the last call.
func (e *events) take() need {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.need
	e.need = need{}
	return n
}

// run waits for events until end, or until an error.
func (e *events) run() {
	defer e.close()
	for {
		fds := []unix.PollFd{{Fd: int32(e.stop), Events: unix.POLLIN}, {Fd: int32(e.links.FD()), Events: unix.POLLIN}}
		if e.rules != nil {
			fds = append(fds, unix.PollFd{Fd: int32(e.rules.FD()), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			e.fail(fmt.Errorf("wait for changes: %w", err))
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		n, err := e.read(fds[1].Revents != 0, len(fds) > 2 && fds[2].Revents != 0)
		if err != nil {
			e.fail(err)
			return
		}
		e.notice(n)
	}
}

// read reads the notifications that have arrived. Of interfaces it is enough that something has changed: what is missing is
// found by looking.
func (e *events) read(links, rules bool) (n need, err error) {
	if links {
		n.links = true
		if err := e.links.Wait(time.Millisecond); err != nil {
			return n, fmt.Errorf("watch interfaces: %w", err)
		}
	}
	if !rules {
		return n, nil
	}
	transactions, err := e.rules.Read()
	if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EMSGSIZE) {
		n.add(need{links: true, rules: true, causes: []string{"notifications of nftables were lost"}})
		return n, nil
	}
	for i := range transactions {
		if why := cause(&transactions[i]); why != "" {
			n.add(need{rules: true, causes: []string{why}})
		}
	}
	return n, err
}

// notice adds a need, and wakes the loop.
func (e *events) notice(n need) {
	if !n.links && !n.rules {
		return
	}
	e.mu.Lock()
	e.need.add(n)
	e.mu.Unlock()
	select {
	case e.noticed <- struct{}{}:
	default:
	}
}

func (e *events) fail(err error) {
	e.err = err
	close(e.noticed)
}
