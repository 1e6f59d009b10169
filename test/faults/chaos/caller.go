package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// caller is a runtime with containers of its own. It makes one call at a time.
type caller struct {
	h          *Host
	random     *rand.Rand
	containers []*container
}

// container is a network namespace. When it is deleted another one takes its name and ID, as a restarted pod of a StatefulSet does.
type container struct {
	*nettest.Container
	name     string
	attached map[string]*attachment // by interface name
	gone     atomic.Bool            // the namespace was deleted
}

// attachment is an interface of a container on a network, or the attempt to make one.
type attachment struct {
	key
	net     network
	box     *container
	port    int
	unknown bool              // a call was killed: what exists is not known until the runtime has cleaned up
	results []json.RawMessage // of ADD, by plugin; prevResult of the next one
}

// last returns the result that a runtime caches.
func (a *attachment) last() json.RawMessage {
	if len(a.results) < len(a.net.plugins) {
		return nil
	}
	return a.results[len(a.results)-1]
}

func (c *caller) run(t testing.TB) {
	for range steps {
		if t.Failed() {
			return
		}
		c.step(t)
	}
}

// chance returns true in one of n cases.
func (c *caller) chance(n int) bool { return c.random.IntN(n) == 0 }

// step makes one call, and what a runtime does after it if it was killed. The number of random choices depends on the state alone.
func (c *caller) step(t testing.TB) {
	box := c.containers[c.random.IntN(len(c.containers))]
	ifname := []string{"eth0", "eth1"}[c.random.IntN(2)]
	dice, kill := c.random.IntN(100), c.chance(4)
	a := box.attached[ifname]
	switch {
	case a == nil && dice < 85:
		n := c.h.networks[c.random.IntN(len(c.h.networks))]
		if box.isOn(n) {
			return // two interfaces in one subnet: which one answers is the container's own affair
		}
		c.attach(t, c.newAttachment(n, box, ifname), kill)
	case a != nil && a.unknown: // the runtime has given up; it collects garbage later
	case a != nil && dice < 45:
		c.detach(t, a, kill)
	case a != nil && dice < 70:
		c.h.check(t, a, c.killer(kill))
	case a != nil && dice < 80:
		c.crash(t, box)
	case dice < 92:
		c.h.status(t, c.h.networks[c.random.IntN(len(c.h.networks))], c.killer(kill))
	default:
		c.h.gc(t, c.h.networks[c.random.IntN(len(c.h.networks))], c.killer(kill))
	}
}

func (b *container) isOn(n network) bool {
	for _, a := range b.attached {
		if a.network == n.name {
			return true
		}
	}
	return false
}

func (c *caller) newAttachment(n network, box *container, ifname string) *attachment {
	a := &attachment{key: key{n.name, box.ID(), ifname}, net: n, box: box}
	var i, j int
	_, _ = fmt.Sscanf(box.name, "c%d-%d", &i, &j)
	a.port = 8000 + 10*i + 2*j
	if ifname == "eth1" {
		a.port++
	}
	if n.name != "ports" { // each network with ports has its own
		a.port += 100 * (1 + len(n.plugins))
	}
	return a
}

// attach calls ADD. A runtime that finds its call ended by a signal deletes, collects garbage, tries again, deletes the namespace, or forgets
// the attachment until it collects garbage the next time.
func (c *caller) attach(t testing.TB, a *attachment, kill bool) {
	a.box.attached[a.ifname] = a
	switch c.h.add(t, a, c.killer(kill)) {
	case succeeded:
	case failed:
		c.del(t, a, false)
	case killed:
		c.recover(t, a)
	}
}

func (c *caller) recover(t testing.TB, a *attachment) {
	a.unknown = true
	switch c.random.IntN(5) {
	case 0:
		c.del(t, a, false)
	case 1:
		c.h.gc(t, a.net, killer{})
		delete(a.box.attached, a.ifname)
	case 2:
		c.retry(t, a)
	case 3:
		c.crash(t, a.box)
	}
}

// retry calls ADD again. What the first one has made may be complete, which is error 100; then, as after every failed ADD, DEL follows.
func (c *caller) retry(t testing.TB, a *attachment) {
	a.results = nil
	switch c.h.add(t, a, killer{again: true}) {
	case succeeded:
		a.unknown = false
	default:
		c.del(t, a, false)
	}
}

func (c *caller) detach(t testing.TB, a *attachment, kill bool) {
	if c.del(t, a, kill) {
		return
	}
	a.unknown = true
	switch c.random.IntN(4) {
	case 0, 1:
		c.del(t, a, false)
	case 2:
		c.h.gc(t, a.net, killer{})
		delete(a.box.attached, a.ifname)
	}
}

// del calls DEL, and returns false if the call was killed.
func (c *caller) del(t testing.TB, a *attachment, kill bool) bool {
	if c.h.del(t, a, c.killer(kill)) == killed {
		return false
	}
	delete(a.box.attached, a.ifname)
	return true
}

// crash deletes the namespace of a container, and calls DEL without it, as after the crash of a container or of the node's runtime. Another
// container of its name follows.
func (c *caller) crash(t testing.TB, box *container) {
	c.h.history.add("delete the namespace of %s", box.name)
	for _, a := range box.attached {
		c.h.release(a)
	}
	box.Delete()
	box.gone.Store(true)
	for _, ifname := range []string{"eth0", "eth1"} {
		if a := box.attached[ifname]; a != nil {
			c.del(t, a, false)
		}
	}
	box.Container = c.h.Container(box.name)
	box.gone.Store(false)
}

// forget removes the attachments that GC has removed.
func (c *caller) forget() {
	for _, box := range c.containers {
		for ifname, a := range box.attached {
			if a.unknown {
				delete(box.attached, ifname)
			}
		}
	}
}
