package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

func upCommand() command {
	f := &common{ifName: "eth0"}
	return command{
		name: "up", takes: "NAME [-- CMD...]", short: "make a namespace and plug it into a network",
		long: `Makes the network namespace NAME as "ip netns add" does, with loopback up, plugs its eth0 into
a network, and says in one line what it has. With CMD it runs that program in it, as "ip netns
exec" does, with input, outputs and signals passed on; when the program ends, all is taken
away again, and the exit status is the program's (128 and the number of a signal that ended
it, 127 if it is not found, 126 if it cannot be run).

Where no network is configured there is one that needs no file, ` + cli.DefaultName + `: the bridge ` + cli.DefaultBridge + `, a /24 that no
route of this host uses, and the outside sees the host's address. The subnet stays as long as
the bridge exists. --network may also name a bridge that somebody has made, such as br0, if
--ip says which address of its subnet is free.

--publish leads ports of the host to it: -p 8080:80, -p 192.0.2.1:53:53/udp, -p 8000-8009:80-89,
-p [2001:db8::1]:443:443; one number alone is the port of both. They are reached from outside by
any address of the host, or by the one that is told, from the host itself, by 127.0.0.1 too, and
from other containers; they are gone with it.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "name of the network (default the only one configured, or "+cli.DefaultName+" where there is none)")
			f.registerIP(flags)
			f.registerPublish(flags)
		},
		runArgs: f.up,
	}
}

// upping is one `up` on its way.
type upping struct {
	*common
	name    string
	wish    cli.Wish
	network *cli.Network
	program *cli.Program // nil for none
}

func (c *common) up(out io.Writer, args []string) error {
	u := &upping{common: c}
	var command []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, command = args[:i], args[i+1:]
	}
	var err error
	if u.name, err = one("up", "name", args); err != nil {
		return err
	}
	if err := u.look(command); err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, cli.Signals()...)
	ctx := interruptible()
	line, err := u.make(ctx)
	if err != nil {
		return err
	}
	if u.program == nil {
		fmt.Fprintf(out, "%s: %s\n", u.name, line)
		return nil
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", u.name, line)
	status, err := u.program.Run(cli.Named(u.name).Path, signals)
	if err = errors.Join(err, c.takeDown(u.name)); err != nil && status == 0 {
		status = 1
	}
	if status != 0 {
		return exitError{err, status}
	}
	return nil
}

// look refuses what could not end well, before anything is made.
func (u *upping) look(command []string) error {
	if !config.ValidName(u.name) || len(u.name) > 64 {
		return fmt.Errorf("%q cannot be the name of a namespace here: use at most 64 letters, digits, dots, underscores and dashes, a letter or digit first", u.name)
	}
	if err := privileged("up", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	if len(command) > 0 {
		path, status, err := cli.FindProgram(command[0])
		if err != nil {
			return exitError{err, status}
		}
		u.program = &cli.Program{Path: path, Args: command, Env: withoutCNI(os.Environ()), Name: u.name}
	}
	if cli.Named(u.name).Path != "" {
		return exists(u.name)
	}
	var err error
	u.wish, u.network, err = u.choose()
	return err
}

func exists(name string) error {
	return fmt.Errorf("a network namespace %s exists already: patchbay attach %s plugs it in, patchbay down %s takes it away if patchbay up has made it", name, name, name)
}

// make makes the namespace and plugs it in. If that fails, the namespace is away again.
func (u *upping) make(ctx context.Context) (string, error) {
	path := cli.NetnsDir + "/" + u.name
	err := link.PinNetns(path)
	if errors.Is(err, link.ErrExists) {
		return "", exists(u.name)
	}
	if err != nil {
		return "", err
	}
	req := u.wish.Request(u.network, cli.Named(u.name), u.ifName)
	req.NetnsMade = true
	line, err := plugIn(ctx, req, u.network)
	if err != nil {
		return "", errors.Join(err, link.UnpinNetns(path))
	}
	return line + u.publishes(), nil
}

// withoutCNI is an environment without what is for IPAM plugins.
func withoutCNI(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return slices.ContainsFunc([]string{"CNI_CONTAINERID=", "CNI_NETNS=", "CNI_IFNAME=", "CNI_ARGS="}, func(p string) bool { return strings.HasPrefix(v, p) })
	})
}

// takeDown is down without words.
func (c *common) takeDown(name string) error {
	_, _, err := c.take(name)
	return err
}

func downCommand() command {
	f := &common{}
	return command{
		name: "down", takes: "NAME", short: "unplug a namespace, and remove it if up has made it",
		long: `Takes away what people have attached to the namespace NAME, and the namespace itself if
"patchbay up" has made it. One that somebody else has made is only unplugged, and down says so.`,
		flags: func(flags *flag.FlagSet) {
			f.registerConfDir(flags)
			f.registerState(flags)
		},
		runArgs: f.down,
	}
}

func (c *common) down(out io.Writer, args []string) error {
	name, err := one("down", "name", args)
	if err != nil {
		return err
	}
	if err := privileged("down", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	ours, made, err := c.take(name)
	if err != nil {
		return err
	}
	for _, a := range ours {
		fmt.Fprintf(out, "%s: %s is off network %s%s\n", name, a.IfName, a.Network, freed(&a))
	}
	if !made && cli.Named(name).Path != "" {
		fmt.Fprintf(out, "%s: the namespace stays, patchbay up did not make it (ip netns del %s)\n", name, name)
	}
	return nil
}

// take unplugs a namespace, and removes it if it was made by up. Which one it is, the record tells.
func (c *common) take(name string) (ours []cli.Attachment, made bool, err error) {
	if strings.Contains(name, "/") {
		return nil, false, fmt.Errorf("down wants a name, not the path %s; patchbay detach %s unplugs it", name, name)
	}
	all, err := cli.List(cmp.Or(c.stateDir, config.DefaultStateDir), "")
	if err != nil {
		return nil, false, readable(err)
	}
	t := cli.Named(name)
	ours, others := cli.Of(all, t, "")
	if len(ours) == 0 && t.Path == "" {
		_, err := cli.Targets{Proc: "/proc", Known: cli.Names(all)}.Find("netns:" + name)
		return nil, false, err
	}
	if len(ours) == 0 && len(others) > 0 {
		return nil, false, fmt.Errorf("%s was attached to network %s by %s: let that take it away", name, others[0].Network, owner(&others[0]))
	}
	if len(ours) == 0 {
		return nil, false, fmt.Errorf("patchbay up did not make the namespace %s, and nothing is attached to it: ip netns del %s removes it", name, name)
	}
	made = cli.MadeNetns(name, ours)
	if err := remove(c.confDir, ours); err != nil {
		return ours, made, err
	}
	if made {
		err = link.UnpinNetns(t.Path)
	}
	return ours, made, err
}
