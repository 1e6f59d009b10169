package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
)

// lxcFlags are the flags of `patchbay lxc`.
type lxcFlags struct {
	network, ip, lxcPath, confDir string
	force                         bool
	publish                       cli.Mappings
}

func lxcCommand() command {
	f := &lxcFlags{}
	return command{
		name: "lxc", short: "give an LXC container a network, or take it away: lxc enable NAME, lxc disable NAME",
		long: `  patchbay lxc enable NAME [--network N] [--ip A] [--publish P] [--lxcpath P] [--force]
  patchbay lxc disable NAME [--lxcpath P]

enable writes the lines into the container's configuration by which LXC calls patchbay when the
container starts, stops and is destroyed; disable takes them out. All other lines stay, byte for
byte, and both can be repeated. It is effective when the container starts next. Where lines of
lxc.net.0 make another network, enable refuses; with --force it sets them aside, as comments,
and disable puts them back.`,
		flags: f.register, runArgs: f.run,
	}
}

func (f *lxcFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.network, "network", "", "name of the network (default the only one there is)")
	flags.StringVar(&f.ip, "ip", "", "address that the container is to have; two with a comma between them")
	flags.Var(&f.publish, "publish", publishMeaning)
	flags.Var(&f.publish, "p", "short for -publish")
	flags.StringVar(&f.lxcPath, "lxcpath", "", "directory of containers (default that of LXC)")
	flags.StringVar(&f.confDir, "conf-dir", cli.DefaultConfDir, "where the networks are")
	flags.BoolVar(&f.force, "force", false, "set lines of lxc.net.0 aside")
}

func (f *lxcFlags) run(out io.Writer, words []string) error {
	if len(words) != 2 || words[0] != "enable" && words[0] != "disable" {
		return errors.New("lxc wants enable NAME or disable NAME; see patchbay help lxc")
	}
	c := cli.LXC{Path: f.lxcPath, Name: words[1]}
	if c.Path == "" {
		c.Path = cli.LXCPath()
	}
	if err := c.Exists(); err != nil {
		return err
	}
	if words[0] == "disable" {
		changed, err := c.Edit(cli.DisableLXC)
		return f.tell(out, c, done{changed, "LXC calls patchbay no more", "LXC does not call patchbay"}, err)
	}
	n, err := cli.Find(f.confDir, f.network)
	if err != nil {
		return err
	}
	if err := n.Publish(f.publish); err != nil {
		return err
	}
	lines, err := f.lines(n.Name)
	if err != nil {
		return err
	}
	changed, err := c.Edit(lines.Enable)
	return f.tell(out, c, done{changed, "network " + n.Name + " from its next start on", "network " + n.Name + ", as before"}, err)
}

// done is what became of a container's configuration.
type done struct {
	changed     bool
	now, before string
}

func (f *lxcFlags) tell(out io.Writer, c cli.LXC, d done, err error) error {
	if err != nil {
		return err
	}
	if !d.changed {
		d.now = d.before
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", c.Name, d.now)
	return err
}

// lines name this program by its own path, and the network by its name: others may come.
func (f *lxcFlags) lines(network string) (cli.LXCLines, error) {
	self, err := os.Executable()
	if err != nil {
		return cli.LXCLines{}, err
	}
	for _, path := range []string{self, f.confDir} {
		if strings.ContainsAny(path, " \t\n'\"\\$`;&|<>()*?[]#~") {
			return cli.LXCLines{}, fmt.Errorf("LXC gives the line of a hook to a shell: use a path without white space and without signs that it knows, not %q", path)
		}
	}
	hook := self + " lxc-hook --network " + network
	if f.ip != "" {
		for text := range strings.SplitSeq(f.ip, ",") {
			if _, err := netip.ParseAddr(text); err != nil {
				return cli.LXCLines{}, fmt.Errorf("--ip: %w", err)
			}
		}
		hook += " --ip " + f.ip
	}
	hook += f.publish.Flags()
	if f.confDir != cli.DefaultConfDir {
		hook += " --conf-dir " + f.confDir
	}
	return cli.LXCLines{Hook: hook, Force: f.force}, nil
}
