package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
)

func gcCommand() command {
	f := &common{}
	dry := false
	return command{
		name: "gc", short: "remove what is left of attachments whose namespace is gone",
		long: `Removes what is provably dead, whoever has made it: attachments whose cable and whose namespace
are gone, and addresses that are marked as given before a reboot. What lives is never touched, nor
what another process works on, nor a record that cannot be read. It prints what it did, a line
each; it goes on past errors, and ends with status 1 if there was one. (The verb GC of CNI is
another matter: it removes what a runtime does not list as valid.)`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only of this network")
			flags.BoolVar(&dry, "dry-run", false, "say what it would do, and do nothing")
			f.registerState(flags)
		},
		run: func(out io.Writer) error { return f.collect(out, dry) },
	}
}

func (c *common) collect(out io.Writer, dry bool) error {
	if err := privileged("gc", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	dir, err := filepath.Abs(c.stateDir)
	if err != nil {
		return err
	}
	all, err := cli.List(dir, c.network)
	if err != nil {
		return readable(err)
	}
	if err := c.known(all); err != nil {
		return err
	}
	done, err := attach.Bury(context.Background(), attach.Burial{StateDir: dir, Network: c.network, DryRun: dry})
	for _, sentence := range done {
		fmt.Fprintln(out, sentence)
	}
	if len(done) == 0 && err == nil {
		fmt.Fprintln(out, "nothing is dead")
	}
	return told(err)
}
