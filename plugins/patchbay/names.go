package main

import (
	"context"
	"errors"
	"flag"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// hostNamesMeaning is the help text of --host-names.
const hostNamesMeaning = "also write the name into a marked block of the host's /etc/hosts"

func (c *common) registerHostNames(flags *flag.FlagSet) {
	flags.BoolVar(&c.hostNames, "host-names", false, hostNamesMeaning)
}

// netnsKeys returns the keys of named network namespaces.
func netnsKeys(names []string) []hostnames.Key {
	var keys []hostnames.Key
	for _, name := range names {
		keys = append(keys, hostnames.Netns(name))
	}
	return keys
}

// keysOf returns the key of a target that has a name.
func keysOf(t *cli.Target) []hostnames.Key {
	if t.Kind != cli.KindNamed {
		return nil
	}
	return []hostnames.Key{hostnames.Netns(t.Name)}
}

// refuseNames returns an error if --host-names is given and /etc/hosts cannot have one of the names.
func (c *common) refuseNames(keys []hostnames.Key) error {
	if !c.hostNames {
		return nil
	}
	if len(keys) == 0 {
		return errors.New("--host-names needs the name of a network namespace: a process, a path and a running LXC container have none (lxc enable has --host-names too)")
	}
	for _, k := range keys {
		if err := hostnames.Refusal(k); err != nil {
			return err
		}
	}
	return nil
}

// syncNames makes the hosts files true after attachments have changed, and returns what it did. It warns about these keys and about
// files, on stderr: without names an attachment is complete, and doctor finds the same.
func (c *common) syncNames(keys []hostnames.Key) []string {
	var ask []hostnames.Key
	if c.hostNames {
		ask = keys
	}
	report := syncHostNames(ask)
	for _, w := range report.Warnings {
		if w.Key == (hostnames.Key{}) || slices.Contains(keys, w.Key) {
			complain("warning: %s", w)
		}
	}
	return report.Done
}

// syncHostNames calls hostnames.Sync. It prints an error with the remedy.
func syncHostNames(ask []hostnames.Key) hostnames.Report {
	report, err := hostnames.Sync(context.Background(), hostnames.Options{StateDir: config.DefaultStateDir, Ask: ask})
	if err != nil {
		complain("warning: hosts files may lack names: %s; %s repeats this", oneLine(err), printable.Command("patchbay", "reload"))
	}
	return report
}

// reloadNames makes the hosts files true, and warns about every name that is left out.
func reloadNames() []string {
	report := syncHostNames(nil)
	for _, w := range report.Warnings {
		complain("warning: %s", w)
	}
	return report.Done
}
