package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/explain"
	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// explain prints what up would do for each name, in order: a later one has what the first one makes, and the next addresses.
func (u *upping) explain(out io.Writer) error {
	var first *explain.Plan
	var taken []netip.Addr
	return each(u.names, func(name string) error {
		req := u.selection.Request(u.network, cli.Named(name), u.ifName)
		req.NetnsMade, req.Planned = true, taken
		plan, err := u.planOf(req, u.network, explain.Netns{Word: name, Make: true, Loopback: true})
		if err != nil {
			return err
		}
		if first == nil {
			first = plan
		} else {
			plan.Follow(first)
		}
		taken = append(taken, plan.Record.Addrs()...)
		return u.explainOne(out, name, plan)
	})
}

func (u *upping) explainOne(out io.Writer, name string, plan *explain.Plan) error {
	steps := plan.Steps()
	path, text, err := cli.PlanResolver(name, plan.Servers)
	if err != nil {
		complain("%s", oneLine(err))
	}
	if text != "" {
		steps = append(steps, explain.OfResolver(path, text))
	}
	steps = append(steps, explain.OfNames(u.whereNames()))
	return printDryRun(out, "up "+name, steps, plan.Unprinted)
}

// whereNames returns which hosts files get the name of a namespace.
func (c *common) whereNames() string {
	where := "the files hosts below /etc/netns of all namespaces that share the network"
	if c.hostNames {
		where += ", and to /etc/hosts"
	}
	return where
}

// explainAttach prints what attach would do.
func (c *attachFlags) explainAttach(out io.Writer, word string, req attach.Request, n *cli.Network) error {
	plan, err := c.planOf(req, n, explain.NetnsAt(req.Netns))
	if err != nil {
		return err
	}
	return printDryRun(out, "attach "+word, plan.Steps(), plan.Unprinted)
}

// explainDown prints what down would do for each name.
func (c *common) explainDown(out io.Writer, names []string) error {
	attached, err := inventory.New(cmp.Or(c.stateDir, config.DefaultStateDir)).Attachments("")
	if err != nil {
		return readable(err)
	}
	seen := []string{}
	return each(names, func(name string) error {
		if slices.Contains(seen, name) {
			return fmt.Errorf("name %s is given twice", name)
		}
		seen = append(seen, name)
		steps, err := stepsOfDown(toRemove(attached, name, func(string) error { return nil }))
		if err != nil {
			return err
		}
		return printDryRun(out, "down "+name, steps, nil)
	})
}

// stepsOfDown returns the steps of down for one name.
func stepsOfDown(d removed) (steps []explain.Step, err error) {
	if d.failed != nil {
		return nil, d.failed
	}
	if steps, err = stepsOfRemoval("down", d.name, d.ours); err != nil {
		return nil, err
	}
	if d.made {
		steps = append(steps, explain.OfNetnsRemoval(d.name, hostnames.OwnFiles(d.name)))
	}
	return steps, nil
}

// explainDetach prints what detach would do for a target.
func explainDetach(out io.Writer, word string, ours []inventory.Attachment) error {
	steps, err := stepsOfRemoval("detach", word, ours)
	if err != nil {
		return err
	}
	if name, _ := strings.CutPrefix(word, "netns:"); cli.Named(name).Path != "" {
		steps = append(steps, explain.OfNamesRemoval())
	}
	return printDryRun(out, "detach "+word, steps, nil)
}

// stepsOfRemoval returns the steps that remove attachments.
func stepsOfRemoval(command, name string, ours []inventory.Attachment) (steps []explain.Step, err error) {
	for _, a := range ours {
		if a.Record == nil {
			return nil, fmt.Errorf("%s of %s has no readable record: %s removes what it finds by its names, which --dry-run does not print", a.IfName, name, command)
		}
		of, err := explain.OfRemoval(a.Record)
		if err != nil {
			return nil, err
		}
		steps = append(steps, of...)
	}
	return steps, nil
}

// printDryRun prints the commands of steps below a line that names the command.
func printDryRun(out io.Writer, command string, steps []explain.Step, unprinted []string) error {
	text, err := explain.Text(steps, unprinted)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, printable.Comment("what patchbay "+command+" would do; nothing is changed")+"\n"+text)
	return err
}
