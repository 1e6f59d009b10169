package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/hostbridge"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/netconfig"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// bridgeFlags are the flags of `patchbay bridge`.
type bridgeFlags struct {
	common
	hostbridge.Options
	dry            bool
	persist        string // the program whose configuration is printed; "" for none
	writes         bool
	configuration  []netconfig.File
	configurations []string // notes about it
	resolver       string   // a note about name servers; "" for none
}

func bridgeCommand() command {
	f := &bridgeFlags{}
	return command{
		name: "bridge", second: bridgeWords(), short: "put an interface into a bridge, and back (create, confirm, delete)",
		long: `  patchbay bridge create BR --uplink IF [--timeout 30s] [--yes] [--force] [--dry-run]
                         [--persist PROGRAM [--write]]
  patchbay bridge confirm [BR]
  patchbay bridge delete BR

create makes the bridge BR with the MAC address of the interface IF, moves the addresses, routes and
policy rules of IF to it, makes IF its port, and waits until the gateways answer through it. Then
it asks on a terminal whether to keep the bridge, and waits for the answer or for "patchbay bridge
confirm" elsewhere. --yes keeps it without a question if a gateway answers; it is refused if there
are gateways of which none answered before. Without a decision in time, after an error, or if one of
its processes is killed, IF is as before and BR does not exist. The exit status is 0 only if the
bridge is kept.

delete moves everything back from a bridge that create made, and deletes the bridge. It is refused
while the bridge has other ports, which it names.

Neither survives a reboot. --persist networkd, NetworkManager, netplan or ifupdown prints the files with
which that program creates the bridge at boot; with --write they are written when the bridge is kept,
if none of them exists.`,
		options: map[string][]string{"confirm": nil, "delete": {"state-dir"}},
		flags:   f.register, runArgs: f.run,
	}
}

func bridgeWords() []string { return []string{"create", "confirm", "delete"} }

const (
	decisionTimeout = 30 * time.Second
	mostTimeout     = time.Hour
)

func (f *bridgeFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.Uplink, "uplink", "", "`interface` to put into the bridge")
	flags.DurationVar(&f.Timeout, "timeout", decisionTimeout, "`time` to confirm the bridge in, before it is removed again")
	flags.BoolVar(&f.Yes, "yes", false, "keep the bridge without a question if the gateways answer; refused if none answered before")
	flags.BoolVar(&f.Force, "force", false, "also if a DHCP client renews an address of the interface: the address ends with its lease")
	flags.BoolVar(&f.dry, "dry-run", false, "print what would be moved")
	flags.StringVar(&f.persist, "persist", "", "print the configuration of the bridge for this `program`: "+strings.Join(netconfig.Programs(), ", "))
	flags.BoolVar(&f.writes, "write", false, "write the files of --persist")
	f.registerState(flags)
}

func (f *bridgeFlags) run(out io.Writer, words []string) error {
	if len(words) > 0 && words[0] == "watch" { // started by create, and not for people
		return f.watch(words[1:])
	}
	what, names, err := secondWord("bridge", "create BR --uplink IF, confirm or delete BR", bridgeWords(), words)
	switch {
	case err != nil:
		return err
	case what == "create":
		return f.create(out, names)
	case what == "confirm":
		return f.confirm(out, names)
	}
	return f.delete(out, names)
}

func (f *bridgeFlags) create(out io.Writer, names []string) (err error) {
	if f.Bridge, err = one("bridge create", "bridge name", names); err != nil {
		return err
	}
	if f.Uplink == "" {
		return errors.New("bridge create needs --uplink, the interface to put into the bridge; see patchbay help bridge")
	}
	if f.Timeout < time.Second || f.Timeout > mostTimeout {
		return fmt.Errorf("--timeout: want 1s to 1h, got %v", f.Timeout)
	}
	if f.writes && f.persist == "" {
		return fmt.Errorf("--write needs --persist, one of %s", strings.Join(netconfig.Programs(), ", "))
	}
	if err := privileged("bridge create", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if err := f.notAttached(); err != nil {
		return err
	}
	if f.dry {
		return f.plan(out)
	}
	f.Looked = func(s *uplink.State) error {
		f.resolver = resolverNote(s.Index, s.Uplink, s.Bridge)
		return f.configure(s)
	}
	f.Moved = func(r hostbridge.Result) <-chan bool { return f.ask(out, r) }
	if err := hostbridge.Create(interruptible(), f.Options); err != nil {
		return f.explain(err)
	}
	sayLine(out, "%s: kept, %s is its port", f.Bridge, f.Uplink)
	return f.saveConfiguration(out)
}

// explain adds the interface that may be meant to an error about one that does not exist.
func (f *bridgeFlags) explain(err error) error {
	if !errors.Is(err, uplink.ErrNotFound) {
		return err
	}
	k, failed := uplink.Open()
	if failed != nil {
		return err
	}
	defer k.Close()
	return fmt.Errorf("%w%s", err, cli.DidYouMean(f.Uplink, k.Names()))
}

// notAttached refuses the host interface of an attachment as an uplink.
func (f *bridgeFlags) notAttached() error {
	all, err := inventory.New(f.stateDir).Attachments("")
	if err != nil {
		return readable(err)
	}
	for _, a := range all {
		if a.HostLink == f.Uplink {
			return fmt.Errorf("%s %w: it is the host interface of attachment %s; use the interface that leads to the network", f.Uplink, uplink.ErrRefused, a.Name)
		}
	}
	return nil
}

func (f *bridgeFlags) plan(out io.Writer) error {
	f.Force = f.Force || f.persist != "" // how another program configures the bridge is what is asked
	s, err := hostbridge.Plan(f.Options)
	if err != nil {
		return f.explain(err)
	}
	if err := f.configure(s); err != nil {
		return err
	}
	addresses, routes := s.Summary()
	sayLine(out, "%s: would be created with %s as its port", f.Bridge, f.Uplink)
	f.moves(out, "would move", addresses, routes)
	f.printConfiguration(out)
	return nil
}

// moves prints addresses and routes, a line each.
func (f *bridgeFlags) moves(out io.Writer, verb string, addresses, routes []string) {
	for _, a := range addresses {
		sayLine(out, "%s: %s address %s", f.Bridge, verb, a)
	}
	for _, r := range routes {
		sayLine(out, "%s: %s route %s", f.Bridge, verb, r)
	}
}

// ask prints what was moved, and on a terminal asks whether to keep it.
func (f *bridgeFlags) ask(out io.Writer, r hostbridge.Result) <-chan bool {
	f.moves(out, "moved", r.Addresses, r.Routes)
	for _, g := range r.Gateways {
		sayLine(out, "%s: gateway %s answers", f.Bridge, g)
	}
	if f.resolver != "" {
		complain("note: %s", f.resolver)
	}
	switch {
	case len(r.Gateways) > 0:
	case len(r.Silent) > 0:
		sayLine(out, "%s: no gateway answered before, so none was checked", f.Bridge)
	default:
		sayLine(out, "%s: no route of %s has a gateway, so none was checked", f.Bridge, f.Uplink)
	}
	if f.Yes {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil {
		sayLine(out, "%s: removed again in %v, unless: patchbay bridge confirm", f.Bridge, f.Timeout)
		return nil
	}
	fmt.Fprintf(out, "keep %s? Without an answer it is removed again in %v. [y/N] ", f.Bridge, f.Timeout)
	answer := make(chan bool, 1)
	go func() {
		defer close(answer)
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err == nil {
			answer <- slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line)))
		}
	}()
	return answer
}

func (f *bridgeFlags) confirm(out io.Writer, names []string) error {
	name := ""
	if len(names) > 1 {
		return fmt.Errorf("bridge confirm takes one bridge name at most, got %d arguments; see patchbay help bridge", len(names))
	}
	if len(names) == 1 {
		name = names[0]
	}
	bridge, err := hostbridge.Confirm(name)
	if err != nil {
		return err
	}
	sayLine(out, "%s: confirmed", bridge)
	return nil
}

func (f *bridgeFlags) delete(out io.Writer, names []string) error {
	bridge, err := one("bridge delete", "bridge name", names)
	if err != nil {
		return err
	}
	if err := privileged("bridge delete", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if err := f.unused(bridge); err != nil {
		return err
	}
	name, err := hostbridge.Delete(bridge)
	if errors.Is(err, uplink.ErrForeign) {
		return persisted(bridge, err)
	}
	if err != nil {
		return err
	}
	sayLine(out, "%s: deleted, %s is as before", bridge, name)
	for _, path := range netconfig.Written(bridge, name) {
		complain("note: %s configures %s at the next boot: remove it", path, bridge)
	}
	return nil
}

// unused returns an error that names the attachments of a bridge.
func (f *bridgeFlags) unused(bridge string) error {
	all, err := inventory.New(f.stateDir).Attachments("")
	if err != nil {
		return readable(err)
	}
	var names []string
	gone := ""
	for _, a := range all {
		if a.Bridge != bridge || a.HostLink == "" {
			continue
		}
		names = append(names, printable.Name(a.Name))
		if _, err := os.Lstat(a.Netns); errors.Is(err, os.ErrNotExist) {
			gone = "; patchbay gc removes those whose network namespace no longer exists, when the kernel has deleted it"
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("bridge %s has %s: %s; detach them first (patchbay detach, or the runtime)%s", bridge, many(len(names), "attachment"), strings.Join(names, ", "), gone)
	}
	return nil
}

func (f *bridgeFlags) watch(names []string) error {
	bridge, err := one("bridge watch", "bridge name", names)
	if err != nil {
		return err
	}
	return hostbridge.Watch(bridge, f.Timeout)
}
