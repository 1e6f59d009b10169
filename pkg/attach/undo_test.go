package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/ipam"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// These tests need neither root nor namespaces. The steps of an ADD are replaced by fakes with the same names in the same order, so
// that each can fail; the code that runs and undoes them is that of ADD. test/faults tests in namespaces that the undo of each real
// step removes what the step created.

var (
	errFake = errors.New("fake failure")
	errUndo = errors.New("fake failure of an undo")
)

// fakes has the steps of an ADD. Each appends its name to done and registers an undo that does the same.
type fakes struct {
	*adding

	fails     string // the step that fails
	undoFails string // the step whose undo fails
	onUndo    func(step string)
	done      []string
	dir       string // has the state files
}

func newFakes(t *testing.T) *fakes {
	t.Helper()
	dir := t.TempDir()
	dirs := store.Dirs{State: filepath.Join(dir, "state"), Data: filepath.Join(dir, "data")}
	state, err := store.Open(context.Background(), dirs, store.Key{Network: "net", ContainerID: "one", IfName: "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeState(state) })
	return &fakes{adding: &adding{preflight: preflight{cfg: &config.Config{}}, state: state}, dir: dir}
}

// list returns fake steps, which also call do[name]. Like a step of ADD, each registers its undo before it creates anything.
func (f *fakes) list(do map[string]func(context.Context) error) []step {
	steps := f.steps(io.Discard)
	for i := range steps {
		name := steps[i].name
		steps[i].do = func(ctx context.Context) error {
			f.done = append(f.done, name)
			f.undo.push("things of "+name, func() error { return f.undone(name) })
			if step := do[name]; step != nil {
				if err := step(ctx); err != nil {
					return err
				}
			}
			if name == f.fails {
				return fmt.Errorf("%s: %w", name, errFake)
			}
			return nil
		}
	}
	return steps
}

func (f *fakes) undone(name string) error {
	f.done = append(f.done, "undo "+name)
	if f.onUndo != nil {
		f.onUndo(name)
	}
	if name == f.undoFails {
		return fmt.Errorf("undo %s: %w", name, errUndo)
	}
	return nil
}

func stepNames() []string {
	return []string{"look", "reserve", "plug", "ask", "publish", "up", "print"}
}

// wantDone returns what happens if a step fails: the steps up to it, then the undo of each in reverse order.
func wantDone(fails string) []string {
	want := slices.Clone(stepNames()[:slices.Index(stepNames(), fails)+1])
	undo := slices.Clone(want)
	slices.Reverse(undo)
	for _, name := range undo {
		want = append(want, "undo "+name)
	}
	return want
}

// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestFailureAtEachStep(t *testing.T) {
	for _, name := range stepNames() {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t)
			f.fails = name
			err := f.run(context.Background(), f.list(nil))
			if !errors.Is(err, errFake) || err.Error() != name+": fake failure" {
				t.Errorf("the error is %q", err)
			}
			if diff := cmp.Diff(wantDone(name), f.done); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUndoThatFails: if an undo fails, the others still run, and the error names what remains, with DEL as the remedy.
//
// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestUndoThatFails(t *testing.T) {
	for _, name := range stepNames() {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t)
			f.fails, f.undoFails = "print", name
			err := f.run(context.Background(), f.list(nil))
			if diff := cmp.Diff(wantDone("print"), f.done); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			e := CNIError(err)
			if !errors.Is(err, errFake) || !strings.Contains(e.Msg, "print: fake failure") || !strings.Contains(e.Msg, "undo "+name+": fake failure of an undo") {
				t.Errorf("the message does not name both failures: %q", e.Msg)
			}
			if want := "left behind: things of " + name + "; call DEL, "; !strings.HasPrefix(e.Details, want) || strings.Contains(e.Details, "nothing was left") {
				t.Errorf("the details are %q, want %q first", e.Details, want)
			}
		})
	}
}

// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestNothingIsUndoneAfterSuccess(t *testing.T) {
	f := newFakes(t)
	if err := f.run(context.Background(), f.list(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stepNames(), f.done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEndBetweenSteps: an ADD whose context ends does not begin another step.
//
// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestEndBetweenSteps(t *testing.T) {
	f := newFakes(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := f.run(ctx, f.list(map[string]func(context.Context) error{"plug": func(context.Context) error {
		cancel()
		return nil
	}}))
	if !errors.Is(err, errInterrupted) {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff(wantDone("plug"), f.done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReservationIsUndone uses real state files: whichever later step fails, record and address exist until that step is undone, and do
// not exist at the end.
//
// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestReservationIsUndone(t *testing.T) {
	for _, name := range stepNames()[1:] {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t)
			f.fails = name
			f.onUndo = func(step string) {
				if want := []string{"10.1.0.2", "one@eth0.json"}; !slices.Equal(f.kept(t), want) {
					t.Errorf("%q are there while %s is undone, want %q", f.kept(t), step, want)
				}
			}
			err := f.run(context.Background(), f.list(map[string]func(context.Context) error{"reserve": f.reserveOne}))
			if !errors.Is(err, errFake) || errors.Is(err, errUndo) || strings.Contains(err.Error(), "undoing") {
				t.Errorf("the error is %v", err)
			}
			if left := f.kept(t); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestFailedUndoKeepsReservation: if an undo fails, for example because the host interface cannot be deleted, record and addresses
// stay, so that no other attachment gets the address and DEL finds the record.
//
// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestFailedUndoKeepsReservation(t *testing.T) {
	for _, name := range stepNames() {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t)
			f.fails, f.undoFails = "print", name
			err := f.run(context.Background(), f.list(map[string]func(context.Context) error{"reserve": f.reserveOne}))
			if want := []string{"10.1.0.2", "one@eth0.json"}; !slices.Equal(f.kept(t), want) {
				t.Errorf("after the undo of %s failed, %q are there, want %q", name, f.kept(t), want)
			}
			want := "left behind: things of " + name + ", the record and the addresses in it; call DEL, "
			if details := CNIError(err).Details; !strings.HasPrefix(details, want) {
				t.Errorf("the details are %q, want %q first", details, want)
			}
		})
	}
}

// TestFailedReleaseKeepsRecord: a record is removed only after its addresses are released.
//
// Claim: An ADD that fails at any step undoes the steps before it in reverse order, and reports an undo that fails
func TestFailedReleaseKeepsRecord(t *testing.T) {
	var u undo
	u.pushRelease("the record", func() error {
		t.Error("the record was removed")
		return nil
	})
	u.pushRelease("the addresses", func() error { return errUndo })
	err := errFake
	u.onError(&err)
	if details, want := CNIError(err).Details, "left behind: the addresses, the record; call DEL, "; !strings.HasPrefix(details, want) {
		t.Errorf("the details are %q, want %q first", details, want)
	}
}

// reserveOne reserves an address of 10.1.0.0/24 in the state files, and registers the undo that reserve registers.
func (f *fakes) reserveOne(ctx context.Context) error {
	pool := ipam.Pool{Sets: []ipam.Set{{{Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}}
	if err := pool.Complete(); err != nil {
		return err
	}
	f.record = newRecord(Request{ContainerID: "one", IfName: "eth0"}, &config.Config{Ident: config.Ident{Name: "net"}}, store.RolePort)
	f.undoReserve(ctx)
	f.reserved = true
	return f.state.Reserve(ctx, f.record, store.Request{Pool: pool})
}

// kept returns the names of records and address files, sorted; not those of locks and cursors.
func (f *fakes) kept(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if _, notAddr := netip.ParseAddr(name); err == nil && !entry.IsDir() && (notAddr == nil || strings.HasSuffix(name, ".json")) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return slices.Compact(names) // an address has a file and a mark
}
