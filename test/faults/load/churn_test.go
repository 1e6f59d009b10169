package load

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	workers    = 16
	population = 24 // containers
)

// churn is a host with containers, and the model of each.
type churn struct {
	h          *nettest.Node
	planner    *planner
	containers map[string]*nettest.Container // by the ID that is used in calls
	models     map[string]model
	log        string // CNI_LOG_FILE of the calls; "" for none

	mu   sync.Mutex
	prev map[key]json.RawMessage // the runtime's cache: the last result of each attachment
}

// TestChurn: independent workers call ADD, DEL and CHECK at random while `patchbay reload` rebuilds the ruleset in a loop. The model must
// allow every answer, and after every round kernel, ruleset and files must agree with the answers. Between rounds the namespace of
// a container or the ruleset of the host may be deleted.
//
// Claim: Concurrent ADDs, CHECKs and DELs give answers and a final state that some sequential order explains
// Claim: CHECK detects the result of an earlier ADD with another address
// Claim: A DEL before the first ADD of a network, or at the same time, does no harm
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
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
		c.compare(t, calls)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
		count(tally, calls)
		c.disrupt(t)
	}
	t.Logf("%d rounds: %v", rounds, tally)
	c.end(t)
}

// setting returns a number from an environment variable.
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
		containers: map[string]*nettest.Container{}, models: map[string]model{}, prev: map[key]json.RawMessage{},
	}
	for _, addr := range []string{publishedOn + "/32", outbound4 + "/32", outbound6 + "/128"} {
		c.h.Run(t, "ip", "address", "add", addr, "dev", "lo")
	}
	c.h.Baseline()
	for i, name := range c.planner.ids {
		one := c.h.Container(name)
		c.planner.ids[i] = one.ID()
		c.containers[one.ID()], c.models[one.ID()] = one, newModel()
	}
	return c
}

// round makes the calls that the planner chose, one at a time per worker.
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

// reload runs `patchbay reload` in a loop until stop is called.
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

// present returns the attachments of all models.
func (c *churn) present() []key {
	var keys []key
	for _, b := range c.models {
		for k := range b.here {
			keys = append(keys, k)
		}
	}
	return keys
}

// do makes one call as a runtime does, with the last cached result as prevResult.
func (c *churn) do(t *testing.T, o op) done {
	call := nettest.Call{
		Command: o.verb, ContainerID: o.key.ID, Netns: c.containers[o.key.ID].Path(), IfName: o.key.IfName,
	}
	if o.noNetns {
		call.Netns = ""
	}
	if c.log != "" {
		call.Env = []string{"CNI_LOG_FILE=" + c.log}
	}
	d := done{op: o}
	if o.verb != "ADD" && !o.noPrevResult {
		d.prev = c.cached(o.key)
	}
	conf := o.config
	if d.prev != nil {
		conf = conf.With(cni.Conf{"prevResult": d.prev})
	}
	call.Config = conf.JSON(t)
	d.from = time.Now()
	answer := c.h.StartCNI(t, call).Wait(t)
	d.to = time.Now()
	c.read(&d, answer)
	return d
}

func (c *churn) cached(k key) json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prev[k]
}

// read parses an answer. One that is not a CNI result or error, or that warns on stderr, has code 1, which the model never allows.
func (c *churn) read(d *done, a nettest.Answer) {
	d.answer = a.String()
	var e types.Error
	switch {
	case len(a.Stderr) > 0 && !flowsTimedOut(string(a.Stderr)):
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

// flowsTimedOut reports whether stderr is the warning of an ADD that could not end old flows within its second. Under this load that is allowed.
func flowsTimedOut(stderr string) bool {
	return strings.Contains(stderr, "may be misdirected until they are idle") && (strings.Contains(stderr, "deadline exceeded") || strings.Contains(stderr, "i/o timeout"))
}

// addressesIn returns the addresses of a result as "10.1.0.2/24", sorted; none if it cannot be parsed.
func addressesIn(result []byte) []string {
	var r struct{ IPs []struct{ Address string } }
	_ = json.Unmarshal(result, &r)
	out := []string{}
	for _, ip := range r.IPs {
		out = append(out, ip.Address)
	}
	return sorted(out)
}

// disrupt flushes the ruleset and reloads it, or deletes the namespace of a container, as a crash does; its ID is used again.
func (c *churn) disrupt(t *testing.T) {
	t.Helper()
	if c.planner.random.IntN(3) == 0 {
		c.h.Run(t, "nft", "flush", "ruleset")
		c.h.Run(t, "sh", "-c", `for i in 1 2 3 4 5; do "$0" reload && exit; done; exit 1`, nettest.Patchbay(t))
		return
	}
	id := c.planner.crash()
	one, b := c.containers[id], c.models[id]
	c.destroy(t, one)
	c.containers[id] = c.h.Container(one.Name())
	for k, e := range b.here {
		e.stale = true
		b.here[k] = e
	}
}

// destroy deletes a container and waits until the kernel has deleted its veth pairs.
func (c *churn) destroy(t *testing.T, one *nettest.Container) {
	t.Helper()
	updates, stop := make(chan netlink.LinkUpdate, 256), make(chan struct{})
	defer close(stop)
	var err error
	c.h.Do(func() { err = netlink.LinkSubscribe(updates, stop) })
	if err != nil {
		t.Fatal(err)
	}
	links := func() (n int) {
		s := newState()
		s.readLinks(t, c.h)
		for k := range s.Links {
			if k.ID == one.ID() {
				n++
			}
		}
		return n
	}
	one.Delete()
	for links() > 0 {
		for u := range updates {
			if u.Header.Type == unix.RTM_DELLINK {
				break
			}
		}
	}
}

// detachAll calls DEL for everything, stale attachments too.
func (c *churn) detachAll(t *testing.T) {
	t.Helper()
	for _, k := range c.present() {
		if d := c.detach(t, k); d.code != 0 {
			t.Errorf("%s: %s", d.op, d.answer)
		}
		c.models[k.ID] = c.models[k.ID].without(k)
	}
}

// detach calls DEL, and again if it has waited for a lock for 10 s.
func (c *churn) detach(t *testing.T, k key) (d done) {
	for range 10 {
		if d = c.do(t, op{verb: "DEL", key: k, config: c.planner.configOf(k)}); !gaveUp(d) {
			break
		}
	}
	return d
}

// gaveUp reports whether a call has waited for a lock for 10 s, as it may on a machine on which a process gets no CPU for so long.
func gaveUp(d done) bool { return strings.Contains(d.answer, "in use by another process") }

// end detaches everything; nothing may be left behind.
func (c *churn) end(t *testing.T) {
	t.Helper()
	c.detachAll(t)
	c.h.NoLeaks(t)
	readState(t, c.h, c.containerList()).equal(t, newState())
}

func (c *churn) containerList() []*nettest.Container {
	var out []*nettest.Container
	for _, one := range c.containers {
		out = append(out, one)
	}
	return out
}
