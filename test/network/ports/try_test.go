package ports

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// try is a request and its expected outcome.
type try struct {
	from  *nettest.Netns
	proto string
	to    netip.AddrPort

	server  string       // expected server; "" for no reply
	saw     []netip.Addr // the server sees one of these source addresses; nil means any
	refused bool         // the connection is refused
	oneWay  string       // this server receives the request, but its reply does not arrive
}

func (c try) String() string { return fmt.Sprintf("%s from %s to %s", c.proto, c.from.Name(), c.to) }

// attempt is the outcome of a try.
type attempt struct {
	try
	payload string
	got     reply
	err     error
}

// all runs tries concurrently and checks them afterwards, so that it also finds requests that a server receives late.
func all(t *testing.T, tries []try) {
	t.Helper()
	if len(tries) == 0 {
		t.Fatal("nothing to try")
	}
	attempts := make([]attempt, len(tries))
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	for i, c := range tries {
		wg.Go(func() {
			slots <- struct{}{}
			attempts[i] = c.make()
			<-slots
		})
	}
	wg.Wait()
	for _, a := range attempts {
		if fault := a.fault(); fault != "" {
			t.Errorf("%s: %s", a.try, fault)
		}
	}
}

func (c try) make() attempt {
	a := attempt{try: c, payload: newPayload()}
	q := request{from: c.from, proto: c.proto, to: c.to, wait: nothing, payload: a.payload}
	if c.server != "" || c.refused {
		q.wait = ready
	}
	a.got, a.err = ask(q)
	return a
}

// fault describes how the outcome differs from the expected one; "" if it does not.
func (a attempt) fault() string {
	at, isHeard := heard.Load(a.payload)
	switch {
	case a.server != "" && (a.err != nil || a.got.server != a.server):
		return fmt.Sprintf("got %v, %v (heard: %v), want an answer of %s", a.got, a.err, at, a.server)
	case a.server != "":
		return a.sourceFault(a.got.saw)
	case a.err == nil:
		return fmt.Sprintf("answered by %v", a.got)
	case a.oneWay != "":
		return a.oneWayFault(at)
	case isHeard:
		return fmt.Sprintf("no answer (%v), but heard by %v", a.err, at)
	case a.refused && !errors.Is(a.err, unix.ECONNREFUSED):
		return fmt.Sprintf("got %v, want %v", a.err, unix.ECONNREFUSED)
	case !a.refused && !errors.Is(a.err, os.ErrDeadlineExceeded) && !errors.Is(a.err, unix.EHOSTUNREACH):
		return fmt.Sprintf("got %v, want no answer at all", a.err)
	}
	return ""
}

func (a attempt) oneWayFault(at any) string {
	r, _ := at.(reply)
	if r.server != a.oneWay {
		return fmt.Sprintf("heard by %v, want by %s (%v)", r, a.oneWay, a.err)
	}
	return a.sourceFault(r.saw)
}

func (a attempt) sourceFault(saw netip.Addr) string {
	if a.saw != nil && !slices.Contains(a.saw, saw) {
		return fmt.Sprintf("%s saw %s, want one of %v", a.server, saw, a.saw)
	}
	return ""
}
