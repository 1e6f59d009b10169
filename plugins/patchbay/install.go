package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/hostbridge"
	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/install"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/network"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/upkeep"
	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// installFlags are the flags of `patchbay install` and `patchbay uninstall`.
type installFlags struct {
	common
	output
	install.Options
	purge, unused, keepMemory bool
	also                      []string // what Purge did
}

// register adds the flags that both commands have.
func (f *installFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.BinDir, "bin-dir", install.DefaultBinDir, "`directory` of CNI plugins")
	flags.BoolVar(&f.DryRun, "dry-run", false, "print what would be done, and change nothing")
	f.registerOutput(flags)
}

func installCommand() command {
	f := &installFlags{}
	return command{
		name: "install", short: "install this program as a CNI plugin",
		long: `Copies this program to the directory of CNI plugins, and with --drop-in also under the names of
the reference plugins, each a file of its own. Files that have these names are kept aside in
.patchbay below the directory, and uninstall restores them. Running it again changes nothing,
or upgrades what an earlier version has installed. A program that is running is no obstacle.
It refuses a directory that another user may write to, and anything else than a regular file, or
a link within the directory, in the place of a program. --conf installs a network configuration;
one of that name that install has not written is an error. After an error or a kill at any point,
run it again, or uninstall. It prints a line for each file. -o json prints one object: dryRun, and
done, a list of action, path and note. Exit status 1 is an error.`,
		flags: func(flags *flag.FlagSet) {
			f.register(flags)
			flags.BoolVar(&f.DropIn, "drop-in", false, "also install under the names of the reference plugins, and as buildkit-cni-* where these exist")
			flags.BoolVar(&f.BuildKit, "buildkit", false, "with --drop-in: also as buildkit-cni-*, the names that BuildKit looks for first")
			flags.BoolVar(&f.Loopback, "loopback", false, "also install as loopback, unless another program has installed one: most runtimes need it")
			flags.StringVar(&f.Conf, "conf", "", "`file` of a network configuration to install; it is named 10-NAME unless it begins with a digit")
			f.registerConfDir(flags)
		},
		run: f.install,
	}
}

func (f *installFlags) install(out io.Writer) error {
	if f.BuildKit && !f.DropIn {
		return errors.New("--buildkit needs --drop-in")
	}
	f.Version = version
	return f.report(out, func(o install.Options) ([]install.Change, error) {
		done, err := install.Install(o)
		return done, writable("install", err)
	})
}

func uninstallCommand() command {
	f := &installFlags{}
	return command{
		name: "uninstall", short: "remove what install has installed, and restore the originals",
		long: `Removes the programs and network configurations that install has installed, and renames the files
that were kept aside back: with content, mode, owner and times. A file that has replaced an
installed one since is left, and so is a configuration that was edited. Attachments are not
changed. --purge also removes stale attachments, the nftables tables, bridges that patchbay created
and that have no port, /run/patchbay, /var/lib/patchbay (sticky addresses, the counters of metrics,
hosts files of LXC containers) and an empty /etc/netns; it is refused while an attachment exists, as
is --unused, which removes no more than uninstall alone. A network configuration is deleted before
the program that it names. -o json prints the same object as install, and with --purge purged, a list
of lines. Exit status 1 is an error.`,
		flags: func(flags *flag.FlagSet) {
			f.register(flags)
			flags.BoolVar(&f.purge, "purge", false, "also remove what patchbay keeps on the host; an error while an attachment exists")
			flags.BoolVar(&f.keepMemory, "keep-memory", false, "with --purge: keep /var/lib/patchbay")
			flags.BoolVar(&f.unused, "unused", false, "an error, which changes nothing, while an attachment exists")
		},
		run: f.uninstall,
	}
}

func (f *installFlags) uninstall(out io.Writer) error {
	if f.keepMemory && !f.purge {
		return errors.New("--keep-memory needs --purge")
	}
	if !f.purge {
		if f.unused {
			if err := cmp.Or(noneLive(), hostbridge.Undecided()); err != nil {
				return err
			}
		}
		return f.report(out, func(o install.Options) ([]install.Change, error) {
			done, err := install.Uninstall(o)
			return done, writable("uninstall", err)
		})
	}
	if err := privileged("uninstall --purge", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if err := cmp.Or(noneLive(), hostbridge.Undecided()); err != nil { // the purge would remove the state of the uplink
		return err
	}
	return f.report(out, func(o install.Options) ([]install.Change, error) {
		done, err := install.Uninstall(o)
		if err == nil {
			err = noneLive() // a runtime may have called the program until now
		}
		if err != nil {
			return done, err
		}
		if !o.DryRun {
			f.also = syncHostNames(nil).Done // before the lock file is removed
		}
		purged, err := upkeep.Purge(context.Background(), upkeep.PurgeOptions{StateDir: config.DefaultStateDir, KeepMemory: f.keepMemory, DryRun: o.DryRun})
		f.also = append(f.also, purged...)
		if err == nil && hostnames.RemoveDir(o.DryRun) {
			f.also = append(f.also, map[bool]string{true: "would delete ", false: "deleted "}[o.DryRun]+cli.NetnsFiles)
		}
		f.also = append(f.also, left()...)
		return done, readableError(err)
	})
}

// left names what commands made for the administrator, which --purge keeps: files of network create, bridges of bridge create.
func left() (sentences []string) {
	dir := cmp.Or(os.Getenv("NETCONFPATH"), cli.DefaultConfDir)
	networks, err := network.List(dir)
	if err != nil {
		sentences = append(sentences, fmt.Sprintf("not read: %s, which may have files of network create: %s", dir, oneLine(err)))
	}
	for _, n := range networks {
		if n.Created {
			sentences = append(sentences, fmt.Sprintf("left %s, which network create wrote; delete it: %s", n.Path, printable.Command("rm", n.Path)))
		}
	}
	k, err := uplink.Open()
	if err != nil {
		return append(sentences, "not read: bridges of bridge create: "+oneLine(err))
	}
	defer k.Close()
	for _, name := range k.Names() {
		if k.Made(name) {
			sentences = append(sentences, fmt.Sprintf("left bridge %s, which bridge create made; delete it: %s", name, printable.Command("patchbay", "bridge", "delete", printable.Name(name))))
		}
	}
	return sentences
}

// noneLive returns an error that names the attachments that are not stale.
func noneLive() error {
	all, err := inventory.New(config.DefaultStateDir).Attachments("")
	if err != nil {
		return readable(err)
	}
	var live []string
	for _, a := range all {
		if a.State != inventory.StateStale {
			live = append(live, a.Key().String())
		}
	}
	if len(live) == 0 {
		return nil
	}
	const most = 5
	more := ""
	if len(live) > most {
		live, more = live[:most], fmt.Sprintf(" and %d more", len(live)-most)
	}
	return fmt.Errorf("attachments exist: %s%s; delete their containers, or detach them (patchbay ls lists all)", strings.Join(live, ", "), more)
}

// report calls Install or Uninstall, and prints the changes.
func (f *installFlags) report(out io.Writer, do func(install.Options) ([]install.Change, error)) error {
	asJSON, err := f.wantsJSON()
	if err != nil {
		return err
	}
	if f.BinDir, err = filepath.Abs(f.BinDir); err != nil {
		return err
	}
	if f.confDir != "" {
		if f.ConfDir, err = filepath.Abs(f.confDir); err != nil {
			return err
		}
	}
	done, err := do(f.Options)
	if asJSON {
		object := map[string]any{"dryRun": f.DryRun, "done": append([]install.Change{}, done...)}
		if f.purge {
			object["purged"] = append([]string{}, f.also...)
		}
		return errors.Join(err, printJSON(out, object))
	}
	for _, c := range done {
		sayLine(out, "%s", c.Text(f.DryRun))
	}
	for _, sentence := range f.also {
		sayLine(out, "%s", sentence)
	}
	if len(done)+len(f.also) == 0 && err == nil {
		fmt.Fprintf(out, "nothing is installed in %s\n", f.BinDir)
	}
	return err
}
