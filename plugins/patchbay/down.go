package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

func downCommand() command {
	f := &common{}
	return command{
		name: "down", takes: "NAME...", short: "detach network namespaces, and delete those that up created",
		long: `Removes the attachments of the network namespace NAME that commands created, and deletes the
namespace if "patchbay up" created it, even without attachments. A namespace that "patchbay up" did
not create is kept, and down says so. The interfaces of several names are deleted in one request,
which takes hardly longer than one. The command continues after an error, and then exits with
status 1.`,
		flags: func(flags *flag.FlagSet) {
			f.registerConfDir(flags)
			f.registerState(flags)
			f.registerDryRun(flags)
		},
		runArgs: f.down,
	}
}

// removed is what down removes of a name.
type removed struct {
	name   string
	ours   []inventory.Attachment
	made   bool  // up created the namespace
	failed error // nothing of this name is removed, or not everything was
}

func (c *common) down(out io.Writer, args []string) error {
	if err := some("down", "name", args); err != nil {
		return err
	}
	if err := privileged("down", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	if c.dryRun {
		return c.explainDown(out, args)
	}
	all, err := c.downAll(args)
	if err != nil {
		return err
	}
	return each(all, func(d removed) error {
		if d.failed != nil {
			return d.failed
		}
		for _, a := range d.ours {
			detached(out, d.name, &a)
		}
		switch {
		case d.made:
			sayLine(out, "%s: namespace deleted", d.name)
		case cli.Named(d.name).Path != "":
			sayLine(out, "%s: namespace kept, patchbay up did not create it (%s deletes it)", d.name, deleteNetns(d.name))
		}
		return nil
	})
}

// quietDown is down of one name, without output.
func (c *common) quietDown(name string) error {
	all, err := c.downAll([]string{name})
	if err != nil {
		return err
	}
	return all[0].failed
}

// downAll removes the attachments of namespaces, and deletes those that up created. It returns an entry for each name.
func (c *common) downAll(names []string) ([]removed, error) {
	attached, err := inventory.New(cmp.Or(c.stateDir, config.DefaultStateDir)).Attachments("")
	if err != nil {
		return nil, readable(err)
	}
	all := make([]removed, len(names))
	var ours []inventory.Attachment
	var of []int // the name of each
	for i, name := range names {
		if all[i] = toRemove(attached, name, cli.ForgetNetns); slices.Contains(names[:i], name) {
			all[i] = removed{name: name, failed: fmt.Errorf("name %s is given twice", name)}
		}
		if all[i].failed != nil {
			continue
		}
		for _, a := range all[i].ours {
			if !slices.ContainsFunc(ours, func(b inventory.Attachment) bool { return a.Key() == b.Key() }) { // of another name of the namespace
				ours, of = append(ours, a), append(of, i)
			}
		}
	}
	for i, err := range remove(c.confDir, ours) {
		all[of[i]].failed = errors.Join(all[of[i]].failed, err)
	}
	for i := range all {
		all[i].finish()
	}
	c.syncNames(nil)
	return all, nil
}

// toRemove finds the attachments of a namespace, and whether up created it. forget removes what is left of another namespace of the name.
func toRemove(all []inventory.Attachment, name string, forget func(string) error) removed {
	d := removed{name: name}
	if strings.Contains(name, "/") {
		d.failed = notAName(all, name)
		return d
	}
	t := cli.Named(name)
	var others []inventory.Attachment
	d.ours, others = cli.Of(all, t, "")
	if d.made, d.failed = cli.MadeNetns(name, d.ours); d.failed != nil || len(d.ours) > 0 {
		return d
	}
	switch {
	case t.Path == "":
		if ours, others := cli.Printed(all, name, ""); len(ours) > 0 || len(others) > 0 {
			d.failed = noNamespace(name, ours, others)
			return d
		}
		_, d.failed = cli.Targets{Proc: "/proc", Known: cli.Names(all)}.Find("netns:" + name)
	case len(others) > 0:
		d.failed = notOurs(name, &others[0])
	case !d.made:
		if d.failed = forget(name); d.failed == nil { // up created another one of this name, which no longer exists
			d.failed = fmt.Errorf("patchbay up did not create namespace %s, and nothing is attached to it: %s deletes it", name, deleteNetns(name))
		}
	}
	return d
}

// finish deletes the namespace if up created it and its attachments are removed.
func (d *removed) finish() {
	switch {
	case d.failed != nil:
	case d.made:
		d.failed = cli.DeleteNetns(d.name)
	default:
		d.failed = cli.ForgetNetns(d.name) // the namespace was deleted without down
	}
}

// deleteNetns returns the command that deletes a named network namespace.
func deleteNetns(name string) string {
	return printable.Command("ip", "netns", "del", printable.Name(name))
}

// notAName returns the error for a path or the name of a pod.
func notAName(all []inventory.Attachment, name string) error {
	if _, others := cli.Printed(all, name, ""); len(others) > 0 {
		return notOurs(name, &others[0])
	}
	return fmt.Errorf("down needs a name, not the path %s; %s detaches it", name, printable.Command("patchbay", "detach", printable.Name(name)))
}

// noNamespace returns the error for a name that ls prints and that is not a named network namespace.
func noNamespace(name string, ours, others []inventory.Attachment) error {
	if len(ours) == 0 {
		return notOurs(name, &others[0])
	}
	return fmt.Errorf("%s is an attachment without a named network namespace: %s detaches it", name, printable.Command("patchbay", "detach", printable.Name(name)))
}
