package main

import (
	"errors"
	"flag"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// inspected is an object of `patchbay inspect`: record and kernel side by side.
type inspected struct {
	Name  string `json:"name"`  // as ls has it
	State string `json:"state"` // as ls has it
	Owner string `json:"owner"` // as ls has it

	Ports []cli.Port `json:"ports"` // as ls has it
	topo.Attachment
}

func inspectCommand() command {
	f := &common{}
	return command{
		name: "inspect", takes: "NAME...", short: "tell all of an attachment, record and kernel side by side, as JSON",
		long: `NAME is what ls calls it, its container ID or the first 8 bytes of it and more, the name or the
path of its namespace, a pod's name, or the host end of its cable. It prints a JSON array with
an object for each attachment of these, with the fields

  name, state, owner, network, containerID, ifname, bridge, ports   as in ls -o json
  ours           false for a veth that somebody has made by hand
  hostLink       what the kernel says of the cable's host end; null: there is none
  netns          path of the namespace; left out if none can be found
  link           what the kernel says of the other end, with its addresses; null: there is none
  defaultRoutes  through it
  record         what should be: null if there is none, or it cannot be read
  lostPorts      those of the record's that the ruleset does not lead here any more; left out
                 if there are none
  problems       sentences, where the two differ; left out if there are none

Fields are added, and neither renamed nor taken away.`,
		flags:   func(flags *flag.FlagSet) { f.registerState(flags) },
		runArgs: f.inspect,
	}
}

func (c *common) inspect(out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("inspect wants a name; patchbay ls lists them")
	}
	all, err := cli.List(c.stateDir, "")
	if err != nil {
		return readable(err)
	}
	var wanted []cli.Attachment
	for _, word := range args {
		found, err := cli.Match(all, word)
		if err != nil {
			return err
		}
		wanted = append(wanted, found...)
	}
	lost, ports := rulesLook()
	view, err := topo.Gather(c.stateDir, topo.Options{Ruleset: lost, LostPorts: ports})
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
		if object.ContainerID == "" { // its record cannot be read, and it has no cable
			object.Attachment = topo.Attachment{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName, Ours: true}
		}
		objects = append(objects, object)
	}
	return printJSON(out, objects)
}
