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
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

func upCommand() command {
	f := &common{ifName: "eth0"}
	return command{
		name: "up", takes: "NAME [-- CMD...]", short: "create a network namespace and attach it to a network",
		long: `Creates the network namespace NAME as "ip netns add" does, with loopback up, attaches it to a
network as eth0, and prints one line. With CMD it runs that program in the namespace as "ip netns
exec" does, and forwards signals to it; when the program ends, the attachment and the namespace are
deleted, and the exit status is that of the program (128 plus the number of the signal that ended
it, 127 if it is not found, 126 if it cannot be executed).

Without --network the network is ` + cli.DefaultName + `, whatever else is configured. It needs no file: it has the
bridge ` + cli.DefaultBridge + ` and a /24 that no route of this host overlaps, and is masqueraded behind the
host's address. The subnet stays the same while the bridge exists. --network names a network of
` + cli.DefaultConfDir + `, or an existing bridge such as br0 together with an unused address of its subnet
in --ip.

If /etc/resolv.conf has a name server of the host itself, such as 127.0.0.53, up writes the servers
that it forwards to into /etc/netns/NAME/resolv.conf, which "ip netns exec" uses; an existing file
stays.

--publish publishes ports: -p 8080:80, -p 192.0.2.1:53:53/udp, -p 8000-8009:80-89,
-p [2001:db8::1]:443:443; a single number is both host and container port. They are reachable from
outside at any address of the host, or at the given one, from the host itself, also at 127.0.0.1,
and from other containers, until the attachment is removed.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, networkMeaning)
			f.registerIP(flags)
			f.registerPublish(flags)
		},
		runArgs: f.up,
	}
}

// upping is the state of one `up`.
type upping struct {
	*common
	name      string
	selection cli.Selection
	network   *cli.Network
	program   *cli.Program // nil for none
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
	if err := u.check(command); err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, cli.Signals()...)
	ctx := interruptible()
	line, err := u.create(ctx)
	if err != nil {
		return err
	}
	if u.program == nil {
		sayLine(out, "%s: %s", u.name, line)
		return nil
	}
	sayLine(os.Stderr, "%s: %s", u.name, line)
	status, err := u.program.Run(cli.Named(u.name).Path, signals)
	if err = errors.Join(err, c.quietDown(u.name)); err != nil && status == 0 {
		status = 1
	}
	if status != 0 {
		return exitError{err, status}
	}
	return nil
}

// check returns an error before anything is created, where a later step would fail.
func (u *upping) check(command []string) error {
	if !config.ValidName(u.name) || len(u.name) > 64 {
		return fmt.Errorf("invalid namespace name %q: use at most 64 letters, digits, dots, underscores and dashes, a letter or digit first", u.name)
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
	u.selection, u.network, err = u.choose()
	return err
}

func exists(name string) error {
	return fmt.Errorf("network namespace %s already exists: %s attaches it, %s deletes it if patchbay up created it",
		name, printable.Command("patchbay", "attach", printable.Name(name)), printable.Command("patchbay", "down", printable.Name(name)))
}

// create creates the namespace and attaches it. If that fails, it deletes the namespace.
func (u *upping) create(ctx context.Context) (string, error) {
	err := cli.MakeNetns(u.name)
	if errors.Is(err, link.ErrExists) {
		return "", exists(u.name)
	}
	if err != nil {
		return "", err
	}
	req := u.selection.Request(u.network, cli.Named(u.name), u.ifName)
	req.NetnsMade = true
	done, err := plugIn(ctx, req, u.network)
	if err != nil {
		return "", errors.Join(err, cli.DeleteNetns(u.name))
	}
	if err := cli.WriteResolver(u.name, done.servers); err != nil {
		complain("%s", oneLine(err))
	}
	return done.line + u.publishes(), nil
}

// withoutCNI returns an environment without the variables for IPAM plugins.
func withoutCNI(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return slices.ContainsFunc([]string{"CNI_CONTAINERID=", "CNI_NETNS=", "CNI_IFNAME=", "CNI_ARGS="}, func(p string) bool { return strings.HasPrefix(v, p) })
	})
}

// quietDown is down without output.
func (c *common) quietDown(name string) error {
	_, err := c.downOne(name)
	return err
}

func downCommand() command {
	f := &common{}
	return command{
		name: "down", takes: "NAME...", short: "detach network namespaces, and delete those that up created",
		long: `Removes the attachments of the network namespace NAME that commands created, and deletes the
namespace if "patchbay up" created it, even without attachments. A namespace that "patchbay up" did
not create is kept, and down says so. The command continues after an error, and then exits with
status 1.`,
		flags: func(flags *flag.FlagSet) {
			f.registerConfDir(flags)
			f.registerState(flags)
		},
		runArgs: f.down,
	}
}

func (c *common) down(out io.Writer, args []string) error {
	if err := some("down", "name", args); err != nil {
		return err
	}
	if err := privileged("down", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	return each(args, func(name string) error {
		t, err := c.downOne(name)
		if err != nil {
			return err
		}
		for _, a := range t.ours {
			detached(out, name, &a)
		}
		switch {
		case t.made:
			sayLine(out, "%s: namespace deleted", name)
		case cli.Named(name).Path != "":
			sayLine(out, "%s: namespace kept, patchbay up did not create it (%s deletes it)", name, deleteNetns(name))
		}
		return nil
	})
}

// deleteNetns returns the command that deletes a named network namespace.
func deleteNetns(name string) string {
	return printable.Command("ip", "netns", "del", printable.Name(name))
}

// removed is what down removed.
type removed struct {
	ours []inventory.Attachment
	made bool // up created the namespace, and it was deleted
}

// notAName returns the error for a path or the name of a pod.
func notAName(all []inventory.Attachment, name string) error {
	if _, others := cli.Printed(all, name, ""); len(others) > 0 {
		return notOurs(name, &others[0])
	}
	return fmt.Errorf("down needs a name, not the path %s; %s detaches it", name, printable.Command("patchbay", "detach", printable.Name(name)))
}

// noNamespace returns the error for a name that ls prints and that is not a named network namespace.
func noNamespace(name string, ours, others []inventory.Attachment) error {
	if len(ours) == 0 {
		return notOurs(name, &others[0])
	}
	return fmt.Errorf("%s is an attachment without a named network namespace: %s detaches it", name, printable.Command("patchbay", "detach", printable.Name(name)))
}

// downOne removes the attachments of a namespace, and deletes it if up created it.
func (c *common) downOne(name string) (done removed, err error) {
	all, err := inventory.New(cmp.Or(c.stateDir, config.DefaultStateDir)).Attachments("")
	if err != nil {
		return done, readable(err)
	}
	if strings.Contains(name, "/") {
		return done, notAName(all, name)
	}
	t := cli.Named(name)
	ours, others := cli.Of(all, t, "")
	made, err := cli.MadeNetns(name, ours)
	if err != nil {
		return done, err
	}
	switch {
	case len(ours) > 0:
	case t.Path == "":
		if ours, others := cli.Printed(all, name, ""); len(ours) > 0 || len(others) > 0 {
			return done, noNamespace(name, ours, others)
		}
		_, err := cli.Targets{Proc: "/proc", Known: cli.Names(all)}.Find("netns:" + name)
		return done, err
	case len(others) > 0:
		return done, notOurs(name, &others[0])
	case !made:
		if err := cli.ForgetNetns(name); err != nil { // up created another one of this name, which no longer exists
			return done, err
		}
		return done, fmt.Errorf("patchbay up did not create namespace %s, and nothing is attached to it: %s deletes it", name, deleteNetns(name))
	}
	if err := remove(c.confDir, ours); err != nil {
		return done, err
	}
	if made {
		err = cli.DeleteNetns(name)
	} else {
		err = cli.ForgetNetns(name) // the namespace was deleted without down
	}
	return removed{ours, made && err == nil}, err
}
