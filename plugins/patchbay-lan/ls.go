package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
)

type lsFlags struct {
	etcdFlags
	output string
}

func lsCommand() command {
	f := &lsFlags{}
	return command{
		name: "ls", takes: "NETWORK", words: 1, short: "list the hosts of a network and their blocks",
		long: `Prints a line for each host: its blocks, when it last renewed its lease, and when its blocks may be
claimed by others if it does not. A block in quarantine is marked: a host of the LAN that is not in
etcd has an address of it.

-o json prints one object: network, config (subnet, pool, block, gateway, exclude), blocks, free (the
numbers of all and of free blocks), nodes (a list of objects with node, machineId, bootId, blocks,
renewedSeconds and leftSeconds) and problems. Fields may be added, but not renamed or removed.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&f.output, "o", "text", "`format`: text or json")
			f.etcdFlags.register(flags)
		},
		run: f.ls,
	}
}

// nodeRow is a host in the output of ls.
type nodeRow struct {
	Node           string     `json:"node"`
	MachineID      string     `json:"machineId"`
	BootID         string     `json:"bootId"`
	Blocks         []blockRow `json:"blocks"`
	RenewedSeconds int        `json:"renewedSeconds"` // ago
	LeftSeconds    int        `json:"leftSeconds"`
}

type blockRow struct {
	Block string    `json:"block"`
	State lan.State `json:"state,omitempty"`
}

type listing struct {
	Network  string     `json:"network"`
	Config   lan.Config `json:"config"`
	Blocks   int        `json:"blocks"`
	Free     int        `json:"free"`
	Nodes    []nodeRow  `json:"nodes"`
	Problems []string   `json:"problems"`
}

func (f *lsFlags) ls(out io.Writer, args []string) error {
	if f.output != "text" && f.output != "json" {
		return errors.New("-o: use text or json")
	}
	return f.usingNodes(args[0], func(_ *clientv3.Client, s lan.Snapshot, nodes map[string]registry.Node) error {
		l := listingOf(args[0], s, nodes)
		if f.output == "json" {
			text, err := json.MarshalIndent(l, "", "  ")
			fmt.Fprintf(out, "%s\n", text)
			return err
		}
		return l.print(out)
	})
}

func listingOf(network string, s lan.Snapshot, nodes map[string]registry.Node) listing {
	l := listing{Network: network, Config: *s.Config, Blocks: s.Config.Blocks(), Nodes: []nodeRow{}, Problems: append([]string{}, s.Faults...)}
	l.Free = l.Blocks
	for p := range s.Blocks {
		if s.Config.Has(p) {
			l.Free--
		}
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[name]
		row := nodeRow{
			Node: name, MachineID: n.MachineID, BootID: n.BootID, Blocks: []blockRow{},
			RenewedSeconds: int(n.Age / time.Second), LeftSeconds: int(n.Left / time.Second),
		}
		for _, p := range n.Blocks {
			row.Blocks = append(row.Blocks, blockRow{p.String(), s.Blocks[p].State})
		}
		l.Nodes = append(l.Nodes, row)
	}
	return l
}

func (l listing) print(out io.Writer) error {
	sayLine(out, "%s: subnet %s, %s, %d free", l.Network, l.Config.Subnet, size(l.Config), l.Free)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(l.Nodes) > 0 {
		fmt.Fprintln(table, "NODE\tRENEWED\tFORGOTTEN IN\tBLOCKS")
	}
	for _, n := range l.Nodes {
		var blocks []string
		for _, b := range n.Blocks {
			blocks = append(blocks, strings.TrimSpace(b.Block+" "+string(b.State)))
		}
		if len(blocks) == 0 {
			blocks = []string{"-"}
		}
		fmt.Fprintf(table, "%s\t%s ago\t%s\t%s\n", printable.Text(n.Node, 0), seconds(n.RenewedSeconds), seconds(n.LeftSeconds), printable.Text(strings.Join(blocks, ", "), 0))
	}
	for _, problem := range l.Problems {
		complain("%s", problem)
	}
	return table.Flush()
}

func seconds(n int) string { return (time.Duration(n) * time.Second).String() }
