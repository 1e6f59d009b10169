package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
)

// portsFlags are the flags of `patchbay ports`.
type portsFlags struct {
	common
	output string
	json   bool
	width  int
}

func portsCommand() command {
	f := &portsFlags{}
	return command{
		name: "ports", takes: "[PORT[/PROTOCOL]]", short: "list who publishes which port of this host",
		long: `One line for each published port, or several that follow each other, by number: HOST is the
address of the host, * for any; TO is the container's. It is from the records and the ruleset;
with PORT it is that one alone. STATE is one of

  ok            the ruleset leads there what comes to the port
  lost          the ruleset has lost it, of several "3 of 10 lost" (patchbay reload)
  rules lost    the ruleset has it, and has lost what it takes beside (patchbay reload)
  no record     the ruleset has it, and no record tells of it (patchbay reload)
  down, unplugged, no cable, unreadable   the attachment is, as ls says

Whether a firewall of this host lets it through is another matter. -o json, or --json, is an
array of objects with the fields hostIP ("" for any), hostPort, count, protocol, address and
containerPort (the first port, of count), name, network, containerID, ifname, owner and state
(as in ls -o json), and problems, a list of sentences. Fields are added, and neither renamed nor
taken away. The table gives way to a list where the terminal is too narrow for it.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only ports of this network")
			flags.StringVar(&f.output, "output", "text", "text or json")
			flags.StringVar(&f.output, "o", "text", "short for -output")
			flags.BoolVar(&f.json, "json", false, "short for -output json")
			flags.IntVar(&f.width, "width", 0, "columns (default the terminal's, else as many as it takes)")
			f.registerState(flags)
		},
		runArgs: f.run,
	}
}

func (f *portsFlags) run(out io.Writer, args []string) error {
	if f.json {
		f.output = "json"
	}
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: it is text or json", f.output)
	}
	if err := privileged("ports", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	all, err := f.ports(args)
	if err != nil {
		return err
	}
	if f.output == "json" {
		return printJSON(out, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, f.none(args))
		return err
	}
	return printFitting(out, f.width, portTable(all), func() string { return portList(all) })
}

// ports are those that are asked for.
func (f *portsFlags) ports(args []string) ([]cli.Publication, error) {
	if len(args) > 1 {
		return nil, fmt.Errorf("ports wants one port or none, got %d arguments; see patchbay help ports", len(args))
	}
	port, protocol, err := 0, "", error(nil)
	if len(args) == 1 {
		if port, protocol, err = cli.ParsePort(args[0]); err != nil {
			return nil, err
		}
	}
	all, err := cli.Ports(f.stateDir, f.network)
	if err != nil {
		return nil, readable(err)
	}
	if f.network != "" && len(all) == 0 { // it may be one that nothing is attached to
		attached, err := cli.List(f.stateDir, f.network)
		if err == nil {
			err = f.known(attached)
		}
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(p cli.Publication) bool { return len(args) == 1 && !p.Has(port, protocol) }), nil
}

// none is the sentence for an empty list.
func (f *portsFlags) none(args []string) string {
	what := "no port of this host is published"
	if len(args) == 1 {
		what = "nobody publishes port " + args[0]
	}
	if f.network != "" {
		what += " by network " + f.network
	}
	return what
}

func portTable(all []cli.Publication) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tPORT\tTO\tNAME\tNETWORK\tSTATE")
	for _, p := range all {
		fmt.Fprintln(w, strings.Join([]string{star(p.HostIP), p.Span(), p.To(), dash(short(p.Name)), dash(p.Network), p.State}, "\t"))
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

// portList takes no more columns than its longest word.
func portList(all []cli.Publication) string {
	var text strings.Builder
	for _, p := range all {
		fmt.Fprintf(&text, "%s\n", p.Span())
		if p.HostIP != "" {
			fmt.Fprintf(&text, "  of %s\n", p.HostIP)
		}
		fmt.Fprintf(&text, "  to %s\n  %s, on %s\n  %s\n", p.To(), dash(short(p.Name)), dash(p.Network), p.State)
	}
	return text.String()
}

const publishMeaning = "lead a `port` of the host to it: [hostIP:]hostPort[-end][:containerPort[-end]][/tcp|udp|sctp]; may be repeated"

// registerPublish is for ports of the host, in the words of docker and podman.
func (c *common) registerPublish(flags *flag.FlagSet) {
	flags.Var(&c.publish, "publish", publishMeaning)
	flags.Var(&c.publish, "p", "short for -publish")
}

// publishes is the end of the line that says what there is now.
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

// taken says whose a port is that somebody else publishes.
func taken(by *attach.Taken) error {
	return fmt.Errorf("%s is published by %s of network %s, which %s has attached: take another port (patchbay ports lists who has which)",
		by.Thing, short(by.Key.ContainerID), by.Key.Network, owner(&cli.Attachment{Owner: by.Owner}))
}
