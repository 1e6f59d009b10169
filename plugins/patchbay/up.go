package main

import (
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
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

func upCommand() command {
	f := &common{ifName: "eth0"}
	return command{
		name: "up", takes: "NAME... [-- CMD...]", short: "create network namespaces and attach them to a network",
		long: `Creates the network namespace NAME as "ip netns add" does, with loopback up, attaches it to a
network as eth0, and prints one line. Several names, also those of {1..50} of a shell, are created one
after the other. A name that is invalid or in use is refused before anything is created; after a later
error the command continues, and then exits with status 1.

With CMD it runs that program in the namespace as "ip netns exec" does, and forwards signals to it;
when the program ends, the attachment and the namespace are deleted, and the exit status is that of
the program (128 plus the number of the signal that ended it, 127 if it is not found, 126 if it
cannot be executed).

Without --network the network is ` + cli.DefaultName + `, whatever else is configured. It needs no file: it has the
bridge ` + cli.DefaultBridge + ` and a /24 that no route of this host overlaps, and is masqueraded behind the
host's address. The subnet stays the same while the bridge exists. --network names a network of
` + cli.DefaultConfDir + `, or an existing bridge such as br0 together with an unused address of its subnet
in --ip.

If /etc/resolv.conf has a name server of the host itself, such as 127.0.0.53, up writes the servers
that it forwards to into /etc/netns/NAME/resolv.conf, which "ip netns exec" uses; an existing file
stays. The namespaces that share a network have each other's names in /etc/netns/NAME/hosts, and with
--host-names the host has them in a marked block of /etc/hosts. A name that these files have
already, or that is no host name, is left out and reported.

--publish publishes ports: -p 8080:80, -p 192.0.2.1:53:53/udp, -p 8000-8009:80-89,
-p [2001:db8::1]:443:443; a single number is both host and container port. They are reachable from
outside at any address of the host, or at the given one, from the host itself, also at 127.0.0.1,
and from other containers, until the attachment is removed.

--tap creates a tap for the guest of a virtual machine (patchbay help attach): patchbay up vm --tap --
firecracker ... runs one in the namespace.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, networkMeaning)
			f.registerIP(flags)
			f.registerPublish(flags)
			f.registerHostNames(flags)
			f.registerDryRun(flags)
			f.tap.register(flags)
		},
		runArgs: f.up,
	}
}

// upping is the state of one `up`.
type upping struct {
	*common
	names     []string
	selection cli.Selection
	network   *cli.Network
	program   *cli.Program // nil for none
}

func (c *common) up(out io.Writer, args []string) error {
	u := &upping{common: c, names: args}
	var command []string
	if i := slices.Index(args, "--"); i >= 0 {
		u.names, command = args[:i], args[i+1:]
	}
	if err := u.check(command); err != nil {
		return err
	}
	if c.dryRun {
		return u.explain(out)
	}
	if u.program != nil {
		return u.run(u.names[0])
	}
	ctx := interruptible()
	made := makeAhead(ctx, u.names)
	err := each(u.names, func(name string) error {
		if err := <-made; err != nil {
			return err
		}
		done, err := u.attach(ctx, name)
		if err == nil {
			sayLine(out, "%s: %s", name, done.line)
			done.guest.writeTo(out)
		}
		return err
	})
	u.syncNames(netnsKeys(u.names))
	return err
}

// makeAhead creates the namespaces in order, each while the one before is attached: the kernel needs about a third of the time of an
// `up` for the namespace. It sends an error, or nil, for each.
func makeAhead(ctx context.Context, names []string) <-chan error {
	made := make(chan error)
	go func() {
		for _, name := range names {
			if ctx.Err() != nil {
				made <- notCreated(ctx, name)
				continue
			}
			made <- makeNetns(name)
		}
	}()
	return made
}

func notCreated(ctx context.Context, name string) error {
	return fmt.Errorf("%s: not created: %w", name, context.Cause(ctx))
}

func makeNetns(name string) error {
	err := cli.MakeNetns(name)
	if errors.Is(err, link.ErrExists) {
		return exists(name)
	}
	return err
}

// run runs the program in a namespace that exists as long as the program.
func (u *upping) run(name string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, cli.Signals()...)
	if err := makeNetns(name); err != nil {
		return err
	}
	done, err := u.attach(interruptible(), name)
	if err != nil {
		return err
	}
	sayLine(os.Stderr, "%s: %s", name, done.line)
	done.guest.writeTo(os.Stderr)
	u.syncNames(netnsKeys(u.names))
	status, err := u.program.Run(cli.Named(name).Path, signals)
	if err = errors.Join(err, u.quietDown(name)); err != nil && status == 0 {
		status = 1
	}
	if status != 0 {
		return exitError{err, status}
	}
	return nil
}

// check returns an error before anything is created, where a later step would fail.
func (u *upping) check(command []string) error {
	if err := some("up", "name", u.names); err != nil {
		return err
	}
	if err := u.checkNames(); err != nil {
		return err
	}
	if err := privileged("up", unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN); err != nil {
		return err
	}
	switch {
	case u.dryRun && len(command) > 0:
		return errors.New("--dry-run creates no namespace in which a program could run: leave out -- and what follows")
	}
	if len(u.names) > 1 {
		switch {
		case len(command) > 0:
			return errors.New("a program runs in one namespace: pass one name before --")
		case u.ip != "" || len(u.publish) > 0:
			return errors.New("--ip and --publish are for one namespace: pass one name")
		}
	}
	if len(command) > 0 {
		path, status, err := cli.FindProgram(command[0])
		if err != nil {
			return exitError{err, status}
		}
		u.program = &cli.Program{Path: path, Args: command, Env: withoutCNI(os.Environ()), Name: u.names[0]}
	}
	for _, name := range u.names {
		if cli.Named(name).Path != "" {
			return exists(name)
		}
	}
	if err := u.refuseNames(netnsKeys(u.names)); err != nil {
		return err
	}
	var err error
	u.selection, u.network, err = u.choose()
	return err
}

func (u *upping) checkNames() error {
	for i, name := range u.names {
		if !config.ValidName(name) || len(name) > 64 {
			return fmt.Errorf("invalid namespace name %q: use at most 64 letters, digits, dots, underscores and dashes, a letter or digit first", name)
		}
		if slices.Contains(u.names[:i], name) {
			return fmt.Errorf("name %s is given twice", name)
		}
	}
	return nil
}

func exists(name string) error {
	return fmt.Errorf("network namespace %s already exists: %s attaches it, %s deletes it if patchbay up created it",
		name, printable.Command("patchbay", "attach", printable.Name(name)), printable.Command("patchbay", "down", printable.Name(name)))
}

// attach attaches a namespace that was just created. If that fails, it deletes the namespace.
func (u *upping) attach(ctx context.Context, name string) (done attached, err error) {
	if ctx.Err() != nil {
		return done, errors.Join(notCreated(ctx, name), cli.DeleteNetns(name))
	}
	req := u.selection.Request(u.network, cli.Named(name), u.ifName)
	req.NetnsMade = true
	done, err = plugIn(ctx, req, u.network)
	if err != nil {
		return done, errors.Join(err, cli.DeleteNetns(name))
	}
	u.warnUnreachable(name, done)
	if err := cli.WriteResolver(name, done.servers); err != nil {
		complain("%s", oneLine(err))
	}
	done.line += u.publishes()
	return done, nil
}

// withoutCNI returns an environment without the variables for IPAM plugins.
func withoutCNI(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return slices.ContainsFunc([]string{"CNI_CONTAINERID=", "CNI_NETNS=", "CNI_IFNAME=", "CNI_ARGS="}, func(p string) bool { return strings.HasPrefix(v, p) })
	})
}
