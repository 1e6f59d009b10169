package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/network"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// networkFlags are the flags of `patchbay network`.
type networkFlags struct {
	common
	output
	network.Spec
	subnets []string
	dry     bool
}

func networkCommand() command {
	f := &networkFlags{}
	return command{
		name: "network", second: networkWords(), short: "create, list or remove networks (create, ls, rm)",
		long: `  patchbay network create NAME [--subnet S] [--ipv6] [--bridge B] [--vlan N] [--isolated] [--dhcp]
                          [--dry-run]
  patchbay network ls [-o text|json|yaml|table|name]
  patchbay network rm NAME...

create writes a network configuration to --conf-dir, which "patchbay up --network NAME" and runtimes
can use. Without --subnet it chooses a /24 that no route of the host and no other network overlaps;
--ipv6 adds a subnet of unique local addresses. The first attachment creates the bridge. A name, a
subnet or a bridge that another network or the host has is refused, and nothing is written.

ls prints the networks of --conf-dir, of every plugin, and the built-in one.

rm deletes the file of a network that create wrote, and its bridge if patchbay created that and
nothing else needs it. It is refused while the network has attachments.`,
		options: map[string][]string{
			"create": {"subnet", "ipv6", "bridge", "vlan", "isolated", "dhcp", "dry-run", "conf-dir"},
			"ls":     {"output", "o", "json", "no-headers", "conf-dir", "state-dir"},
			"rm":     {"conf-dir", "state-dir"},
		},
		flags: f.register, runArgs: f.run,
	}
}

func networkWords() []string { return []string{"create", "ls", "rm"} }

func (f *networkFlags) register(flags *flag.FlagSet) {
	flags.Func("subnet", "`subnet` in CIDR notation; repeat it for the other family", func(text string) error {
		f.subnets = append(f.subnets, text)
		return nil
	})
	flags.BoolVar(&f.IPv6, "ipv6", false, "add an IPv6 subnet (fd00::/8)")
	flags.StringVar(&f.Bridge, "bridge", "", "`name` of the bridge (default pb-NAME)")
	flags.IntVar(&f.VLAN, "vlan", 0, "`VLAN` ID of the bridge ports")
	flags.BoolVar(&f.Isolated, "isolated", false, "containers reach neither each other nor those of other isolated networks (ingressPolicy isolated)")
	flags.BoolVar(&f.DHCP, "dhcp", false, "addresses of a DHCP server on the LAN of an existing bridge")
	flags.BoolVar(&f.dry, "dry-run", false, "print the file that create would write")
	f.registerConfDir(flags)
	f.registerState(flags)
	f.registerListing(flags)
}

func (f *networkFlags) run(out io.Writer, words []string) error {
	what, names, err := secondWord("network", "create NAME, ls or rm NAME", networkWords(), words)
	switch {
	case err != nil:
		return err
	case what == "create":
		return f.create(out, names)
	case what == "rm":
		return f.remove(out, names)
	}
	return f.list(out, names)
}

func (f *networkFlags) create(out io.Writer, names []string) error {
	var err error
	if f.Name, err = one("network create", "name", names); err != nil {
		return err
	}
	for _, text := range f.subnets {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--subnet: want an address and a prefix length such as 10.78.0.0/24, got %q", text)
		}
		f.Subnets = append(f.Subnets, p)
	}
	if f.dry {
		planned, err := network.Plan(f.confDir, f.Spec)
		if err == nil {
			_, err = out.Write(planned.Config)
		}
		return err
	}
	c, err := network.Create(f.confDir, f.Spec)
	if err != nil {
		return writable("network create", err)
	}
	sayLine(out, "%s: created %s, bridge %s", f.Name, c.Path, c.Bridge)
	if c.First {
		complain("note: it is the first network of %s: containerd, CRI-O and kubelet use that one for every pod", f.confDir)
	}
	return nil
}

// remove deletes networks. It continues after an error.
func (f *networkFlags) remove(out io.Writer, names []string) error {
	if err := some("network rm", "name", names); err != nil {
		return err
	}
	if err := privileged("network rm", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	return each(names, func(name string) error {
		err := network.Removable(f.confDir, name) // first: the attachments need not be removed for that
		if errors.Is(err, network.ErrUnknown) {
			return f.unknown(name)
		}
		if err == nil {
			err = f.unused(name)
		}
		if err != nil {
			return err
		}
		deleted, err := network.Remove(f.confDir, name)
		if errors.Is(err, network.ErrUnknown) {
			return f.unknown(name)
		}
		if len(deleted) > 0 {
			sayLine(out, "%s: deleted %s", name, strings.Join(deleted, ", "))
		}
		return err
	})
}

// unused returns an error that names the attachments of a network.
func (f *networkFlags) unused(name string) error {
	all, err := inventory.New(f.stateDir).Attachments(name)
	if err != nil {
		return readable(err)
	}
	const most = 5
	var list []string
	for i, a := range all {
		if i == most {
			list = append(list, fmt.Sprintf("%d more", len(all)-most))
			break
		}
		list = append(list, printable.Name(a.Name))
	}
	if len(list) > 0 {
		return fmt.Errorf("network %s has %s: %s; remove them first (patchbay down, or the runtime)", name, many(len(all), "attachment"), strings.Join(list, ", "))
	}
	return nil
}

func (f *networkFlags) unknown(name string) error {
	all, err := network.List(f.confDir)
	if err != nil {
		return err
	}
	var known []string
	for _, n := range all {
		known = append(known, printable.Name(n.Name))
	}
	if name == cli.DefaultName {
		return fmt.Errorf("network %s is built in and has no file: patchbay down removes its attachments", name)
	}
	return fmt.Errorf("no network %q in %s%s", name, f.confDir, cli.DidYouMean(name, known))
}

// listed is a line of `network ls`, and an object of its JSON.
type listed struct {
	network.Network
	Attachments int `json:"attachments"`
}

func (f *networkFlags) list(out io.Writer, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("network ls takes no argument, got %q", words[0])
	}
	if _, err := f.chosen(); err != nil {
		return err
	}
	networks, err := network.List(f.confDir)
	if err != nil {
		return err
	}
	attached, err := inventory.New(f.stateDir).Attachments("")
	if err != nil {
		return readable(err)
	}
	count := map[string]int{}
	for _, a := range attached {
		count[a.Network]++
	}
	all := []listed{}
	builtIn := true
	for _, n := range networks {
		all = append(all, listed{n, count[n.Name]})
		builtIn = builtIn && n.Name != cli.DefaultName
	}
	if builtIn {
		n := network.Network{Name: cli.DefaultName, Types: []string{"patchbay"}, Bridge: cli.DefaultBridge, Subnets: []netip.Prefix{}}
		all = append(all, listed{n, count[n.Name]})
	}
	return f.print(out, listing{objects: all, names: namesOf(all, func(n listed) string { return n.Name }), table: networkTable(all)})
}

func networkTable(all []listed) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTYPE\tBRIDGE\tVLAN\tSUBNETS\tATTACHMENTS\tFILE")
	for _, n := range all {
		var subnets []string
		for _, p := range n.Subnets {
			subnets = append(subnets, p.String())
		}
		vlan, file := "", "(built in)"
		if n.VLAN != 0 {
			vlan = strconv.Itoa(n.VLAN)
		}
		if n.Path != "" {
			file = n.Path
		}
		fmt.Fprintln(w, strings.Join([]string{
			cell(n.Name), cell(strings.Join(n.Types, ",")), cell(n.Bridge), cell(vlan), cell(strings.Join(subnets, " ")), strconv.Itoa(n.Attachments), cell(file),
		}, "\t"))
	}
	_ = w.Flush() // into memory
	return text.String()
}
