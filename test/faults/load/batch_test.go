package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// batch is a number of containers of one host, each to be attached to one network by its interface eth0.
type batch struct {
	h       *nettest.Node
	plugin  string // path of a reference plugin; Patchbay if empty
	config  cni.Conf
	members []*member
}

// member is one container of a batch.
type member struct {
	*nettest.Container
	prev json.RawMessage // the result of ADD; nil if it is not attached
	more cni.Conf        // keys of this container, such as runtimeConfig
}

// newBatch creates n containers.
func newBatch(t *testing.T, h *nettest.Node, n int, config cni.Conf) *batch {
	t.Helper()
	c := &batch{h: h, config: config}
	for i := range n {
		c.members = append(c.members, &member{Container: h.Container(fmt.Sprintf("c%03d", i))})
	}
	return c
}

func (c *batch) call(t *testing.T, m *member, verb string) nettest.Call {
	conf := c.config.With(m.more)
	if m.prev != nil && verb != "ADD" {
		conf["prevResult"] = m.prev
	}
	call := cni.Call(t, verb, m.Container, conf)
	call.Plugin = c.plugin
	return call
}

// report is the outcome of one verb, called for all members concurrently.
type report struct {
	verb    string
	answers []nettest.Answer // in the order of the members
	took    time.Duration
	peak    int // the largest number of concurrent calls
}

// span is the time between start and end of a call.
type span struct{ from, to time.Time }

// all starts a verb for every member before it waits for the first, and keeps the results of ADD.
func (c *batch) all(t *testing.T, verb string) report {
	t.Helper()
	r := report{verb: verb, answers: make([]nettest.Answer, len(c.members))}
	spans := make([]span, len(c.members))
	var ended sync.WaitGroup
	start := time.Now()
	for i, m := range c.members {
		spans[i].from = time.Now()
		running := c.h.StartCNI(t, c.call(t, m, verb))
		ended.Go(func() {
			r.answers[i] = running.Wait(t)
			spans[i].to = time.Now()
		})
	}
	ended.Wait()
	r.took, r.peak = time.Since(start), peak(spans)
	if verb == "ADD" {
		c.keep(r)
	}
	return r
}

// keep stores the results of the successful ADDs.
func (c *batch) keep(r report) {
	for i, a := range r.answers {
		if a.Exit == 0 {
			c.members[i].prev = a.Stdout
		}
	}
}

// peak returns the largest number of overlapping spans.
func peak(spans []span) int {
	most := 0
	for _, at := range spans {
		n := 0
		for _, s := range spans {
			if !s.from.After(at.from) && s.to.After(at.from) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// ok counts the calls that succeeded.
func (r report) ok() int {
	failed := slices.DeleteFunc(slices.Clone(r.answers), func(a nettest.Answer) bool { return a.Exit == 0 })
	return len(r.answers) - len(failed)
}

// allOK checks that every call succeeded.
func (r report) allOK(t *testing.T) {
	t.Helper()
	for i, a := range r.answers {
		if a.Exit != 0 {
			t.Errorf("%s %d of %d: %s", r.verb, i, len(r.answers), a)
		}
	}
}

func (r report) String() string {
	return fmt.Sprintf("%-5s %6.0f/s  %3d of %d succeeded in %s, at most %d at once",
		r.verb, float64(r.ok())/r.took.Seconds(), r.ok(), len(r.answers), r.took.Round(time.Millisecond), r.peak)
}
