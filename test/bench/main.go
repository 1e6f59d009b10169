// Command bench compares what an ADD and a DEL cost: with patchbay, with the reference plugins
// bridge and host-local, with the kernel's part alone, and with an exec that does nothing.
// It never measures or changes the machine's own network: every contender has a host of its own,
// which is a network namespace, and all state is on a tmpfs that ends with the program.
//
//	BENCH=quick bench     two minutes or three; BENCH=full, the default, less than fifteen
//
// The programs are those of PATCHBAY_BIN and PATCHBAY_CACHE_BIN; make bench builds them and sets
// both. The report goes to stdout. The exit code is 1 if a limit of the file limits is broken.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// inside is the argument of the second start, which is in namespaces of its own.
const inside = "inside"

func main() {
	err := run()
	if err == nil {
		return
	}
	if ended := (*exec.ExitError)(nil); !errors.As(err, &ended) { // that one has said why itself
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(1)
}

func run() error {
	p, err := planOf(os.Getenv("BENCH"))
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces take root: run make bench")
	}
	if len(os.Args) < 2 || os.Args[1] != inside {
		return startInside()
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.within)
	defer cancel()
	return bench(ctx, p, os.Stdout)
}

// startInside starts this program again, in a network and a mount namespace that the kernel takes
// away with it.
func startInside() error {
	cmd := exec.Command("/proc/self/exe", inside)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd.Run()
}

// bench runs the comparisons, prints what each found, and judges all of it.
func bench(ctx context.Context, p plan, out io.Writer) error {
	limits, err := parseLimits(limitsFile)
	if err != nil {
		return err
	}
	c, err := newContest()
	if err != nil {
		return err
	}
	if err := printMachine(out, c.programs); err != nil {
		return err
	}
	before, err := loadNow()
	if err != nil {
		return err
	}
	var found []metric
	for _, section := range []func(context.Context, *contest, plan, io.Writer) ([]metric, error){oneByOne, masqueraded, published, together, crowded, statuses, amongPorts, connected} {
		more, err := section(ctx, c, p, out)
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	if err := printLoad(out, before); err != nil {
		return err
	}
	return judge(out, found, limits)
}
