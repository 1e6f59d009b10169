package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// lsFlags are the flags of `patchbay ls`.
type lsFlags struct {
	common
	output
	width int
}

func lsCommand() command {
	f := &lsFlags{}
	return command{
		name: "ls", short: "list attachments",
		long: `Prints one line for each attachment of this host, sorted by network and name, from the records
and the host interfaces; it enters no network namespace. STATE is one of

  up            the host interface is a port of its bridge, and both ends are up
  down          the host interface is a port of its bridge, and one of the ends is down
  unplugged     the host interface is not a port of its bridge (patchbay reload)
  stale         a record without a host interface (patchbay gc, if the network namespace no
                longer exists or host-local has released the addresses; see patchbay doctor)
  no record     a host interface without a record (patchbay detach, or the runtime's DEL)
  unreadable    the record cannot be read (patchbay detach, or the runtime's DEL)
  address only  another plugin's interface, with an address of our IPAM

OWNER is the caller that created it: cni a runtime, cli a command, lxc an LXC hook. IF is the container
interface, "eth0=tap0" with a tap (attach --tap). -o json prints an array of objects with the fields
name, network, containerID, ifname, addresses (a list of CIDRs), bridge, hostLink, netns, owner,
state, ports (a list of objects, each with hostIP, hostPort, count, protocol, address and containerPort,
as in ports -o json) and tapName; an unknown value is "" or []. Fields may be added, but not renamed or
removed. The table has a column PORTS if a port is published. On a terminal that is too narrow, a list
is printed instead of the table, unless -o table asks for it. -o yaml prints the objects of -o json,
-o name the name of each, one on a line.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only attachments of this network")
			f.registerListing(flags)
			flags.IntVar(&f.width, "width", 0, "width in columns (default that of the terminal, else unlimited)")
			f.registerState(flags)
		},
		run: f.run,
	}
}

func (f *lsFlags) run(out io.Writer) error {
	if _, err := f.chosen(); err != nil {
		return err
	}
	all, err := inventory.New(f.stateDir).Attachments(f.network)
	if err != nil {
		return readable(err)
	}
	if err := f.known(all); err != nil {
		return err
	}
	return f.print(out, listing{
		objects: all, names: namesOf(all, func(a inventory.Attachment) string { return a.Name }),
		table: table(all), list: func() string { return list(all) }, width: f.width,
	})
}

// printFitting prints a table, or a list if the table is wider than width; 0 is the width of the terminal, and
// unlimited without one.
func printFitting(out io.Writer, width int, table string, list func() string) error {
	if width == 0 {
		width, _, _ = sizeOf(out)
	}
	if width > 0 && widest(table) > width {
		table = list()
	}
	_, err := io.WriteString(out, table)
	return err
}

func printJSON(out io.Writer, object any) error {
	text, err := json.MarshalIndent(object, "", "  ")
	if err == nil {
		_, err = out.Write(append(printable.JSON(text), '\n'))
	}
	return err
}

func table(all []inventory.Attachment) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	published := slices.ContainsFunc(all, func(a inventory.Attachment) bool { return len(a.Ports) > 0 })
	head := []string{"NAME", "NETWORK", "IF", "ADDRESSES", "BRIDGE", "OWNER", "STATE"}
	if published {
		head = append(head, "PORTS")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	short := shortNames(all, func(a inventory.Attachment) string { return a.Name })
	for _, a := range all {
		columns := []string{
			cell(short(a.Name)), cell(a.Network), cell(ifText(&a)), cell(strings.Join(a.Addresses, " ")), cell(a.Bridge), cell(a.Owner), a.State,
		}
		if published {
			columns = append(columns, cell(strings.Join(someSpans(a.Ports), " ")))
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	_ = w.Flush() // into memory
	return text.String()
}

// list returns a list that is not wider than its longest word.
func list(all []inventory.Attachment) string {
	var text strings.Builder
	short := shortNames(all, func(a inventory.Attachment) string { return a.Name })
	for _, a := range all {
		fmt.Fprintf(&text, "%s\n  %s, by %s\n  %s on %s\n", cell(short(a.Name)), a.State, cell(a.Owner), cell(ifText(&a)), cell(a.Network))
		for _, address := range a.Addresses {
			fmt.Fprintf(&text, "  %s\n", address)
		}
		for _, ports := range someSpans(a.Ports) {
			fmt.Fprintf(&text, "  %s\n", ports)
		}
	}
	return text.String()
}

// ifText returns the container interface, with the tap that is joined with it: "eth0=tap0".
func ifText(a *inventory.Attachment) string {
	if a.TapName == "" {
		return a.IfName
	}
	return a.IfName + "=" + a.TapName
}

// someSpans returns the first ports of an attachment, each once for all of its addresses, and how many more there are.
func someSpans(ports []inventory.Port) []string {
	const most = 3
	var spans []string
	for _, p := range ports {
		if where := p.Where(); !slices.Contains(spans, where) {
			spans = append(spans, where)
		}
	}
	if len(spans) > most {
		spans = append(spans[:most], fmt.Sprintf("+%d", len(spans)-most))
	}
	return spans
}

// shortNames returns a function that shortens the names of a list, all by the same amount, so that they stay distinct.
func shortNames[T any](all []T, name func(T) string) func(string) string {
	most := digits
	for differ := false; !differ; most += 4 {
		differ = true
		seen := map[string]string{}
		for _, one := range all {
			full := name(one)
			cut := shortTo(full, most)
			differ = differ && (seen[cut] == "" || seen[cut] == full || cut == full)
			seen[cut] = full
		}
	}
	return func(full string) string { return shortTo(full, most-4) }
}

// digits is the number of digits of a container ID that the runtimes' own tools print.
const digits = 12

// short cuts the hexadecimal container IDs of runtimes as their own tools do. Other names stay.
func short(name string) string { return shortTo(name, digits) }

func shortTo(name string, most int) string {
	const of = 32
	if len(name) >= of && most < len(name) && strings.Trim(name, "0123456789abcdef") == "" {
		return name[:most]
	}
	return name
}

func widest(text string) (columns int) {
	for line := range strings.Lines(text) {
		columns = max(columns, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
	}
	return columns
}
