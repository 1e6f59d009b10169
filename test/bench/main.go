// Command bench compares the duration of ADD and DEL: of Patchbay, of the reference plugins bridge and host-local, of the kernel calls alone,
// and of the exec of a program that does nothing.
// It does not measure or change the network of the machine: every contender has its own network namespace as host, and all state is on a
// tmpfs that ends with the program.
//
//	BENCH=quick bench     two to three minutes; BENCH=full, the default, less than fifteen
//
// It finds the programs by PATCHBAY_BIN and PATCHBAY_CACHE_BIN; make bench builds them and sets both. It prints the report on standard
// output and exits with status 1 if a limit in the file limits is broken.
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

// inside is the argument of the second start, in new namespaces.
const inside = "inside"

func main() {
	err := run()
	if err == nil {
		return
	}
	if ended := (*exec.ExitError)(nil); !errors.As(err, &ended) { // the second start has printed its error
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
		return errors.New("network namespaces require root: run make bench")
	}
	if len(os.Args) < 2 || os.Args[1] != inside {
		return startInside()
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.within)
	defer cancel()
	return bench(ctx, p, os.Stdout)
}

// startInside starts this program again in a new network and mount namespace.
func startInside() error {
	cmd := exec.Command("/proc/self/exe", inside)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd.Run()
}

// bench runs and prints the comparisons and checks the limits.
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
	for _, section := range []func(context.Context, *contest, plan, io.Writer) ([]metric, error){oneByOne, masqueraded, published, wholeChain, together, crowded, statuses, amongPorts, connected, byName} {
		more, err := section(ctx, c, p, out)
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	if err := printLoad(out, before); err != nil {
		return err
	}
	return checkLimits(out, found, limits)
}
