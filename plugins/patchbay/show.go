package main

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// showFlags are the flags of `patchbay show`.
type showFlags struct {
	common
	output
	ascii bool
	width int
	watch bool
	nodes bool
	topo.Options
}

// showCommand draws bridges, attachments and network namespaces.
func showCommand() command {
	f := &showFlags{}
	return command{
		name: "show", short: "draw this host's bridges, attachments and network namespaces",
		long: `Draws this host: its bridges with their ports, the veth pairs, and the network namespaces at their
other ends, from the kernel and the records. Where a host interface, an address of a container, a
published port or a record is wrong, the picture has a mark and a sentence below it; "8080/tcp -> 80"
in a box is a published port. (The CNI verb CHECK also compares routes, gateways and forwarding.)
-o svg prints a picture, and -o html a page with the picture, the details of the box that is
clicked, and a search, in one file that loads nothing; -o mermaid and -o dot print a graph, for
Mermaid (GitHub, GitLab) and for dot of Graphviz.
With --watch it draws again after each change of interfaces, addresses, routes and records, at most
five times a second; what is new is highlighted.
With --cluster it draws this node and the other nodes of the cluster with their pod CIDRs, and how
each is reached: direct (its InternalIP is the gateway), by the overlay, or not at all, and why, from
the files that patchbay-agent writes to /run/patchbay-agent. -o json prints node (as agent of "status
-o json"), peers (name, internalIPs, podCIDRs, reached, routes, problems) and omitted.
Nothing is changed. Without root the records and the inside of network namespaces cannot be read,
and the picture says so.`,
		flags: f.register, run: f.run,
	}
}

func (f *showFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.Bridge, "bridge", "", "only this bridge")
	f.registerNetwork(flags, "only attachments of this network")
	flags.StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, stateDirMeaning)
	f.registerOutput(flags, "mermaid", "dot", "svg", "html")
	flags.BoolVar(&f.nodes, "cluster", false, "the other nodes of the cluster, and how this node reaches them, as patchbay-agent has written it")
	flags.BoolVar(&f.watch, "watch", false, "draw again after each change, until Ctrl-C; needs a terminal")
	flags.BoolVar(&f.ascii, "ascii", false, "draw with ASCII only")
	flags.IntVar(&f.width, "width", 0, "width in columns, at least 30 (default that of the terminal, else 80)")
}

func (f *showFlags) run(out io.Writer) error {
	format, err := f.chosen()
	if err != nil {
		return err
	}
	if f.nodes {
		return f.runCluster(out, format)
	}
	if f.watch {
		return f.runWatch(out, format)
	}
	view, err := f.gather()
	if err != nil {
		return err
	}
	return f.print(out, view, format)
}

// gather reads the host.
func (f *showFlags) gather() (*topo.View, error) {
	inv := inventory.New(f.stateDir)
	if err := f.named(inv); err != nil {
		return nil, err
	}
	f.Options.Network = f.network
	return topo.Gather(inv, f.Options)
}

// print writes a view in one of the formats.
func (f *showFlags) print(out io.Writer, view *topo.View, format string) error {
	switch format {
	case "json":
		return printJSON(out, view)
	case "text":
		return topo.Draw(out, view, f.style(out))
	}
	return drawing(format)(out, diagram.Of(view))
}

// named returns an error for an unknown network. If the records cannot be read, the picture says so.
func (f *showFlags) named(inv *inventory.Inventory) error {
	if f.network == "" {
		return nil
	}
	attached, err := inv.Attachments(f.network)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.known(attached)
}

// style returns the style for the width of the terminal, NO_COLOR (no-color.org) and the locale.
func (f *showFlags) style(out io.Writer) topo.Style {
	s := topo.Style{Width: f.width, ASCII: f.ascii || !localeIsUTF8()}
	columns, _, terminal := sizeOf(out)
	s.Color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if s.Width == 0 {
		s.Width = columns
	}
	return s
}

// sizeOf returns the size of a terminal, and whether out is one.
func sizeOf(out io.Writer) (columns, rows int, terminal bool) {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok {
		return 0, 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}

// localeIsUTF8 reads the variables in the order of locale(7).
func localeIsUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			value = strings.ReplaceAll(strings.ToLower(value), "-", "")
			return strings.HasSuffix(value, "utf8")
		}
	}
	return false
}
