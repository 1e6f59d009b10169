package main

import (
	"context"
	"flag"
	"io"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/upkeep"
)

// reloadCommand restores rules and bridge ports, as after nft flush ruleset or the deletion of a bridge.
func reloadCommand() command {
	var stateDir string
	return command{
		name: "reload", short: "rebuild the ruleset, and restore bridges and their ports",
		long: `Restores this host to what the records say. It rebuilds the nftables table "inet patchbay" with the
elements of every live attachment, whatever version of patchbay created the present table. A host
interface that is a port of no bridge is added to its bridge again, which is created if it does not
exist, with the gateway addresses that its containers use; IP forwarding that they need is enabled.
Containers are not changed, nor a host interface that is a port of another bridge, nor a table of
that name that patchbay did not create, which is an error. It prints what it did; if nothing is
missing, one line about the table, or nothing if no network was ever masqueraded. It continues after
an error, and then exits with status 1.

A table of another version of patchbay is replaced by one of this version, as after a downgrade.
Containers that a newer version attached stay masqueraded as far as this version can read their
records. If it cannot, the table is not changed, and the error names both versions: reload with the
newer patchbay, or delete that container first.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&stateDir, "state-dir", config.DefaultStateDir, stateDirMeaning)
		},
		run: func(out io.Writer) error {
			dir, err := filepath.Abs(stateDir) // the path is noted in the default state directory
			if err != nil {
				return err
			}
			done, err := upkeep.Reload(context.Background(), dir)
			for _, sentence := range done {
				sayLine(out, "%s", sentence)
			}
			return attach.CommandError(err)
		},
	}
}
