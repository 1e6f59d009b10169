package versions

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	workers = 5  // of each version
	pairs   = 10 // of ADD and DEL, for each worker: 50 for each version
)

// worker attaches and detaches one container, the one by its own version, the other by the other.
type worker struct {
	s          *scene
	c          *nettest.Container
	own, other string
	prev       []byte
	refused    *atomic.Int32
}

// TestBothAtOnce: fifty pairs of ADD and DEL of each version, all at once. Each ADD passes or is refused because of the newer
// table, after which the old version's reload turns the table back, under the feet of the new one. Whoever passes has its rules as
// long as it lives.
func TestBothAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, masq)
	var refused atomic.Int32
	var all []*worker
	for i := range workers {
		all = append(all,
			&worker{s: s, c: s.Container(fmt.Sprintf("old%d", i)), own: s.old, other: s.next, refused: &refused},
			&worker{s: s, c: s.Container(fmt.Sprintf("new%d", i)), own: s.next, other: s.old, refused: &refused})
	}
	var ended sync.WaitGroup
	for _, w := range all {
		ended.Go(func() { w.run(t) })
	}
	ended.Wait()
	t.Logf("%d pairs, %d ADDs refused", 2*workers*pairs, refused.Load())
	if refused.Load() == 0 {
		t.Error("no ADD of the old version met a newer table: they took no turns")
	}
	for _, w := range all {
		w.published(t)
	}
	for _, w := range all {
		ended.Go(func() { w.del(t) })
	}
	ended.Wait()
	s.masquerades()
	s.NoLeaks(t)
}

// run leaves the last attachment for the end.
func (w *worker) run(t *testing.T) {
	for i := range pairs {
		if !w.add(t) {
			return
		}
		w.published(t)
		if i < pairs-1 {
			w.del(t)
		}
	}
}

func (w *worker) call(verb string, plugin string) nettest.Call {
	return nettest.Call{Plugin: plugin, Command: verb, ContainerID: w.c.ID(), Netns: w.c.Path(), IfName: "eth0", Config: []byte(w.s.config)}
}

// add tries until it passes: each time that it is refused, the old version makes the table its own again.
func (w *worker) add(t *testing.T) bool {
	const tries = 100
	for range tries {
		answer := w.s.CNI(t, w.call("ADD", w.own))
		if answer.Exit == 0 {
			w.prev = answer.Stdout
			return true
		}
		if w.own != w.s.old || !strings.Contains(string(answer.Stdout), `"code": 108`) || !strings.Contains(string(answer.Stdout), tooNew(schema())) {
			t.Errorf("ADD of %s by %s: %s", w.c.Name(), w.own, answer)
			return false
		}
		w.refused.Add(1)
		if out, err := w.s.Command(w.own, "reload").CombinedOutput(); err != nil {
			t.Errorf("reload: %v: %s", err, out)
			return false
		}
	}
	t.Errorf("ADD of %s was refused %d times", w.c.Name(), tries)
	return false
}

func (w *worker) del(t *testing.T) {
	if answer := w.s.CNI(t, w.call("DEL", w.other)); answer.Exit != 0 {
		t.Errorf("DEL of %s by %s: %s", w.c.Name(), w.other, answer)
	}
}

// published wants the elements in the table, which nobody builds meanwhile.
func (w *worker) published(t *testing.T) {
	var text []byte
	var err error
	w.s.locked(t, func() {
		text, err = w.s.Command("nft", "list", "table", "inet", "patchbay").CombinedOutput()
	})
	if n := strings.Count(string(text), "/"+w.c.ID()+"/eth0\" : jump "); err != nil || n != 2 {
		t.Errorf("%d elements of %s, want 2 (%v) in\n%s", n, w.c.Name(), err, text)
	}
}

// locked keeps those out who build the table, and waits for them; not on the host's thread, which starts everybody.
func (s *scene) locked(t *testing.T, run func()) {
	var f *os.File
	var err error
	s.Do(func() { f, err = os.Open("/run/patchbay/.ruleset") })
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH)
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	run()
}
