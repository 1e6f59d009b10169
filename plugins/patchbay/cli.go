package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// command is one command for people. The table of them is small enough for the standard library:
// a framework for commands (cobra with what it brings) is a megabyte of program, and costs every
// ADD a tenth of a millisecond.
type command struct {
	name, short, long string
	flags             func(*flag.FlagSet)
	run               func(out io.Writer) error
	takes             string                                   // what stands behind the name, for help; "" for nothing but flags
	runArgs           func(out io.Writer, args []string) error // instead of run, if it takes arguments
}

func commands() []command {
	return []command{
		upCommand(), downCommand(), attachCommand(), detachCommand(), lsCommand(), inspectCommand(),
		portsCommand(), showCommand(), doctorCommand(), gcCommand(), reloadCommand(), lxcCommand(), lxcHookCommand(), versionCommand(),
	}
}

// exitError is an error with an exit code of its own; nil inside where nothing is to be said.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// checked remembers the first error of a writer that nobody looks at while printing.
type checked struct {
	file *os.File
	err  error
}

func (c *checked) Fd() uintptr { return c.file.Fd() }

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// brokenPipe is what a shell says of a program that ended by SIGPIPE.
const brokenPipe = 128 + int(syscall.SIGPIPE)

// runCommand runs the command for people that args name; it returns the exit code.
func runCommand(args []string) int {
	out := &checked{file: os.Stdout}
	err := dispatch(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if errors.Is(out.err, syscall.EPIPE) && (err == nil || errors.Is(err, syscall.EPIPE)) {
		return brokenPipe // whoever read it has seen enough
	}
	if exit := (exitError{}); errors.As(err, &exit) {
		if exit.error != nil {
			fmt.Fprintln(os.Stderr, "patchbay:", exit.error)
		}
		return exit.code
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("write: %w", out.err)
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
	words, err := parse(c.flagSet(), args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return c.help(out)
	} else if err != nil {
		return fmt.Errorf("%s: %w; see patchbay help %s", c.name, err, c.name)
	}
	if c.runArgs != nil {
		return c.runArgs(out, words)
	}
	if len(words) > 0 {
		return fmt.Errorf("%s takes no argument, got %q; see patchbay help %s", c.name, words[0], c.name)
	}
	return c.run(out)
}

// parse takes flags wherever they stand before a --. What is no flag it returns, the -- and all
// behind it too.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	for rest := args[:end]; ; {
		if err := flags.Parse(rest); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return append(words, args[end:]...), nil
		}
		words, rest = append(words, flags.Arg(0)), flags.Args()[1:]
	}
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
		fmt.Fprintf(table, "  patchbay %s\t%s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
	}
	fmt.Fprintf(table, "  patchbay help COMMAND\tsay more about one\n")
	return table.Flush()
}

func (c command) help(out io.Writer) error {
	fmt.Fprintf(out, "patchbay %s: %s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
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
