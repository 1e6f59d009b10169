package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
)

const targets = `TARGET is the name of a namespace (ip netns), a process's number, the name of a running LXC
container, or the path of a namespace; netns:NAME, pid:NUMBER and lxc:NAME say which, where
a word could mean two.`

func attachCommand() command {
	f := &common{}
	return command{
		name: "attach", takes: "TARGET", short: "plug a namespace that is there into a network",
		long: targets + `

It gets an interface (--ifname) with addresses of the network and the routes that belong to
them, and one line says what. The container ID of the record follows from TARGET alone: the
name itself, pid-NUMBER, lxc-NAME, path-LAST-hash; what is too long or no container ID of CNI
is cut and gets a hash. --publish leads ports of the host to it (patchbay help up). A second attach of the same interface is an error and changes nothing.
No GC of a runtime takes away what people have attached.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "name of the network (default the only one configured, or "+cli.DefaultName+" where there is none)")
			f.registerIP(flags)
			f.registerPublish(flags)
			flags.StringVar(&f.ifName, "ifname", "eth0", "name of the interface in the namespace")
		},
		runArgs: f.attach,
	}
}

func (c *common) attach(out io.Writer, args []string) error {
	word, err := one("attach", "target", args)
	if err != nil {
		return err
	}
	if err := privileged("attach", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	t, err := cli.Targets{Proc: "/proc"}.Find(word)
	if err != nil {
		return err
	}
	w, n, err := c.choose()
	if err != nil {
		return err
	}
	line, err := plugIn(interruptible(), w.Request(n, t, c.ifName), n)
	if err == nil {
		fmt.Fprintf(out, "%s: %s\n", word, line+c.publishes())
	}
	return err
}

// plugIn attaches and says in a line what there is now.
func plugIn(ctx context.Context, req attach.Request, n *cli.Network) (string, error) {
	if err := config.ValidateInterfaceName(req.IfName); err != nil {
		return "", fmt.Errorf("--ifname %q cannot name an interface: %w", req.IfName, err)
	}
	setCall(&req)
	var printed bytes.Buffer
	if err := attach.Add(ctx, req, &printed); err != nil {
		return "", told(err)
	}
	var result struct {
		IPs []struct{ Address, Gateway string }
	}
	var conf struct{ Bridge string }
	if err := json.Unmarshal(printed.Bytes(), &result); err != nil {
		return "", fmt.Errorf("read the result: %w", err)
	}
	if err := json.Unmarshal(n.Config, &conf); err != nil || conf.Bridge == "" {
		conf.Bridge = config.DefaultBridge
	}
	var has []string
	for _, ip := range result.IPs {
		has = append(has, ip.Address)
	}
	if len(has) == 0 {
		has = []string{"no address"}
	}
	return fmt.Sprintf("%s %s, bridge %s, network %s", req.IfName, strings.Join(has, " "), conf.Bridge, n.Name), nil
}

func detachCommand() command {
	f := &common{}
	return command{
		name: "detach", takes: "TARGET", short: "take away what attach has plugged in",
		long: targets + `

TARGET may be gone: then what is left of it is taken away. What a runtime has attached is not
touched, also in the same namespace; nor is the namespace itself.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only of this network")
			flags.StringVar(&f.ifName, "ifname", "eth0", "name of the interface in the namespace")
			f.registerState(flags)
		},
		runArgs: f.detach,
	}
}

func (c *common) detach(out io.Writer, args []string) error {
	word, err := one("detach", "target", args)
	if err != nil {
		return err
	}
	if err := privileged("detach", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	all, err := cli.List(c.stateDir, c.network)
	if err != nil {
		return readable(err)
	}
	if err := c.known(all); err != nil {
		return err
	}
	t, missing := cli.Targets{Proc: "/proc", Known: cli.Names(all)}.Find(word)
	if t == nil {
		return missing
	}
	ours, others := cli.Of(all, t, c.ifName)
	if missing != nil && len(ours) == 0 { // a container of LXC that has ended can be told by its name alone too
		ours, _ = cli.Of(all, &cli.Target{Kind: cli.KindLXC, Name: word}, c.ifName)
	}
	switch {
	case len(ours) > 0:
	case len(others) > 0:
		return fmt.Errorf("%s of %s was attached to network %s by %s: let that take it away", c.ifName, word, others[0].Network, owner(&others[0]))
	case missing != nil:
		return missing
	default:
		return fmt.Errorf("%s has no %s that patchbay attach has made", word, c.ifName)
	}
	if err := remove(c.confDir, ours); err != nil {
		return err
	}
	for _, a := range ours {
		fmt.Fprintf(out, "%s: %s is off network %s%s\n", word, a.IfName, a.Network, freed(&a))
	}
	return nil
}

func freed(a *cli.Attachment) string {
	if len(a.Addresses) == 0 {
		return ""
	}
	return ", free: " + strings.Join(a.Addresses, " ")
}

// owner is who made an attachment, in words.
func owner(a *cli.Attachment) string {
	switch a.Owner {
	case "cni":
		return "a runtime"
	case "lxc":
		return "LXC"
	case "cli":
		return "a person"
	}
	return "somebody (its record cannot be read)"
}
