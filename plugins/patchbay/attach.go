package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

const targets = `TARGET is the name of a network namespace (ip netns), a PID, the name of a running LXC container,
or the path of a network namespace. netns:NAME, pid:NUMBER and lxc:NAME are unambiguous.`

func attachCommand() command {
	f := &attachFlags{}
	return command{
		name: "attach", takes: "TARGET", short: "attach an existing network namespace to a network",
		long: targets + `

The command creates an interface (--interface) with addresses and routes of the network, and
prints one line. The container ID of the record is derived from TARGET: the name itself,
pid-NUMBER, lxc-NAME, or path-LAST-HASH; a name that is too long or not valid as a container ID
is cut, and a hash is appended. --publish publishes ports (patchbay help up). Attaching the same
interface twice is an error and changes nothing. A runtime's GC does not remove attachments
that commands created. A named network namespace gets names in /etc/netns/NAME/hosts, and with
--host-names in /etc/hosts, as with up.

--tap creates a tap in the namespace, for Firecracker, Cloud Hypervisor or qemu. The interface then has
no address: addresses and MAC are those of the guest, and a second line says what to configure there. Of
the users, root and --owner can open the tap; :GROUP lets every member of a group, USER:GROUP that user
if it is one. A tap is opened once, with --multi-queue once for each queue. detach deletes it.

-o json prints one object: the fields of ls -o json, and

  mac, mtu       of the container interface, and of the guest
  gateways       of the addresses, in their order; "" for none
  nameservers    of the network
  tap            object: name, owner, group (numbers; null for any), multiQueue; null without --tap

Fields may be added, but not renamed or removed.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, networkMeaning)
			f.registerIP(flags)
			f.registerPublish(flags)
			f.registerIfName(flags)
			f.registerHostNames(flags)
			f.registerDryRun(flags)
			f.tap.register(flags)
			f.registerOutput(flags)
		},
		runArgs: f.attach,
	}
}

// attachFlags are the flags of `patchbay attach`.
type attachFlags struct {
	common
	output
}

func (c *attachFlags) attach(out io.Writer, args []string) error {
	word, err := one("attach", "target", args)
	if err != nil {
		return err
	}
	asJSON, err := c.wantsJSON()
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
	if err := c.refuseNames(keysOf(t)); err != nil {
		return err
	}
	w, n, err := c.choose()
	if err != nil {
		return err
	}
	if c.dryRun {
		return c.explainAttach(out, word, w.Request(n, t, c.ifName), n)
	}
	req := w.Request(n, t, c.ifName)
	done, err := plugIn(interruptible(), req, n)
	if err != nil {
		return err
	}
	c.warnUnreachable(word, done)
	c.syncNames(keysOf(t))
	if asJSON {
		return printAttached(out, req.Key(n.Name), done)
	}
	sayLine(out, "%s: %s", word, done.line+c.publishes())
	done.guest.writeTo(out)
	return nil
}

// attached is the result of an attach.
type attached struct {
	line      string   // to print
	servers   []string // name servers of the network
	addresses []string // CIDR
	guest     guest
}

// plugIn attaches a network namespace.
func plugIn(ctx context.Context, req attach.Request, n *cli.Network) (done attached, err error) {
	if err := config.ValidateInterfaceName(req.IfName); err != nil {
		return done, fmt.Errorf("--interface %q cannot name an interface: %w", req.IfName, err)
	}
	setCall(&req)
	var printed bytes.Buffer
	if err := attach.Add(ctx, req, &printed); err != nil {
		return done, readableErrorOn(n, err)
	}
	var result struct {
		Interfaces []struct {
			Name, Mac, Sandbox string
			MTU                int
		}
		IPs []address
		DNS struct{ Nameservers []string }
	}
	if err := json.Unmarshal(printed.Bytes(), &result); err != nil {
		return done, fmt.Errorf("decode result: %w", err)
	}
	cfg, err := config.Parse(n.Config, req.Args)
	if err != nil {
		return done, err
	}
	done = attached{servers: result.DNS.Nameservers, guest: guest{tap: cfg.Tap, nameservers: result.DNS.Nameservers, addresses: result.IPs}}
	for _, i := range result.Interfaces {
		if i.Name == req.IfName && i.Sandbox != "" {
			done.guest.mac, done.guest.mtu = i.Mac, i.MTU
		}
	}
	for _, ip := range result.IPs {
		done.addresses = append(done.addresses, ip.Address)
	}
	has := done.addresses
	if len(has) == 0 {
		has = []string{"no address"}
	}
	done.line = fmt.Sprintf("%s %s, bridge %s, network %s", req.IfName, strings.Join(has, " "), cfg.Bridge, n.Name) + done.guest.tapText()
	return done, nil
}

// warnUnreachable warns of published ports that only the host itself reaches, because it does not forward. ADD enables forwarding where the
// host is the gateway; on the bridge of a LAN it is not.
func (c *common) warnUnreachable(name string, done attached) {
	if len(c.publish) == 0 {
		return
	}
	host, err := link.OpenHost()
	if err != nil {
		return // the attachment is complete, and doctor finds the same
	}
	defer host.Close()
	for _, f := range []struct{ family, in, sysctl string }{{"IPv4", ".", "net.ipv4.ip_forward"}, {"IPv6", ":", "net.ipv6.conf.all.forwarding"}} {
		of := func(address string) bool { return strings.Contains(address, f.in) }
		if slices.ContainsFunc(done.addresses, of) && !host.Forwarding(f.in == ".") {
			complain("warning: %s forwarding is disabled: the published ports of %s are unreachable from outside; enable it: %s",
				f.family, printable.Text(name, 0), printable.Command("sysctl", "-w", f.sysctl+"=1"))
		}
	}
}

func detachCommand() command {
	f := &common{}
	return command{
		name: "detach", takes: "TARGET...", short: "remove attachments that attach or up created",
		long: targets + `

A TARGET that no longer exists can be detached too, also by the name that ls prints. Attachments
of a runtime are not removed, even in the same network namespace, nor is the namespace itself. The
command continues after an error, and then exits with status 1.`,
		flags: func(flags *flag.FlagSet) {
			f.registerNetwork(flags, "only of this network")
			f.registerIfName(flags)
			f.registerState(flags)
			f.registerDryRun(flags)
		},
		runArgs: f.detach,
	}
}

func (c *common) detach(out io.Writer, args []string) error {
	if err := some("detach", "target", args); err != nil {
		return err
	}
	if err := privileged("detach", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	all, err := inventory.New(c.stateDir).Attachments(c.network)
	if err != nil {
		return readable(err)
	}
	if err := c.known(all); err != nil {
		return err
	}
	err = each(args, func(word string) error { return c.detachOne(out, all, word) })
	if c.dryRun {
		return err
	}
	err = errors.Join(err, cli.ForgetDeletedNetns())
	c.syncNames(nil)
	return err
}

func (c *common) detachOne(out io.Writer, all []inventory.Attachment, word string) error {
	ours, err := c.toDetach(all, word)
	if err != nil {
		return err
	}
	if c.dryRun {
		return explainDetach(out, word, ours)
	}
	if err := errors.Join(remove(c.confDir, ours)...); err != nil {
		return err
	}
	for _, a := range ours {
		detached(out, word, &a)
	}
	return nil
}

// toDetach returns the attachments that a target names.
func (c *common) toDetach(all []inventory.Attachment, word string) ([]inventory.Attachment, error) {
	t, missing := cli.Targets{Proc: "/proc", Known: cli.Names(all)}.Find(word)
	if t == nil {
		return nil, missing
	}
	ours, others := cli.Of(all, t, c.ifName)
	if missing != nil && len(ours) == 0 { // an LXC container that has ended, by its name alone
		ours, _ = cli.Of(all, &cli.Target{Kind: cli.KindLXC, Name: word}, c.ifName)
	}
	if missing != nil && len(ours) == 0 { // another name that ls prints
		ours, others = cli.Printed(all, word, c.ifName)
	}
	switch {
	case len(ours) > 0:
		return ours, nil
	case len(others) > 0:
		return nil, notOurs(word, &others[0])
	case missing != nil:
		return nil, missing
	}
	return nil, fmt.Errorf("%s has no %s that patchbay attach created", word, c.ifName)
}

// detached prints that an attachment was removed.
func detached(out io.Writer, name string, a *inventory.Attachment) {
	released := ""
	if len(a.Addresses) > 0 {
		released = ", released " + strings.Join(a.Addresses, " ")
	}
	sayLine(out, "%s: %s detached from network %s%s", name, a.IfName, a.Network, released)
}

// notOurs returns the error for an attachment that no command created.
func notOurs(name string, a *inventory.Attachment) error {
	attachment := fmt.Sprintf("%s of %s was attached to network %s by ", a.IfName, printable.Text(name, 0), a.Network)
	switch a.Owner {
	case "cni":
		return errors.New(attachment + "a runtime: delete the container with the runtime")
	case "lxc":
		return errors.New(attachment + "LXC: it is removed when the container stops")
	case "cli":
		return errors.New(attachment + "patchbay attach: pass its network namespace")
	}
	return errors.New(attachment + "an unknown owner, because its record cannot be read: see patchbay doctor")
}

// ownerText describes an owner in a sentence.
func ownerText(owner string) string {
	switch owner {
	case "cni":
		return "a runtime"
	case "lxc":
		return "LXC"
	case "cli":
		return "a patchbay command"
	}
	return "an unknown owner (its record cannot be read)"
}
