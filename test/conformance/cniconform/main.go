// Command cniconform checks a CNI plugin against the specification, its conventions and common practice, from outside: exit status,
// results, and the state of the kernel. It runs each check in network and mount namespaces of its own, and changes nothing of the machine.
//
//	cniconform -plugin /opt/cni/bin/bridge -profile reference-bridge -report report.json
//
// It exits with status 1 if a check of the level of -fail-on, or of a more binding one, has failed and the profile does not list it as
// known, and with status 2 if it cannot run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/test/conformance"
)

// settings are the flags.
type settings struct {
	plugin, path, profile, selected, report, failOn, version string
	parallel                                                 int
	list, verbose                                            bool
}

func main() {
	failed, err := run(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "cniconform:", err)
		os.Exit(2)
	case len(failed) > 0:
		fmt.Fprintln(os.Stderr, "failed:", strings.Join(failed, " "))
		os.Exit(1)
	}
}

// flags reads the arguments.
func flags(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("cniconform", flag.ContinueOnError)
	f.StringVar(&s.plugin, "plugin", "", "`path` of the plugin")
	f.StringVar(&s.path, "path", "", "further `directories` of CNI_PATH, separated by colons; the plugin's own is the first")
	f.StringVar(&s.profile, "profile", "", "a `file`, or one of "+strings.Join(conformance.ProfileNames(), ", "))
	f.StringVar(&s.selected, "run", "", "run only checks whose ID matches this `regexp`")
	f.StringVar(&s.report, "report", "", "write a report to this `file`: JUnit if it ends in .xml, otherwise JSON")
	f.StringVar(&s.failOn, "fail-on", string(conformance.Must), "exit with status 1 for failed checks of this `level` and above: MUST, SHOULD or practice")
	f.StringVar(&s.version, "cni-version", "", "cniVersion of the configurations (default the newest that the plugin supports)")
	f.IntVar(&s.parallel, "parallel", 0, "checks that run at once (default three for each CPU)")
	f.BoolVar(&s.list, "list", false, "print the checks and exit")
	f.BoolVar(&s.verbose, "v", false, "print the checks that pass, too")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if !slices.Contains(conformance.Levels(), conformance.Level(s.failOn)) {
		return s, fmt.Errorf("-fail-on %s: levels are MUST, SHOULD and practice", s.failOn)
	}
	if !s.list && (s.plugin == "" || s.profile == "") {
		return s, errors.New("-plugin and -profile are required; -h prints the options")
	}
	return s, nil
}

// run returns the failed checks that decide the exit status.
func run(args []string) ([]string, error) {
	s, err := flags(args)
	if err != nil {
		return nil, err
	}
	if s.list {
		for _, c := range conformance.Checks() {
			fmt.Fprintf(os.Stdout, "%-8s  %-32s  %s\n", c.Level, c.ID, c.Text)
		}
		return nil, nil
	}
	o, err := options(s)
	if err != nil {
		return nil, err
	}
	outcomes, err := conformance.Run(o)
	if err != nil {
		return nil, err
	}
	r := conformance.NewReport(o, outcomes)
	r.WriteText(os.Stdout, s.verbose)
	if s.report != "" {
		err = r.WriteFile(s.report)
	}
	return r.Failed(conformance.Level(s.failOn)), err
}

// options turns the flags into the options of a run.
func options(s settings) (conformance.Options, error) {
	p, err := conformance.LoadProfile(s.profile)
	if err != nil {
		return conformance.Options{}, err
	}
	o := conformance.Options{Profile: p, Plugin: s.plugin, Parallel: s.parallel, Version: s.version}
	if s.path != "" {
		o.Path = strings.Split(s.path, ":")
	}
	if s.selected != "" {
		if o.Select, err = regexp.Compile(s.selected); err != nil {
			return o, fmt.Errorf("-run: %w", err)
		}
	}
	return o, nil
}
