package main

import (
	"errors"
	"flag"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// inspected is an object of `patchbay inspect`: the record and what the kernel has.
type inspected struct {
	Name  string `json:"name"`  // as ls has it
	State string `json:"state"` // as ls has it
	Owner string `json:"owner"` // as ls has it

	Ports []inventory.Port `json:"ports"` // as ls has it
	topo.Attachment
}

func inspectCommand() command {
	f := &inspectFlags{}
	return command{
		name: "inspect", takes: "NAME...", short: "print an attachment as JSON, from its record and the kernel",
		long: `NAME is the name that ls prints, the container ID or at least its first 8 bytes, the name or the
path of the network namespace, the name of a pod, or the host interface. The command prints a JSON
array with an object for each attachment, with the fields

  name, state, owner, network, containerID, ifname, bridge, ports   as in ls -o json
  ours           false for a veth interface that patchbay did not create
  hostLink       the host interface in the kernel; null if it does not exist
  netns          path of the network namespace; omitted if none is found
  link           the container interface in the kernel, with its addresses; null if it does not exist
  defaultRoutes  default routes through link
  record         the record; null if it does not exist or cannot be read
  lostPorts      published ports of the record that the ruleset lacks; omitted if there are none
  problems       differences between record and kernel, as sentences; omitted if there are none

Fields may be added, but not renamed or removed. -o text prints the most important ones as lines.`,
		flags: func(flags *flag.FlagSet) {
			f.registerState(flags)
			f.registerOutput(flags)
			f.format = "json"
			flags.Lookup("output").DefValue, flags.Lookup("o").DefValue = "json", "json"
		},
		runArgs: f.inspect,
	}
}

// inspectFlags are the flags of `patchbay inspect`.
type inspectFlags struct {
	common
	output
}

func (f *inspectFlags) inspect(out io.Writer, args []string) error {
	asJSON, err := f.wantsJSON()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return errors.New("inspect needs a name; patchbay ls lists them")
	}
	inv := inventory.New(f.stateDir)
	all, err := inv.Attachments("")
	if err != nil {
		return readable(err)
	}
	var wanted []inventory.Attachment
	for _, word := range args {
		found, err := cli.Match(all, word)
		if err != nil {
			return err
		}
		wanted = append(wanted, found...)
	}
	view, err := topo.Gather(inv, topo.Options{})
	if err != nil {
		return err
	}
	seen := map[store.Key]topo.Attachment{}
	for _, a := range view.Attachments {
		seen[store.Key{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName}] = a
	}
	objects := []inspected{}
	for i := range wanted {
		a := &wanted[i]
		object := inspected{a.Name, a.State, a.Owner, a.Ports, seen[a.Key()]}
		if object.ContainerID == "" { // its record cannot be read, and it has no host interface
			object.Attachment = topo.Attachment{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName, Ours: true}
		}
		objects = append(objects, object)
	}
	if asJSON {
		return printJSON(out, objects)
	}
	for _, object := range objects {
		object.print(out)
	}
	return nil
}
