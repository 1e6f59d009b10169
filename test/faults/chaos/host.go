package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
)

const (
	callers    = 8
	containers = 3 // of each caller
	phases     = 3 // of a round
	steps      = 8 // of each caller in a phase
)

// counters is the file that `patchbay metrics` keeps.
const counters = "/var/lib/patchbay/metrics.json"

// Host is a host with two versions of the program, of which one is installed.
type Host struct {
	*nettest.Node
	Counts
	// Beside runs during the calls of each phase, and ends before the host is looked at; may be nil.
	Beside func(*rand.Rand)

	seed     uint64
	bin      string // CNI_PATH
	versions [2]string
	version  int // the installed one
	networks []network
	callers  []*caller
	history  history
	sticky   map[key][]string // by attachment, the addresses that it has had

	verbs     map[string]*sync.RWMutex // by network: GC excludes ADD and DEL (CNI SPEC.md section 2, "Lifecycle & Ordering")
	disturbed atomic.Int64             // odd while another program's deletions are not restored
	swaps     atomic.Int64
	mu        sync.Mutex
	owners    map[string]key // by network and address, of live attachments
}

// key identifies an attachment.
type key struct{ network, id, ifname string }

func (k key) String() string { return k.network + "/" + k.id + "/" + k.ifname }

// Bin makes a directory of plugins with the program under all names of a drop-in.
func Bin(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	dropin.Copy(t, "loopback", dir, "loopback")
	return dir
}

// New prepares a host. bin is the directory of plugins from Bin, into which the program is installed.
func New(t testing.TB, node *nettest.Node, bin string, seed uint64) *Host {
	t.Helper()
	h := &Host{
		Node: node, seed: seed, bin: bin, networks: networks(),
		versions: [2]string{nettest.Patchbay(t), nettest.Program(t, "patchbay-next")},
		verbs:    map[string]*sync.RWMutex{}, owners: map[string]key{}, sticky: map[key][]string{},
	}
	for _, n := range h.networks {
		h.verbs[n.name] = &sync.RWMutex{}
	}
	h.Allow("file " + counters)
	// Forwarding stays enabled after an uninstall, since other programs may need it by then.
	node.Run(t, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	node.Baseline()
	h.install(t, 0)
	return h
}

// install replaces the installed program by a version, as an administrator or a package does.
func (h *Host) install(t testing.TB, version int) {
	t.Helper()
	out, err := h.Command(h.versions[version], "install", "--drop-in", "--bin-dir", h.bin).CombinedOutput()
	if err != nil {
		t.Errorf("install version %d: %v\n%s", version, err, out)
	}
	h.history.add("install %s", filepath.Base(h.versions[version]))
	if h.version != version {
		h.swaps.Add(1)
	}
	h.version = version
}

// program returns the path of the installed program.
func (h *Host) program() string { return filepath.Join(h.bin, "patchbay") }

// Round runs one round. It stops with t.Fatal if something is wrong, and prints how to run it again.
func (h *Host) Round(t testing.TB, round uint64) {
	t.Helper()
	h.history.begin(round)
	random := rand.New(rand.NewPCG(h.seed, round))
	h.populate(t, random)
	for phase := range phases {
		h.phase(t, random, phase)
		h.settle(t)
		h.failed(t, round)
	}
	h.clear(t)
	h.failed(t, round)
	h.Rounds++
}

// failed stops the test if it has failed.
func (h *Host) failed(t testing.TB, round uint64) {
	t.Helper()
	if !t.Failed() {
		return
	}
	path := h.history.write(h.seed, round)
	t.Fatalf("in round %d of seed %d; the calls are in %s. Again: SEED=%d ROUND=%d make chaos\nthe last ones:\n%s", round, h.seed, path, h.seed, round, h.history.last(40))
}

// populate creates callers and their containers.
func (h *Host) populate(t testing.TB, random *rand.Rand) {
	t.Helper()
	h.callers = nil
	for i := range callers {
		c := &caller{h: h, random: rand.New(rand.NewPCG(random.Uint64(), uint64(i)))}
		for j := range containers {
			box := &container{name: fmt.Sprintf("c%d-%d", i, j), attached: map[string]*attachment{}}
			box.Container = h.Container(box.name)
			c.containers = append(c.containers, box)
		}
		h.callers = append(h.callers, c)
	}
}

// phase runs the callers and the neighbour at once.
func (h *Host) phase(t testing.TB, random *rand.Rand, phase int) {
	n := &neighbour{h: h, random: rand.New(rand.NewPCG(random.Uint64(), 1)), hostile: phase%2 == 1, stop: make(chan struct{})}
	beside := rand.New(rand.NewPCG(random.Uint64(), 2))
	var calling, others sync.WaitGroup
	for _, c := range h.callers {
		calling.Go(func() { c.run(t) })
	}
	others.Go(func() { n.run(t) })
	if h.Beside != nil {
		others.Go(func() { h.Beside(beside) })
	}
	calling.Wait()
	close(n.stop)
	others.Wait()
}

// settle lets the newer version work alone: as a runtime that has started again, it collects what calls that were killed have left. After
// deletions by another program the host is restored.
func (h *Host) settle(t testing.TB) {
	t.Helper()
	h.install(t, 1)
	if h.disturbed.Load() > 0 {
		h.disturbed.Store(0)
		h.command(t, "reload")
	}
	for _, n := range h.networks {
		h.gc(t, n, killer{})
	}
	for _, c := range h.callers {
		c.forget()
	}
	h.command(t, "gc")
	h.compare(t)
}

// clear detaches everything, and requires the host to be as it was, but for what attachments share.
func (h *Host) clear(t testing.TB) {
	t.Helper()
	for _, c := range h.callers {
		for _, box := range c.containers {
			for _, a := range box.attached {
				c.del(t, a, false)
			}
		}
	}
	h.compare(t)
	h.NoLeaks(t)
	for _, c := range h.callers {
		for _, box := range c.containers {
			box.Delete()
		}
	}
}

// End uninstalls the program with all that it keeps. Then the host must be as it was before the first call.
func (h *Host) End(t testing.TB) {
	t.Helper()
	out, err := h.Command(h.program(), "uninstall", "--purge", "--bin-dir", h.bin).CombinedOutput()
	if err != nil {
		t.Errorf("uninstall: %v\n%s", err, out)
	}
	h.Do(func() {
		if _, err = os.Stat(counters); err == nil {
			t.Errorf("%s is left after uninstall --purge", counters)
		}
	})
	for _, file := range []string{": ", "/networks: ", "/networks/named: ", "/networks/named/lock: ", "/networks/named/last_reserved_ip."} {
		h.Allow("file /var/lib/cni" + file) // shared with the reference plugin host-local, which leaves the same
	}
	h.Oracle(nettest.CleanHost)
	h.NoLeaks(t)
}
