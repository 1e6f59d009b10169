package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
)

// reloadCommand mends the host after somebody has flushed the ruleset or taken a bridge away.
func reloadCommand() command {
	var stateDir string
	return command{
		name: "reload", short: "build the ruleset anew, and plug in what lost its bridge",
		long: `Makes this host what the records say: the table "inet patchbay" of nftables is built anew
with what every living container has in it, and a cable that is in no bridge any more is
plugged into its own again, which is made if it is missing. No container is touched, and
nothing of anybody else. It prints what it did; where all is well that is one line about
the table, or nothing.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&stateDir, "state-dir", config.DefaultStateDir, "where the records are, if no network there was ever masqueraded")
		},
		run: func(out io.Writer) error {
			done, err := attach.Reload(context.Background(), stateDir)
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
