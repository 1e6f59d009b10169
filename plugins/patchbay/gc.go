package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/upkeep"
)

// gcFlags are the flags of `patchbay gc`.
type gcFlags struct {
	common
	output
	dry bool
}

func gcCommand() command {
	f := &gcFlags{}
	return command{
		name: "gc", short: "remove attachments whose network namespace no longer exists",
		long: `Removes stale attachments of every owner: those whose host interface no longer exists and
whose network namespace no longer exists either, or whose addresses host-local has released, as
after a move back to the reference plugins; and addresses left over from the previous boot. It
never removes a live attachment, one that another process works on, one whose record cannot be
read, or one whose delegated IPAM plugin has to be called: DEL or detach does that. It prints a
line for each removal, continues after an error, and then exits with status 1. -o json prints one
object: dryRun, and done, a list of these lines. (The CNI verb GC is different: it removes
attachments that a runtime does not list as valid.)`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only of this network")
			flags.BoolVar(&f.dry, "dry-run", false, "print what would be removed, and change nothing")
			f.registerState(flags)
			f.registerOutput(flags)
		},
		run: f.collect,
	}
}

func (f *gcFlags) collect(out io.Writer) error {
	asJSON, err := f.wantsJSON()
	if err != nil {
		return err
	}
	if err := privileged("gc", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	dir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return err
	}
	all, err := inventory.New(dir).Attachments(f.network)
	if err != nil {
		return readable(err)
	}
	if err := f.known(all); err != nil {
		return err
	}
	done, err := upkeep.Clean(context.Background(), upkeep.CleanOptions{StateDir: dir, Network: f.network, DryRun: f.dry})
	err = readableError(err)
	if !f.dry {
		err = errors.Join(err, cli.ForgetDeletedNetns())
		done = append(done, slices.DeleteFunc(f.syncNames(nil), func(s string) bool { return !strings.HasPrefix(s, "deleted ") })...)
	}
	if asJSON {
		return errors.Join(err, printJSON(out, map[string]any{"dryRun": f.dry, "done": append([]string{}, done...)}))
	}
	for _, sentence := range done {
		sayLine(out, "%s", sentence)
	}
	if len(done) == 0 && err == nil {
		fmt.Fprintln(out, "nothing to clean up")
	}
	return err
}
