package power

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/disk"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// trace is what a verb does to the disk.
type trace struct {
	before disk.Tree
	ops    []disk.Op
	answer nettest.Answer

	kill    string // the path before whose fsync the verb is killed; "" for none
	existed bool   // the file of the call that follows
	size    int64
	errs    []error
}

// record makes a call under the stepper.
func record(t testing.TB, h *nettest.Node, call nettest.Call) *trace {
	t.Helper()
	r := &trace{}
	r.record(t, h, call)
	r.answer.OK(t)
	return r
}

// recordKilled makes a call that is killed before the fsync of a path.
func recordKilled(t testing.TB, h *nettest.Node, call nettest.Call, path string) *trace {
	t.Helper()
	r := &trace{kill: path}
	r.record(t, h, call)
	if r.answer.Exit != -1 {
		t.Fatalf("%s made no fsync of %s: %s", call.Command, path, r.answer)
	}
	return r
}

// then appends what later calls did.
func (r *trace) then(later ...*trace) *trace {
	for _, l := range later {
		r.ops, r.answer = append(r.ops, l.ops...), l.answer
	}
	return r
}

// record makes a call.
func (r *trace) record(t testing.TB, h *nettest.Node, call nettest.Call) {
	t.Helper()
	r.run(t, h, stepper.Program{Stdin: call.Config, Env: []string{
		"CNI_COMMAND=" + call.Command, "CNI_PATH=" + plugins(t), "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName, "CNI_ARGS=" + call.Args,
	}})
}

// run runs patchbay.
func (r *trace) run(t testing.TB, h *nettest.Node, program stepper.Program) {
	t.Helper()
	program.Path, program.Details = nettest.Patchbay(t), true
	var ending stepper.Ending
	var after disk.Tree
	var errs [3]error
	h.Do(func() {
		r.before, errs[0] = readTree()
		ending, errs[1] = stepper.Run(program, r.watch)
		after, errs[2] = readTree()
	})
	for _, err := range append(errs[:], r.errs...) {
		if err != nil {
			t.Fatalf("record: %v", err)
		}
	}
	r.answer = nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
	r.sortSyncs()
	r.isComplete(t, after)
}

// sortSyncs sorts fsyncs that follow each other: they are made at the same time, and are in another order in each run.
func (r *trace) sortSyncs() {
	for i := range r.ops {
		for k := i; k > 0 && r.ops[k].Kind == disk.Sync && r.ops[k-1].Kind == disk.Sync && r.ops[k].Path < r.ops[k-1].Path; k-- {
			r.ops[k], r.ops[k-1] = r.ops[k-1], r.ops[k]
		}
	}
}

// isComplete requires that the recorded operations lead to the tree that the verb left: nothing is missing.
func (r *trace) isComplete(t testing.TB, after disk.Tree) {
	t.Helper()
	synced := append(append([]disk.Op{}, r.ops...), disk.Op{Kind: disk.Sync, Path: root})
	disks, err := disk.Ext4().After(r.before, synced)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(after, disks[0].Tree); diff != "" {
		t.Fatalf("the recorded operations do not lead to what the verb left (-left +recorded):\n%s", diff)
	}
}

// watch records the changes of files on the disk.
func (r *trace) watch(step stepper.Step) stepper.Act {
	d := step.Detail
	if !onDisk(d.Path) && !onDisk(d.To) {
		if step.Kind == stepper.Child && onDisk(step.Path) {
			r.errs = append(r.errs, fmt.Errorf("a child process changes the disk: %s", step.Text))
		}
		return stepper.Go()
	}
	if r.kill != "" && step.Kind == stepper.Sync && d.Path == r.kill {
		return stepper.Signal(syscall.SIGKILL)
	}
	if !step.After {
		info, err := os.Lstat(d.Path)
		if r.existed = err == nil; r.existed {
			r.size = info.Size()
		}
		return stepper.Go()
	}
	if step.Result >= 0 {
		if err := r.append(d); err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %w", step.Text, err))
		}
	}
	return stepper.Go()
}

// append adds the operation of a call that succeeded. An operation that package disk does not know is an error.
func (r *trace) append(d stepper.Detail) (err error) {
	op := disk.Op{Kind: disk.Kind(d.Op), Path: d.Path, To: d.To}
	switch d.Op {
	case "open":
		switch {
		case !r.existed:
			op.Kind = disk.Create
			op.ID, err = inode(d.Path)
		case d.Flags&unix.O_TRUNC != 0 && r.size > 0:
			op.Kind = disk.Truncate
		default:
			return nil
		}
	case "write":
		op.Data, op.Offset = d.Data, d.Offset
	case "truncate":
		op.Size = d.Offset
	case "chmod", "chown":
		return nil
	case "rename", "link", "symlink", "unlink", "mkdir", "rmdir", "fsync":
	default:
		err = fmt.Errorf("the operation is not known")
	}
	r.ops = append(r.ops, op)
	return err
}
