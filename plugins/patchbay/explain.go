package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/explain"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

func explainCommand() command {
	f := &explainFlags{}
	return command{
		name: "explain", takes: "[NETWORK | NAME]", short: "print the commands that make what ADD makes",
		long: `Prints the commands of ip, bridge, sysctl, tc and nft that make the state which the next ADD to
NETWORK would make on this host, in the order in which ADD makes it, each below a line that says why.
NETWORK is a network of ` + cli.DefaultConfDir + ` or an existing bridge, as for up; without it and
without --conf it is ` + cli.DefaultName + `. Nothing is changed, and no address is reserved.

NAME is an attachment that exists, by any name that inspect takes: then the commands make its state,
as record and kernel have it, on a host that has nothing of it.

--draw adds a picture of the host after each step, as show draws it; in a script the
pictures are comments.

-o sh prints a POSIX shell script that makes the state, run as root. It writes no record and reserves
no address: what it makes is not an attachment of Patchbay, a later ADD can give the address to
another container, and ip netns del and ip link del remove it. The script is refused if the commands
would not be all, and the text says which part is not printed: addresses of a delegated IPAM plugin
are not known before ADD calls it. -o json prints one object:

  network, containerID, ifname, netns   of the attachment
  exists         it is an attachment that exists
  addresses      of the container, in CIDR notation
  steps          array: step (as the log has it), commands: array of why, argv and stdin, and
                 with --draw picture: array of lines
  unprinted      parts of the state that the commands do not make, as clauses

Fields may be added, but not renamed or removed.`,
		flags: f.register, runArgs: f.explain,
	}
}

// explainFlags are the flags of `patchbay explain`.
type explainFlags struct {
	common
	output
	conf, netns string
	draw, ascii bool
	width       int
}

func (f *explainFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.conf, "conf", "", "`file` of a network, instead of NETWORK")
	flags.StringVar(&f.netns, "netns", "", "network namespace, as attach takes it, or the name of a new one (default c1, or the next)")
	f.registerIfName(flags)
	f.registerIP(flags)
	f.registerPublish(flags)
	f.registerConfDir(flags)
	f.registerState(flags)
	f.registerOutput(flags, "sh")
	flags.BoolVar(&f.draw, "draw", false, "after each step draw the host, as show does")
	flags.BoolVar(&f.ascii, "ascii", false, "draw with ASCII only")
	flags.IntVar(&f.width, "width", 0, "width of the pictures in columns, at least 30 (default that of the terminal, else 80)")
	for _, name := range []string{"interface", "ifname"} { // of an attachment: whichever it has
		_ = flags.Set(name, "")
		flags.Lookup(name).DefValue = "eth0"
	}
}

// explained is an attachment with its commands, and the object of -o json.
type explained struct {
	Network     string         `json:"network"`
	ContainerID string         `json:"containerID"`
	IfName      string         `json:"ifname"`
	Netns       string         `json:"netns"`
	Exists      bool           `json:"exists"`
	Addresses   []string       `json:"addresses"`
	Steps       []explain.Step `json:"steps"`
	Unprinted   []string       `json:"unprinted"`
}

func (f *explainFlags) explain(out io.Writer, args []string) error {
	format, err := f.chosen()
	if err != nil {
		return err
	}
	if err := f.checkArgs(args); err != nil {
		return err
	}
	plan, err := f.plan(args)
	if err != nil {
		return err
	}
	steps := plan.Steps()
	if f.draw {
		if err := f.drawInto(steps, plan, out, format); err != nil {
			return err
		}
	}
	return f.print(out, plan, steps, format)
}

// drawInto draws the host after each of the steps.
func (f *explainFlags) drawInto(steps []explain.Step, plan *explain.Plan, out io.Writer, format string) error {
	before, err := topo.Gather(inventory.New(f.stateDir), topo.Options{})
	if err != nil {
		return err
	}
	style := (&showFlags{ascii: f.ascii, width: f.width}).style(out)
	style.Color = style.Color && format == "text"
	for i, view := range plan.Views(before, steps) {
		if !steps[i].Runs() { // nothing has changed
			continue
		}
		var picture strings.Builder
		if err := topo.Draw(&picture, view, style); err != nil {
			return err
		}
		steps[i].Picture = strings.Split(strings.TrimRight(picture.String(), "\n"), "\n")
	}
	return nil
}

// checkArgs returns an error for arguments that exclude each other.
func (f *explainFlags) checkArgs(args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("explain takes one NETWORK or NAME, got %d: %s", len(args), strings.Join(args, " "))
	case len(args) == 1 && args[0] == "":
		return errors.New("explain: the name of the network or attachment is empty")
	case len(args) == 1 && f.conf != "":
		return fmt.Errorf("NETWORK (%s) and --conf (%s) both name a network: pass one of them", args[0], f.conf)
	}
	return privileged("explain", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN)
}

// plan returns what the arguments name: an attachment that exists, or a network.
func (f *explainFlags) plan(args []string) (*explain.Plan, error) {
	if len(args) == 0 {
		return f.ofNetwork()
	}
	all, err := inventory.New(f.stateDir).Attachments("")
	if err != nil {
		return nil, readable(err)
	}
	f.network = args[0]
	found, missing := cli.Match(all, args[0])
	if missing != nil && !errors.Is(missing, cli.ErrNotFound) {
		return nil, missing
	}
	_, unknown := cli.Find(f.confDir, args[0])
	switch {
	case len(found) == 0:
		plan, err := f.ofNetwork()
		if errors.Is(err, cli.ErrNoNetwork) {
			return nil, f.neither(args[0], all, err)
		}
		return plan, err
	case unknown == nil:
		return nil, fmt.Errorf("%s is a network and an attachment: pass --conf with the file of the network, or the host interface of the attachment (%s)", args[0], found[0].HostLink)
	}
	return f.ofAttachment(args[0], found)
}

// neither returns the error for a name of nothing.
func (f *explainFlags) neither(word string, all []inventory.Attachment, err error) error {
	near := ""
	if !strings.Contains(err.Error(), "did you mean") {
		near = cli.DidYouMean(word, cli.Names(all))
	}
	return fmt.Errorf("no attachment %q, and %w%s", word, err, near)
}

// ofAttachment returns the plan of an attachment that exists.
func (f *explainFlags) ofAttachment(word string, found []inventory.Attachment) (*explain.Plan, error) {
	var names []string
	fit := slices.DeleteFunc(found, func(a inventory.Attachment) bool {
		names = append(names, a.IfName)
		return f.ifName != "" && a.IfName != f.ifName
	})
	if len(fit) != 1 {
		slices.Sort(names)
		return nil, fmt.Errorf("attachment %s has the interfaces %s: pass --interface with one of them", word, strings.Join(names, ", "))
	}
	for flag, set := range map[string]bool{"--ip": f.ip != "", "--publish": len(f.publish) > 0, "--netns": f.netns != ""} {
		if set {
			return nil, fmt.Errorf("%s is for a network, and %s is an attachment", flag, word)
		}
	}
	if fit[0].Record == nil {
		return nil, fmt.Errorf("attachment %s has no readable record (state %s): see patchbay doctor", word, fit[0].State)
	}
	return explain.OfAttachment(fit[0].Record)
}

// ofNetwork returns the plan of the next ADD.
func (f *explainFlags) ofNetwork() (*explain.Plan, error) {
	w, err := f.selection()
	if err != nil {
		return nil, err
	}
	w.File = f.conf
	n, err := w.Choose()
	if err != nil {
		return nil, err
	}
	if len(n.Others) > 0 {
		complain("network %s: other plugins of the list are not explained: %s", n.Name, strings.Join(n.Others, ", "))
	}
	t, netns, err := f.target()
	if err != nil {
		return nil, err
	}
	return f.planOf(w.Request(n, t, cmp.Or(f.ifName, "eth0")), n, netns)
}

// planOf returns the plan of a request that ADD would get.
func (c *common) planOf(req attach.Request, n *cli.Network, netns explain.Netns) (*explain.Plan, error) {
	if err := config.ValidateInterfaceName(req.IfName); err != nil {
		return nil, fmt.Errorf("--interface %q cannot name an interface: %w", req.IfName, err)
	}
	preview, err := attach.Look(context.Background(), req)
	if err != nil {
		return nil, readableErrorOn(n, err)
	}
	return explain.OfNetwork(preview, netns)
}

// target returns the network namespace of the container, which may not exist yet.
func (f *explainFlags) target() (*cli.Target, explain.Netns, error) {
	if f.netns == "" {
		for i := 1; ; i++ {
			if name := "c" + strconv.Itoa(i); cli.Named(name).Path == "" {
				return cli.Named(name), explain.Netns{Word: name, Make: true}, nil
			}
		}
	}
	t, err := cli.Targets{Proc: "/proc"}.Find(f.netns)
	if t != nil && t.Kind == cli.KindNamed && t.Path == "" {
		if !config.ValidName(t.Name) {
			return nil, explain.Netns{}, err
		}
		return t, explain.Netns{Word: t.Name, Make: true}, nil
	}
	if err != nil {
		return nil, explain.Netns{}, err
	}
	return t, explain.NetnsAt(t.Path), nil
}

// print prints a plan in one of the formats.
func (f *explainFlags) print(out io.Writer, p *explain.Plan, steps []explain.Step, format string) error {
	head := f.head(p)
	switch format {
	case "json":
		r := p.Record
		e := explained{
			Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName, Netns: p.Netns.Word, Exists: p.Exists, Addresses: []string{}, Steps: steps, Unprinted: append([]string{}, p.Unprinted...),
		}
		for _, a := range r.Addresses {
			e.Addresses = append(e.Addresses, a.Address.String())
		}
		return printJSON(out, e)
	case "sh":
		text, err := explain.Script(head, steps, p.Unprinted)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, text)
		return err
	}
	text, err := explain.Text(steps, p.Unprinted)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, head+"\n"+text)
	return err
}

// head returns the first comment of the output.
func (f *explainFlags) head(p *explain.Plan) string {
	what := "what ADD would make"
	if p.Exists {
		what = "what makes the state of an attachment that exists"
	}
	return printable.Comment(fmt.Sprintf("%s: %s of container %s, network %s, namespace %s", what, p.Record.IfName, p.Record.ContainerID, p.Record.Network, filepath.Base(p.Netns.Word)))
}
