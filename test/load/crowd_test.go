package load

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// crowd is many containers of one host, each to be attached to one network by its interface eth0.
type crowd struct {
	h       *nettest.Node
	plugin  string // of the reference; ours if empty
	config  string
	members []*member
}

// member is one of them.
type member struct {
	*nettest.Container
	prev []byte // what ADD printed
	more []byte // its own section runtimeConfig; nil for none
}

// gather makes n containers.
func gather(t *testing.T, h *nettest.Node, n int, config string) *crowd {
	t.Helper()
	c := &crowd{h: h, config: config}
	for i := range n {
		c.members = append(c.members, &member{Container: h.Container(fmt.Sprintf("c%03d", i))})
	}
	return c
}

func (c *crowd) call(m *member, verb string) nettest.Call {
	call := nettest.Call{Command: verb, ContainerID: m.ID(), Netns: m.Path(), IfName: "eth0", Plugin: c.plugin, Config: []byte(c.config)}
	if m.more != nil {
		call.Config = with(c.config, "runtimeConfig", m.more)
	}
	if m.prev != nil && verb != "ADD" {
		call.Config = with(string(call.Config), "prevResult", m.prev)
	}
	return call
}

// report is what came of one verb for everybody at once.
type report struct {
	verb    string
	answers []nettest.Answer // in the order of the members
	took    time.Duration
	peak    int // most calls that were under way at one moment
}

// span is when a call was under way.
type span struct{ from, to time.Time }

// all starts a verb for every member, waits for none before all have been started, and keeps the results of ADD.
func (c *crowd) all(t *testing.T, verb string) report {
	t.Helper()
	r := report{verb: verb, answers: make([]nettest.Answer, len(c.members))}
	spans := make([]span, len(c.members))
	var ended sync.WaitGroup
	start := time.Now()
	for i, m := range c.members {
		spans[i].from = time.Now()
		running := c.h.StartCNI(t, c.call(m, verb))
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

// keep stores what the ADDs printed that succeeded.
func (c *crowd) keep(r report) {
	for i, a := range r.answers {
		if a.Exit == 0 {
			c.members[i].prev = a.Stdout
		}
	}
}

// peak counts how many spans overlap where most do.
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

// allOK must be so.
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
