package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
)

// portsFlags are the flags of `patchbay ports`.
type portsFlags struct {
	common
	output
	width int
}

func portsCommand() command {
	f := &portsFlags{}
	return command{
		name: "ports", second: portsWords(), takes: "[PORT[/PROTOCOL]]", short: "list published ports, or change those of an attachment (add, rm)",
		long: `  patchbay ports [PORT[/PROTOCOL]]
  patchbay ports add NAME [hostIP:]hostPort[-end][:containerPort[-end]][/tcp|udp|sctp]...
  patchbay ports rm NAME [hostIP:]hostPort[-end][/tcp|udp|sctp]...

add publishes ports of a running attachment, in the syntax of "up --publish"; rm ends that, also for a
part of a range, and on every address of the host unless hostIP is given. NAME is as for inspect;
--network and --interface choose one of several attachments. All ports of a call are changed, or
none. The other ports of the attachment are not touched. TCP connections that are open through a
removed port continue until they are closed; UDP and SCTP flows end. Attachments of a runtime are
refused: change the port mappings of the container in the runtime. With -o json, yaml, table or name
they print the ports that the attachment then has, as the list below.

Without add and rm it prints one line for each published port or range of consecutive ports, sorted
by number, from the records and the ruleset. HOST is the host address, * for any; TO is the
container's address and port. With PORT it prints that port only, and exits with status 1 if it is
not published. STATE is

  ok            the ruleset maps the port to the container
  lost          the ruleset lacks the mapping; of a range "3 of 10 lost" (patchbay reload)
  rules lost    the ruleset has the mapping, but lacks other rules for it (patchbay reload)
  no record     the ruleset has the mapping, but there is no record (patchbay reload)
  down, unplugged, stale, unreadable   the state of the attachment, as in ls

Firewalls of this host are not checked (patchbay doctor does). -o json, or --json, prints an array
of objects with the fields hostIP ("" for any), hostPort, count, protocol, address and
containerPort (the first port of a range), name, network, containerID, ifname, owner and state (as
in ls -o json), and problems, a list of sentences. Fields may be added, but not renamed or removed.
On a terminal that is too narrow, a list is printed instead of the table, unless -o table asks for it.
-o yaml prints the objects of -o json, -o name the ports, one on a line.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only ports of this network; for add and rm: the network of the attachment")
			flags.StringVar(&f.ifName, "interface", "", "`name` of the container interface, for add and rm")
			f.registerListing(flags)
			flags.IntVar(&f.width, "width", 0, "width in columns (default that of the terminal, else unlimited)")
			f.registerState(flags)
		},
		runArgs: f.run,
	}
}

func (f *portsFlags) run(out io.Writer, args []string) error {
	if len(args) > 0 && slices.Contains(portsWords(), args[0]) { // a port is a number
		return f.change(out, args[0], args[1:])
	}
	format, err := f.chosen()
	if err != nil {
		return err
	}
	if err := privileged("ports", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	all, err := f.ports(args)
	if err != nil {
		return err
	}
	none := errors.New(f.none(args))
	if len(all) == 0 && (format == "text" || format == "table") {
		if len(args) == 1 {
			return none
		}
		_, err := fmt.Fprintln(out, printable.Text(none.Error(), 0))
		return err
	}
	err = f.printPorts(out, all)
	if err == nil && len(all) == 0 && len(args) == 1 {
		return none
	}
	return err
}

// printPorts prints ports in the format that was asked for.
func (f *portsFlags) printPorts(out io.Writer, all []inventory.Publication) error {
	return f.print(out, listing{
		objects: all, names: namesOf(all, func(p inventory.Publication) string { return p.Span() }),
		table: portTable(all), list: func() string { return portList(all) }, width: f.width,
	})
}

// ports returns the selected ports.
func (f *portsFlags) ports(args []string) ([]inventory.Publication, error) {
	if len(args) > 1 && !strings.ContainsAny(args[0][:min(1, len(args[0]))], "0123456789[") {
		return nil, fmt.Errorf("unknown command %q%s; use add NAME PORT... or rm NAME PORT...; see patchbay help ports", "ports "+args[0], cli.DidYouMean(args[0], portsWords()))
	}
	if len(args) > 1 {
		return nil, fmt.Errorf("ports accepts one port, got %d arguments; see patchbay help ports", len(args))
	}
	port, protocol, err := 0, "", error(nil)
	if len(args) == 1 {
		if port, protocol, err = cli.ParsePort(args[0]); err != nil {
			return nil, err
		}
	}
	inv := inventory.New(f.stateDir)
	all, err := inv.Ports(f.network)
	if err != nil {
		return nil, readable(err)
	}
	if f.network != "" && len(all) == 0 { // it may have no attachments
		attached, err := inv.Attachments(f.network)
		if err == nil {
			err = f.known(attached)
		}
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(p inventory.Publication) bool { return len(args) == 1 && !p.Has(port, protocol) }), nil
}

// none returns the sentence for an empty list.
func (f *portsFlags) none(args []string) string {
	what := "no published ports"
	if len(args) == 1 {
		what = "port " + args[0] + " is not published"
	}
	if f.network != "" {
		what += " by network " + f.network
	}
	return what
}

func portTable(all []inventory.Publication) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tPORT\tTO\tNAME\tNETWORK\tSTATE")
	short := shortNames(all, func(p inventory.Publication) string { return p.Name })
	for _, p := range all {
		fmt.Fprintln(w, strings.Join([]string{star(p.HostIP), p.Span(), p.To(), cell(short(p.Name)), cell(p.Network), p.State}, "\t"))
	}
	_ = w.Flush() // into memory
	return text.String()
}

func star(address string) string {
	if address == "" {
		return "*"
	}
	return address
}

// portList returns a list that is not wider than its longest word.
func portList(all []inventory.Publication) string {
	var text strings.Builder
	short := shortNames(all, func(p inventory.Publication) string { return p.Name })
	for _, p := range all {
		fmt.Fprintf(&text, "%s\n", p.Span())
		if p.HostIP != "" {
			fmt.Fprintf(&text, "  of %s\n", p.HostIP)
		}
		fmt.Fprintf(&text, "  to %s\n  %s, on %s\n  %s\n", p.To(), cell(short(p.Name)), cell(p.Network), p.State)
	}
	return text.String()
}

const publishMeaning = "publish a `port`: [hostIP:]hostPort[-end][:containerPort[-end]][/tcp|udp|sctp]; may be repeated"

// registerPublish registers --publish and -p, as docker and podman have them.
func (c *common) registerPublish(flags *flag.FlagSet) {
	flags.Var(&c.publish, "publish", publishMeaning)
	flags.Var(&c.publish, "p", "short for --publish")
}

// publishes returns the end of the line that attach and up print.
func (c *common) publishes() string {
	const most = 3
	var words []string
	for _, m := range c.publish {
		words = append(words, m.String())
	}
	if len(words) > most {
		words = append(words[:most], fmt.Sprintf("and %d more (patchbay ports)", len(words)-most))
	}
	if len(words) == 0 {
		return ""
	}
	return ", publishes " + strings.Join(words, ", ")
}

// portTaken returns the error for a port that another attachment publishes.
func portTaken(by *ruleset.PortOwner) error {
	return fmt.Errorf("%s is already published by %s of network %s, attached by %s: choose another port (patchbay ports lists them)",
		by.Thing, short(by.Key.ContainerID), by.Key.Network, ownerText(by.Owner))
}
