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
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	workers = 5  // of each version
	pairs   = 10 // of ADD and DEL per worker: 50 per version
)

// worker adds an attachment with one version and deletes it with the other.
type worker struct {
	s          *scene
	c          *nettest.Container
	own, other string
	prev       []byte
	refused    *atomic.Int32
}

// TestBothAtOnce: fifty pairs of ADD and DEL of each version, concurrently. Each ADD succeeds or is refused because of the newer table; then
// the old version's reload downgrades the table while the new version works. Every attachment has its rules until its DEL.
//
// Claim: Two versions work on one host in turns: each removes what the other added, no rule is lost over upgrade, reload and downgrade,
// and an ADD of an older version on a newer table is refused with a message and changes nothing
func TestBothAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, cni.Masquerade())
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
		t.Error("no ADD of the old version found a newer table: the versions did not alternate")
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

// run adds and deletes; the last attachment stays.
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
	call := cni.Call(w.s.t, verb, w.c, w.s.config)
	call.Plugin = plugin
	return call
}

// add tries until ADD succeeds. After each refusal the old version downgrades the table with reload.
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

// published checks that the table has the elements, while no other process rebuilds it.
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

// locked runs a function while no process rebuilds the table. It waits for the lock outside of the host's thread, which starts all
// processes.
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
