package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// command is one command for people. The table of them is small enough for the standard library:
// a framework for commands (cobra with what it brings) is a megabyte of program, and costs every
// ADD a tenth of a millisecond.
type command struct {
	name, short, long string
	flags             func(*flag.FlagSet)
	run               func(out io.Writer) error
}

func commands() []command { return []command{showCommand(), reloadCommand(), versionCommand()} }

// runCommand runs the command for people that args name; it returns the exit code.
func runCommand(args []string) int {
	err := dispatch(args, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "patchbay:", err)
		return 1
	}
	return 0
}

func dispatch(args []string, out io.Writer) error {
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return help(args[1:], out)
	}
	if args[0] == "-v" || args[0] == "--version" {
		args = []string{"version"}
	}
	c, err := find(args[0])
	if err != nil {
		return err
	}
	flags := c.flagSet()
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return c.help(out)
	} else if err != nil {
		return fmt.Errorf("%s: %w; see patchbay help %s", c.name, err, c.name)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no argument, got %q; see patchbay help %s", c.name, flags.Arg(0), c.name)
	}
	return c.run(out)
}

func find(name string) (command, error) {
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
	}
	return command{}, fmt.Errorf("there is no command %q; see patchbay help", name)
}

func (c command) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is the error's text
	if c.flags != nil {
		c.flags(flags)
	}
	return flags
}

// help prints what there is, or what there is to say of one command.
func help(args []string, out io.Writer) error {
	if len(args) > 0 {
		c, err := find(args[0])
		if err != nil {
			return err
		}
		return c.help(out)
	}
	fmt.Fprint(out, "patchbay is a CNI plugin: a runtime calls it with CNI_COMMAND set. These commands are for people:\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  patchbay %s\t%s\n", c.name, c.short)
	}
	fmt.Fprintf(table, "  patchbay help COMMAND\tsay more about one\n")
	return table.Flush()
}

func (c command) help(out io.Writer) error {
	fmt.Fprintf(out, "patchbay %s: %s\n", c.name, c.short)
	if c.long != "" {
		fmt.Fprintf(out, "\n%s\n", c.long)
	}
	flags := c.flagSet()
	flags.SetOutput(out)
	if c.flags != nil {
		fmt.Fprintln(out)
	}
	flags.PrintDefaults()
	return nil
}

func versionCommand() command {
	return command{name: "version", short: "print the version", run: func(out io.Writer) error {
		_, err := fmt.Fprintln(out, version)
		return err
	}}
}
