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

	"github.com/patchbay-cni/patchbay/pkg/cli"
)

// lsFlags are the flags of `patchbay ls`.
type lsFlags struct {
	common
	output string
	width  int
}

func lsCommand() command {
	f := &lsFlags{}
	return command{
		name: "ls", short: "list what is attached",
		long: `One line for each attachment of this host, by network and name, from the records and the
kernel's list of cables; no namespace is looked into. STATE is one of

  up            plugged in, and both ends are up
  down          plugged in, and one of the ends is down
  unplugged     the cable is in no bridge, or not in its own (patchbay reload)
  no cable      there is a record and no cable (patchbay gc, if the namespace is gone too)
  no record     there is a cable and no record (patchbay detach, or the runtime's DEL)
  unreadable    the record cannot be read (patchbay detach, or the runtime's DEL)
  address only  another plugin's cable, with an address of ours

OWNER is who has made it: cni a runtime, cli a person, lxc LXC's hook. -o json is an array of
objects with the fields name, network, containerID, ifname, addresses (a list, with the length
of the subnet), bridge, hostLink, netns, owner, state and ports (a list of objects, each with
hostIP, hostPort, count, protocol, address and containerPort, as in ports -o json); what is not
known is "" or []. Fields are added, and neither renamed nor taken away. The table has a column
PORTS where one publishes; it gives way to a list where the terminal is too narrow for it.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only attachments of this network")
			flags.StringVar(&f.output, "output", "text", "text or json")
			flags.StringVar(&f.output, "o", "text", "short for -output")
			flags.IntVar(&f.width, "width", 0, "columns (default the terminal's, else as many as it takes)")
			f.registerState(flags)
		},
		run: f.run,
	}
}

func (f *lsFlags) run(out io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: it is text or json", f.output)
	}
	all, err := cli.List(f.stateDir, f.network)
	if err != nil {
		return readable(err)
	}
	if err := f.known(all); err != nil {
		return err
	}
	if f.output == "json" {
		return printJSON(out, all)
	}
	return printFitting(out, f.width, table(all), func() string { return list(all) })
}

// printFitting prints a table, or a list where that is too wide for so many columns: 0 for the
// terminal's, and where there is none for as many as it takes.
func printFitting(out io.Writer, width int, table string, list func() string) error {
	if width == 0 {
		width, _ = columnsOf(out)
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
		_, err = out.Write(append(text, '\n'))
	}
	return err
}

func table(all []cli.Attachment) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	published := slices.ContainsFunc(all, func(a cli.Attachment) bool { return len(a.Ports) > 0 })
	head := []string{"NAME", "NETWORK", "IF", "ADDRESSES", "BRIDGE", "OWNER", "STATE"}
	if published {
		head = append(head, "PORTS")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, a := range all {
		columns := []string{
			short(a.Name), dash(a.Network), dash(a.IfName), dash(strings.Join(a.Addresses, " ")), dash(a.Bridge), dash(a.Owner), a.State,
		}
		if published {
			columns = append(columns, dash(strings.Join(someSpans(a.Ports), " ")))
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	_ = w.Flush() // into memory
	return text.String()
}

// list takes no more columns than its longest word.
func list(all []cli.Attachment) string {
	var text strings.Builder
	for _, a := range all {
		fmt.Fprintf(&text, "%s\n  %s, by %s\n  %s on %s\n", short(a.Name), a.State, dash(a.Owner), dash(a.IfName), dash(a.Network))
		for _, address := range a.Addresses {
			fmt.Fprintf(&text, "  %s\n", address)
		}
		for _, ports := range someSpans(a.Ports) {
			fmt.Fprintf(&text, "  %s\n", ports)
		}
	}
	return text.String()
}

// someSpans are the first of an attachment's ports, each once, whatever number of its addresses they
// lead to, and how many there are besides.
func someSpans(ports []cli.Port) []string {
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

// short cuts the long numbers of runtimes, as their own tools do. Names of people stay.
func short(name string) string {
	const digits, of = 12, 32
	if len(name) >= of && strings.Trim(name, "0123456789abcdef") == "" {
		return name[:digits]
	}
	return name
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func widest(text string) (columns int) {
	for line := range strings.Lines(text) {
		columns = max(columns, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
	}
	return columns
}
