package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/flagtext"
)

// command is one command of the command line. The table is small enough for the standard library: cobra with its
// dependencies adds a megabyte to the binary, and a tenth of a millisecond to every ADD.
type command struct {
	name, short, long string
	flags             func(*flag.FlagSet)
	run               func(out io.Writer) error
	second            []string                                 // the second words, of a command of two words
	options           map[string][]string                      // of a second word, the options that it takes; all if it is not in the map
	takes             string                                   // arguments after the name, for help; "" for none
	runArgs           func(out io.Writer, args []string) error // instead of run, if it takes arguments
}

func commands() []command {
	return []command{
		upCommand(), downCommand(), attachCommand(), detachCommand(), lsCommand(), inspectCommand(), explainCommand(),
		portsCommand(), showCommand(), statusCommand(), doctorCommand(), metricsCommand(), gcCommand(), reloadCommand(), networkCommand(), bridgeCommand(), installCommand(), uninstallCommand(), pauseCommand(), lxcCommand(), lxcHookCommand(), completionCommand(), versionCommand(), helpCommand(),
	}
}

// exitError is an error with an exit code; the error inside is nil if nothing is to be printed.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// checked keeps the first error of a writer, so that callers need not check every print.
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

// brokenPipe is the exit code of a shell for a program that SIGPIPE ended.
const brokenPipe = 128 + int(syscall.SIGPIPE)

// runCommand runs the command that args name and returns the exit code.
func runCommand(args []string) int {
	out := &checked{file: os.Stdout}
	err := dispatch(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if errors.Is(out.err, syscall.EPIPE) && (err == nil || errors.Is(err, syscall.EPIPE)) {
		return brokenPipe // the reader has closed the pipe, as head(1) does
	}
	if exit := (exitError{}); errors.As(err, &exit) {
		if exit.error != nil {
			complain("%s", oneLine(exit.error))
		}
		return exit.code
	}
	if err == nil && out.err != nil {
		err = out.err
	}
	if err != nil {
		complain("%s", oneLine(err))
		return 1
	}
	return 0
}

func dispatch(args []string, out io.Writer) error {
	if slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
		args[0] = "help"
	}
	if args[0] == "-v" || args[0] == "--version" {
		args = []string{"version"}
	}
	if args[0] == completeWord {
		complete(out, args[1:])
		return nil
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
		return fmt.Errorf("%s: %s; see patchbay help %s", c.name, flagError(err, flags), c.name)
	}
	if err := c.checkOptions(flags, words); err != nil {
		return err
	}
	if c.runArgs != nil {
		return c.runArgs(out, words)
	}
	if len(words) > 0 {
		return fmt.Errorf("%s takes no argument, got %q; see patchbay help %s", c.name, words[0], c.name)
	}
	return c.run(out)
}

// checkOptions returns an error for an option without a value, such as that of an unset variable of a shell, and for one that the second
// word does not take, but another second word does.
func (c command) checkOptions(flags *flag.FlagSet, words []string) (err error) {
	var takes []string
	limited := false
	if len(words) > 0 {
		takes, limited = c.options[words[0]]
	}
	flags.Visit(func(f *flag.Flag) {
		switch {
		case limited && !slices.Contains(takes, f.Name):
			err = fmt.Errorf("%s %s does not take the option %s; see patchbay help %s", c.name, words[0], flagtext.Dashed(f.Name), c.name)
		case f.Value.String() == "" && f.DefValue == "" && slices.Contains(notEmpty(), f.Name) && c.name != "lxc-hook": // which says what is missing
			err = fmt.Errorf("%s: the value is empty; leave the option out for the default", flagtext.Dashed(f.Name))
		}
	})
	return err
}

// notEmpty returns the options whose empty value would mean another thing than what a caller meant.
func notEmpty() []string { return []string{"network", "ip", "netns", "bridge", "uplink"} }

// parse parses flags at any position before a "--". It returns the other words, with the "--" and everything after it.
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
	return command{}, fmt.Errorf("unknown command %q%s; see patchbay help", name, suggestion(name))
}

// findAll finds the commands of a line: "ls gc" are two, "lxc enable" is one.
func findAll(words []string) (found []command, err error) {
	for len(words) > 0 {
		c, err := find(words[0])
		if err != nil {
			return nil, err
		}
		found, words = append(found, c), words[1:]
		if len(c.second) == 0 || len(words) == 0 {
			continue
		}
		if _, err := find(words[0]); slices.Contains(c.second, words[0]) {
			words = words[1:]
		} else if err != nil {
			return nil, fmt.Errorf("unknown command %q%s; see patchbay help %s", c.name+" "+words[0], cli.DidYouMean(words[0], c.second), c.name)
		}
	}
	return found, nil
}

// secondWord cuts the second word of a command off the words behind its name. Another one than those of known is an error, with use, the
// clause that says what they take.
func secondWord(command, use string, known, words []string) (what string, rest []string, err error) {
	if len(words) == 0 {
		return "", nil, fmt.Errorf("%s needs a second word: use %s; see patchbay help %s", command, use, command)
	}
	if !slices.Contains(known, words[0]) {
		return "", nil, fmt.Errorf("unknown command %q%s; use %s; see patchbay help %s", command+" "+words[0], cli.DidYouMean(words[0], known), use, command)
	}
	return words[0], words[1:], nil
}

// suggestion returns the hint for an unknown command: by the name of other programs, or by edit distance.
func suggestion(name string) string {
	others := map[string]string{
		"list": "ls", "ps": "ls", "create": "up", "add": "up", "run": "up", "connect": "attach", "disconnect": "detach",
		"del": "down", "delete": "down", "rm": "down", "remove": "down", "stop": "down", "prune": "gc", "clean": "gc",
		"check": "doctor", "health": "status", "port": "ports", "draw": "show", "info": "inspect", "enable": "lxc enable", "disable": "lxc disable",
	}[name]
	if others != "" {
		return "; did you mean " + others + "?"
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return cli.DidYouMean(name, names)
}

// flagError rewrites an error of package flag with two dashes, and suggests a flag.
func flagError(err error, flags *flag.FlagSet) string {
	text := err.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		near := cli.Nearest(strings.TrimLeft(name, "-"), names)
		if near == "" {
			return "unknown flag " + flagtext.Dashed(name)
		}
		return "unknown flag " + flagtext.Dashed(name) + "; did you mean " + flagtext.Dashed(near) + "?"
	}
	if name, alone := strings.CutPrefix(text, "flag needs an argument: -"); alone {
		return flagtext.Dashed(name) + " needs a value"
	}
	before, rest, invalid := strings.Cut(text, " for flag -")
	name, cause, found := strings.Cut(rest, ": ")
	if !invalid || !found {
		return text
	}
	if cause == "parse error" {
		cause = wanted(flags.Lookup(name))
	}
	return flagtext.Dashed(name) + ": " + before + ": " + cause
}

// wanted returns what the value of a flag must be.
func wanted(f *flag.Flag) string {
	if value, ok := f.Value.(flag.Getter); ok {
		if _, isTime := value.Get().(time.Duration); isTime {
			return "use a time with its unit, such as 30s"
		}
	}
	return "use a number"
}

func helpCommand() command {
	man := false
	return command{
		name: "help", takes: "[COMMAND...]", short: "print help about a command",
		long: `Without COMMAND it lists the commands. --help after a command prints the same. --man prints a manual
page: patchbay help --man up | man -l -`,
		flags: func(flags *flag.FlagSet) {
			flags.BoolVar(&man, "man", false, "print a manual page, in the macros of man(7)")
		},
		runArgs: func(out io.Writer, args []string) error { return help(args, out, man) },
	}
}

func (c command) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error has the text
	if c.flags != nil {
		c.flags(flags)
	}
	return flags
}

// help prints the list of commands, or the help of those that args name.
func help(args []string, out io.Writer, man bool) error {
	asked, err := findAll(args)
	if err != nil {
		return err
	}
	for i, c := range asked {
		if man {
			c.manPage(out)
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := c.help(out); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		return nil
	}
	if man {
		manOverview(out)
		return nil
	}
	fmt.Fprint(out, "patchbay is a CNI plugin: a runtime calls it with CNI_COMMAND set. Commands:\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  patchbay %s\t%s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
	}
	return table.Flush()
}

func (c command) help(out io.Writer) error {
	fmt.Fprintf(out, "patchbay %s: %s\n", strings.TrimSpace(c.name+" "+c.takes), c.short)
	if c.long != "" {
		fmt.Fprintf(out, "\n%s\n", c.long)
	}
	if c.flags != nil {
		fmt.Fprintln(out)
	}
	c.flagSet().VisitAll(func(f *flag.Flag) { flagtext.Print(out, f) })
	return nil
}

func versionCommand() command {
	o := &output{}
	return command{
		name: "version", short: "print version, commit and Go version",
		long: `-o json prints one object: version, commit, goVersion, and cniVersions, the supported versions of
the CNI specification.`,
		flags: func(flags *flag.FlagSet) { o.registerOutput(flags) },
		run: func(out io.Writer) error {
			asJSON, err := o.wantsJSON()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, map[string]any{"version": version, "commit": commit, "goVersion": runtime.Version(), "cniVersions": cniversion.All.SupportedVersions()})
			}
			_, err = fmt.Fprintf(out, "patchbay %s (commit %s, %s)\n", version, commit, runtime.Version())
			return err
		},
	}
}
