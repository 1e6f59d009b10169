package load

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	workers    = 16
	population = 24 // containers
)

// churn is a host, its containers, and what the model says of them.
type churn struct {
	h          *nettest.Node
	planner    *planner
	containers map[string]*nettest.Container // by the ID that is used in calls
	books      map[string]book

	mu   sync.Mutex
	prev map[key][]byte // the runtime's cache: the last result of each
}

// TestChurn: workers that know nothing of each other attach, detach and check at random. Every answer must be one that the model
// allows, and after every round kernel, ruleset and files must be what the answers say. All the while somebody builds the ruleset
// anew, again and again. Between rounds a container may lose its namespace, or the host its ruleset.
func TestChurn(t *testing.T) {
	seed := setting(t, "PATCHBAY_LOAD_SEED", uint64(time.Now().UnixNano()))
	rounds := setting(t, "PATCHBAY_LOAD_ROUNDS", 12)
	t.Logf("PATCHBAY_LOAD_SEED=%d PATCHBAY_LOAD_ROUNDS=%d", seed, rounds)
	c := newChurn(t, seed)
	tally := map[string]int{}
	for round := range rounds {
		stop := c.reload(t)
		calls := c.round(t)
		stop()
		c.judge(t, calls)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
		count(tally, calls)
		c.accident(t)
	}
	t.Logf("%d rounds: %v", rounds, tally)
	c.end(t)
}

// setting is a number of the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func newChurn(t *testing.T, seed uint64) *churn {
	t.Helper()
	c := &churn{
		h: nettest.Host(t), planner: newPlanner(seed, population),
		containers: map[string]*nettest.Container{}, books: map[string]book{}, prev: map[key][]byte{},
	}
	c.h.Run(t, "ip", "address", "add", publishedOn+"/32", "dev", "lo")
	c.h.Baseline()
	for i, name := range c.planner.ids {
		one := c.h.Container(name)
		c.planner.ids[i] = one.ID()
		c.containers[one.ID()], c.books[one.ID()] = one, newBook()
	}
	return c
}

// round makes the calls that the planner chose, as many at once as there are workers.
func (c *churn) round(t *testing.T) []done {
	t.Helper()
	todo, out := make(chan op), make(chan done)
	var busy sync.WaitGroup
	for range workers {
		busy.Go(func() {
			for o := range todo {
				out <- c.do(t, o)
			}
		})
	}
	go func() {
		for _, o := range c.planner.round() {
			todo <- o
		}
		close(todo)
		busy.Wait()
		close(out)
	}()
	var calls []done
	for d := range out {
		calls = append(calls, d)
	}
	slices.SortFunc(calls, func(a, b done) int { return a.from.Compare(b.from) })
	return calls
}

// reload calls the command for people until stop.
func (c *churn) reload(t *testing.T) (stop func()) {
	enough, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			out, err := c.h.Command(nettest.Patchbay(t), "reload").CombinedOutput()
			if err != nil {
				t.Errorf("reload: %v: %s", err, out)
			}
			select {
			case <-enough:
				return
			default:
			}
		}
	}()
	return func() { close(enough); <-ended }
}

// present are the attachments of all books.
func (c *churn) present() []key {
	var keys []key
	for _, b := range c.books {
		for k := range b.here {
			keys = append(keys, k)
		}
	}
	return keys
}

// do makes one call as a runtime would, with the last result it knows.
func (c *churn) do(t *testing.T, o op) done {
	call := nettest.Call{
		Command: o.verb, ContainerID: o.key.ID, Netns: c.containers[o.key.ID].Path(), IfName: o.key.IfName, Config: []byte(o.config),
	}
	if o.away {
		call.Netns = ""
	}
	d := done{op: o}
	if o.verb != "ADD" && !o.bare {
		d.prev = c.cached(o.key)
	}
	if d.prev != nil {
		call.Config = with(o.config, "prevResult", d.prev)
	}
	d.from = time.Now()
	answer := c.h.StartCNI(t, call).Wait(t)
	d.to = time.Now()
	c.read(&d, answer)
	return d
}

func (c *churn) cached(k key) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prev[k]
}

// read takes an answer apart. What is no answer of CNI at all has the code 1, which nothing allows.
func (c *churn) read(d *done, a nettest.Answer) {
	d.answer = a.String()
	var e types.Error
	switch {
	case len(a.Stderr) > 0:
		d.code = 1
	case a.Exit != 0:
		if d.code = 1; json.Unmarshal(a.Stdout, &e) == nil {
			d.code = e.Code
		}
	case d.verb == "ADD":
		d.result, d.addresses = a.Stdout, addressesIn(a.Stdout)
		c.mu.Lock()
		c.prev[d.key] = a.Stdout
		c.mu.Unlock()
	}
}

// addressesIn are those of a result, as "10.1.0.2/24".
func addressesIn(result []byte) []string {
	var r struct{ IPs []struct{ Address string } }
	_ = json.Unmarshal(result, &r)
	out := []string{}
	for _, ip := range r.IPs {
		out = append(out, ip.Address)
	}
	return sorted(out)
}

// accident takes a container's namespace away, as a crash does, after most rounds; the ID will be used again.
func (c *churn) accident(t *testing.T) {
	t.Helper()
	if c.planner.random.IntN(3) == 0 {
		c.h.Run(t, "nft", "flush", "ruleset")
		c.h.Run(t, nettest.Patchbay(t), "reload")
		return
	}
	id := c.planner.crash()
	one, b := c.containers[id], c.books[id]
	c.destroy(t, one)
	c.containers[id] = c.h.Container(one.Name())
	for k, e := range b.here {
		e.dead = true
		b.here[k] = e
	}
}

// destroy deletes a container and waits until the kernel has destroyed its cables.
func (c *churn) destroy(t *testing.T, one *nettest.Container) {
	t.Helper()
	updates, stop := make(chan netlink.LinkUpdate, 256), make(chan struct{})
	defer close(stop)
	var err error
	c.h.Do(func() { err = netlink.LinkSubscribe(updates, stop) })
	if err != nil {
		t.Fatal(err)
	}
	mine := func() (n int) {
		s := newState()
		s.lookAtLinks(t, c.h)
		for k := range s.Links {
			if k.ID == one.ID() {
				n++
			}
		}
		return n
	}
	one.Delete()
	for mine() > 0 {
		for u := range updates {
			if u.Header.Type == unix.RTM_DELLINK {
				break
			}
		}
	}
}

// end detaches everything, also what is dead; nothing may be left.
func (c *churn) end(t *testing.T) {
	t.Helper()
	for _, k := range c.present() {
		d := c.do(t, op{verb: "DEL", key: k, config: c.planner.configOf(k)})
		if d.code != 0 {
			t.Errorf("%s: %s", d.op, d.answer)
		}
	}
	c.h.NoLeaks(t)
	look(t, c.h, c.living()).equal(t, newState())
}

func (c *churn) living() []*nettest.Container {
	var out []*nettest.Container
	for _, one := range c.containers {
		out = append(out, one)
	}
	return out
}
