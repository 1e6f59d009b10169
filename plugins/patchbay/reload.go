package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
)

// reloadCommand mends the host after somebody has flushed the ruleset or taken a bridge away.
func reloadCommand() command {
	var stateDir string
	return command{
		name: "reload", short: "build the ruleset anew, and plug in what lost its bridge",
		long: `Makes this host what the records say: the table "inet patchbay" of nftables is built anew
with what every living container has in it, whatever version of patchbay built the one that
is there, and a cable that is in no bridge any more is plugged into its own again, which is
made if it is missing, with the gateway addresses that its containers use. Forwarding that they
need is switched on again. No container is touched, and nothing of anybody else: neither a cable that is plugged into another bridge,
nor a table of that name that patchbay did not make, which is an error. It prints what it
did; where all is well that is one line about the table, or nothing where nothing was ever
masqueraded. It goes on past errors, and ends with status 1 if there was one.

A table of another version of patchbay becomes one of this version: that is the way back after
a downgrade. Containers that a newer one attached are masqueraded on by what this one knows of
their records; if such a record does not tell what its container has in the table, nothing of
the table is changed, and an error names both versions: reload with the newer patchbay, or
delete that container first.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&stateDir, "state-dir", config.DefaultStateDir, "where the records are; those where a network has masqueraded are known")
		},
		run: func(out io.Writer) error {
			dir, err := filepath.Abs(stateDir) // it is remembered
			if err != nil {
				return err
			}
			done, err := attach.Reload(context.Background(), dir)
			for _, sentence := range done {
				fmt.Fprintln(out, sentence)
			}
			if err != nil {
				told := attach.CNIError(err)
				return fmt.Errorf("%s; %s", told.Msg, told.Details)
			}
			return nil
		},
	}
}
