package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/doctor"
)

// doctorFlags are the flags of `patchbay doctor`.
type doctorFlags struct {
	stateDir string
	output   string
}

func doctorCommand() command {
	f := &doctorFlags{}
	return command{
		name: "doctor", short: "find out why a container reaches nobody, or nobody reaches it",
		long: `Looks at this host for what keeps attached containers from being reached or from reaching
others, changes nothing, and prints what it found: each time one sentence that says what is
wrong and whom it hurts, what was seen, and the commands that mend it, which can be pasted into a
shell: what is no command begins with #. It looks at forwarding; firewalls that drop (docker, ufw,
firewalld, a chain with policy drop, iptables-legacy); bridges and cables that are gone or down;
lost rules; published ports that a process of the host wants too; routes to containers and
rp_filter; br_netfilter; MTUs; and how full bridges are.

It ends with status 0 if it found nothing, with 1 if it found something or could not look. -o
json is one object: networks and attachments (how many live), looked (at what), and findings,
each with about, says, seen, maybe (it depends on what was not understood) and fix (a list).`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, "where the records are; those where networks have rules are known")
			flags.StringVar(&f.output, "output", "text", "text or json")
			flags.StringVar(&f.output, "o", "text", "short for -output")
		},
		run: f.run,
	}
}

func (f *doctorFlags) run(out io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: it is text or json", f.output)
	}
	if err := privileged("doctor", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	dir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return err
	}
	report, err := doctor.Examine(doctor.Host{StateDir: dir})
	if report == nil {
		return readable(err)
	}
	if f.output == "json" {
		if failed := printJSON(out, report); failed != nil {
			return failed
		}
	} else {
		printReport(out, report, err == nil)
	}
	switch {
	case err != nil:
		return readable(err)
	case len(report.Findings) > 0:
		return exitError{code: 1}
	}
	return nil
}

// printReport prints it for people; whole is whether everything could be looked at.
func printReport(out io.Writer, r *doctor.Report, whole bool) {
	for i, f := range r.Findings {
		fmt.Fprintf(out, "%d. %s\n   seen: %s\n", i+1, f.Says, f.Seen)
		for j, fix := range f.Fix {
			word := "      "
			if j == 0 {
				word = "fix:  "
			}
			fmt.Fprintf(out, "   %s%s\n", word, fix)
		}
		fmt.Fprintln(out)
	}
	said := "nothing is wrong"
	switch n := len(r.Findings); {
	case n > 0:
		said = fmt.Sprintf("%d found", n)
	case !whole:
		said = "nothing found, but not all could be looked at"
	}
	fmt.Fprintf(out, "%s: %s of %s; looked at %s\n", said, many(r.Attachments, "attachment"), many(r.Networks, "network"), strings.Join(r.Looked, ", "))
}

// many is a number of things of a name, "1 network", "2 networks".
func many(n int, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
