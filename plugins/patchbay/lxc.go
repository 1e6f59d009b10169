package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/lxc"
)

// lxcFlags are the flags of `patchbay lxc`.
type lxcFlags struct {
	network, ip, lxcPath, confDir string
	force, names, hostNames       bool
	publish                       cli.Mappings
}

func lxcCommand() command {
	f := &lxcFlags{}
	return command{
		name: "lxc", second: lxcWords(), short: "add or remove an LXC container's network (enable, disable)",
		long: `  patchbay lxc enable NAME [--network N] [--ip A] [--publish P] [--names] [--host-names]
                             [--lxcpath P] [--force]
  patchbay lxc disable NAME [--lxcpath P]

enable adds lines to the container's configuration that make LXC call patchbay when the container
starts, stops and is destroyed; disable removes them. All other lines stay unchanged, and both
can be repeated. The change takes effect at the next start of the container. If lines of lxc.net.0
configure another network, enable refuses; with --force it comments them out, and disable restores
them. With --names LXC mounts a file of the host over the container's /etc/hosts, which has the
names of what shares a network with it; nothing is written into the container.`,
		options: map[string][]string{"disable": {"lxcpath"}},
		flags:   f.register, runArgs: f.run,
	}
}

// lxcWords returns the second words of the command.
func lxcWords() []string { return []string{"enable", "disable"} }

func (f *lxcFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.network, "network", "", networkMeaning)
	flags.StringVar(&f.ip, "ip", "", "IP `address` to request (comma-separated)")
	flags.Var(&f.publish, "publish", publishMeaning)
	flags.Var(&f.publish, "p", "short for --publish")
	flags.StringVar(&f.lxcPath, "lxcpath", "", "`directory` of containers (default that of LXC)")
	flags.StringVar(&f.confDir, "conf-dir", cli.DefaultConfDir, "`directory` of network configurations")
	flags.BoolVar(&f.names, "names", false, "mount a hosts file with names over the container's /etc/hosts")
	flags.BoolVar(&f.hostNames, "host-names", false, hostNamesMeaning)
	flags.BoolVar(&f.force, "force", false, "comment out lines of lxc.net.0")
}

func (f *lxcFlags) run(out io.Writer, words []string) error {
	if len(words) != 2 || words[0] != "enable" && words[0] != "disable" {
		what := ""
		if len(words) > 0 {
			what = cli.DidYouMean(words[0], lxcWords())
		}
		return fmt.Errorf("lxc needs enable NAME or disable NAME%s; see patchbay help lxc", what)
	}
	c := lxc.Container{Path: cmp.Or(f.lxcPath, lxc.Path()), Name: words[1]}
	if err := c.Check(); errors.Is(err, lxc.ErrNoContainer) {
		return fmt.Errorf("%w%s", err, cli.DidYouMean(c.Name, lxc.Names(c.Path)))
	} else if err != nil {
		return err
	}
	if words[0] == "disable" {
		changed, err := c.Edit(lxc.Disable)
		if err == nil {
			err = hostnames.RemoveContainer(c.ID())
		}
		return f.report(out, c, done{changed, "disabled from the next start", "not enabled"}, err)
	}
	ips, err := f.addresses()
	if err != nil {
		return err
	}
	n, err := cli.FindOrBridge(f.confDir, f.network, ips)
	if err != nil {
		return err
	}
	if n.Skipped != nil {
		complain("skipped: %s", oneLine(n.Skipped))
	}
	if err := n.Publish(f.publish); err != nil {
		return err
	}
	lines, err := f.lines(n.Name)
	if err != nil {
		return err
	}
	changed, err := f.edit(c, lines)
	return f.report(out, c, done{changed, "network " + n.Name + " from the next start", "network " + n.Name + ", unchanged"}, err)
}

// edit adds the lines to the configuration, and creates or deletes the hosts file of the container. The file exists before the line that
// mounts it, and is deleted after that.
func (f *lxcFlags) edit(c lxc.Container, lines lxc.Hooks) (changed bool, err error) {
	if f.hostNames {
		lines.Command += " --host-names"
		if err := hostnames.Refusal(hostnames.Container(c.ID())); err != nil {
			return false, err
		}
	}
	if !f.names {
		changed, err = c.Edit(lines.Enable)
		return changed, errors.Join(err, hostnames.RemoveContainer(c.ID()))
	}
	lines.Hosts = hostnames.ContainerFile(c.ID())
	if err := hostnames.AddContainer(c.ID()); err != nil {
		return false, err
	}
	if changed, err = c.Edit(lines.Enable); err != nil {
		return false, errors.Join(err, hostnames.RemoveContainer(c.ID()))
	}
	syncHostNames(nil)
	return changed, nil
}

// addresses returns those of --ip, whose text becomes part of the hook's line.
func (f *lxcFlags) addresses() (ips []netip.Addr, err error) {
	if f.ip == "" {
		return nil, nil
	}
	for text := range strings.SplitSeq(f.ip, ",") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("--ip: %w", err)
		}
		ips = append(ips, addr)
	}
	return ips, nil
}

// done is the result of an edit of a container's configuration.
type done struct {
	changed     bool
	now, before string
}

func (f *lxcFlags) report(out io.Writer, c lxc.Container, d done, err error) error {
	if err != nil {
		return err
	}
	if !d.changed {
		d.now = d.before
	}
	sayLine(out, "%s: %s", c.Name, d.now)
	return nil
}

// lines returns the hooks with the absolute path of this program and the name of the network, so that neither changes
// when others are installed.
func (f *lxcFlags) lines(network string) (lxc.Hooks, error) {
	self, err := os.Executable()
	if err != nil {
		return lxc.Hooks{}, err
	}
	for _, path := range []string{self, f.confDir} {
		if strings.ContainsAny(path, " \t\n'\"\\$`;&|<>()*?[]#~") {
			return lxc.Hooks{}, fmt.Errorf("invalid path %q: LXC runs hooks in a shell; use a path without spaces and shell characters", path)
		}
	}
	hook := self + " lxc-hook --network " + network
	if f.ip != "" {
		hook += " --ip " + f.ip
	}
	hook += f.publish.Flags()
	if f.confDir != cli.DefaultConfDir {
		hook += " --conf-dir " + f.confDir
	}
	return lxc.Hooks{Command: hook, Force: f.force}, nil
}
