// Command patchbay-lan gives each of many hosts on one LAN addresses of its own out of one subnet: it keeps blocks of addresses in
// an etcd, and writes those of this host into a network configuration of Patchbay. The plugin itself asks nobody.
//
// Package main reads arguments and the environment, and prints. Package lan decides, package registry speaks to etcd, package host
// is the host.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/patchbay-cni/patchbay/pkg/flagtext"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Set by scripts/build-lan.sh.
var (
	version = "0.1.0-dev"
	commit  = "unknown"
)

func main() { os.Exit(runCommand(os.Args[1:], os.Stdout)) }

// command is one command of the command line.
type command struct {
	name, takes, short, long string
	words                    int // number of arguments
	flags                    func(*flag.FlagSet)
	run                      func(out io.Writer, args []string) error
}

func commands() []command {
	return []command{initCommand(), runLANCommand(), waitCommand(), lsCommand(), forgetCommand(), releaseCommand(), versionCommand()}
}

// runCommand runs the command that args name, and returns the exit code.
func runCommand(args []string, out io.Writer) int {
	err := dispatch(args, out)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	complain("%s", err)
	return 1
}

func dispatch(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return help(args, out)
	}
	if args[0] == "--version" || args[0] == "-v" {
		args = []string{"version"}
	}
	c, err := find(args[0])
	if err != nil {
		return err
	}
	flags := c.flagSet()
	words, err := parse(flags, args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return c.help(out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; see patchbay-lan help %s", c.name, err, c.name)
	}
	if len(words) != c.words {
		return fmt.Errorf("usage: patchbay-lan %s %s; see patchbay-lan help %s", c.name, c.takes, c.name)
	}
	return c.run(out, words)
}

// parse parses flags at any position.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, dashes(err)
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

// dashes writes the flag of an error of package flag with two dashes.
func dashes(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := strings.Replace(err.Error(), "flag provided but not defined: -", "unknown flag --", 1)
	return errors.New(strings.Replace(strings.Replace(text, "for flag -", "for --", 1), "flag needs an argument: -", "missing value of --", 1))
}

func find(name string) (command, error) {
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
	}
	return command{}, fmt.Errorf("unknown command %q; see patchbay-lan help", name)
}

func (c command) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error has the text
	flags.Usage = func() {}
	if c.flags != nil {
		c.flags(flags)
	}
	return flags
}

// help prints the list of commands, or the help of one.
func help(args []string, out io.Writer) error {
	if len(args) > 1 {
		c, err := find(args[1])
		if err != nil {
			return err
		}
		return c.help(out)
	}
	fmt.Fprint(out, "patchbay-lan gives many hosts of one LAN addresses out of one subnet, by blocks in an etcd. Commands:\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  patchbay-lan %s\t%s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
	}
	return table.Flush()
}

func (c command) help(out io.Writer) error {
	fmt.Fprintf(out, "patchbay-lan %s: %s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
	if c.long != "" {
		fmt.Fprintf(out, "\n%s\n", c.long)
	}
	flags := c.flagSet()
	first := true
	flags.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprintln(out)
		}
		first = false
		flagtext.Print(out, f)
	})
	return nil
}

// sayLine prints one line; control characters in names are escaped.
func sayLine(out io.Writer, format string, args ...any) {
	fmt.Fprintln(out, printable.Text(fmt.Sprintf(format, args...), 0))
}

// complain prints one line on stderr.
func complain(format string, args ...any) {
	const most = 8000
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	fmt.Fprintln(os.Stderr, "patchbay-lan:", printable.Text(text, most))
}

func versionCommand() command {
	return command{
		name: "version", short: "print version and commit",
		run: func(out io.Writer, _ []string) error {
			sayLine(out, "patchbay-lan %s (commit %s)", version, commit)
			return nil
		},
	}
}
