package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

func statusCommand() command {
	f := &doctorFlags{}
	return command{
		name: "status", short: "print the health of this host in ten lines",
		long: `Prints the version, the networks with the addresses that are used and free, the numbers of
attachments and published ports, whether the ruleset has the rules of every attachment, and how
many problems "patchbay doctor" finds. It changes nothing. Of more than four networks it prints
those with attachments first, and how many more there are. Each network of patchbay-lan has a
line: whether the program runs, whether containers get addresses, free addresses, blocks and
problems. On a node with patchbay-agent, which writes /run/patchbay-agent/status.json, two more
lines have name, mode, pod CIDRs and routes of the node, whether the agent runs, and whether the
API server answers it; its first five problems follow. What is of an earlier time, because the
agent does not run or makes no passes, has "as of" and that time.

The exit status is 1 if doctor finds a problem or a check failed. -o json prints one object:
version, networks (a list of objects with name, bridge, attachments and pools, each with subnets,
used, free and size, which count up to 65536), attachments, up (those that ls prints as up),
ports, ruleset (complete, incomplete or unknown), problems and unchecked (checks that failed);
with patchbay-lan lan: a list of objects with network, running, state (ready or waiting: whether
its network configuration exists), and while it runs what its status has; and with patchbay-agent
agent: what status.json has, activity (running, late or stopped), ageSeconds of its last pass, api
(answers, fails or unknown), and asOf, the time of that pass, if activity is not running: the rest
is of that time. Fields may be added, but not renamed or removed.`,
		flags: f.register, run: f.status,
	}
}

func (f *doctorFlags) status(out io.Writer) error {
	host, asJSON, err := f.host("status")
	if err != nil {
		return err
	}
	s, err := health.Examine(host)
	if s == nil {
		return readable(err)
	}
	s.Version = version
	if asJSON {
		if failed := printJSON(out, s); failed != nil {
			return failed
		}
	} else {
		printSummary(out, s)
	}
	switch {
	case err != nil:
		return readable(err)
	case s.Problems+s.Unchecked > 0:
		return exitError{code: 1}
	}
	return nil
}

// printSummary prints a summary in at most ten lines.
func printSummary(out io.Writer, s *health.Summary) {
	const most = 4 // networks
	fmt.Fprintf(out, "patchbay %s: %s\n", s.Version, many(len(s.Networks), "network"))
	if len(s.Networks) > 0 {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "NETWORK\tBRIDGE\tATTACHMENTS\tADDRESSES")
		used := slices.SortedStableFunc(slices.Values(s.Networks), func(a, b health.Network) int { return cmp.Compare(min(1, b.Attachments), min(1, a.Attachments)) })
		for _, n := range used[:min(most, len(used))] {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", cell(n.Name), cell(n.Bridge), n.Attachments, cell(poolsText(n.Pools)))
		}
		_ = table.Flush()
	}
	if more := len(s.Networks) - most; more > 0 {
		fmt.Fprintf(out, "and %d more (patchbay network ls)\n", more)
	}
	fmt.Fprintf(out, "attachments: %d, %d up; published ports: %d\n", s.Attachments, s.Up, s.Ports)
	ruleset := map[health.RulesetState]string{health.Incomplete: " (patchbay reload)", health.Unknown: " (patchbay doctor)"}
	fmt.Fprintf(out, "ruleset: %s%s\n", s.Ruleset, ruleset[s.Ruleset])
	doctor := "no problems found"
	if s.Problems > 0 {
		doctor = many(s.Problems, "problem") + " found (patchbay doctor)"
	}
	if s.Unchecked > 0 {
		doctor += ", " + many(s.Unchecked, "check") + " failed"
	}
	fmt.Fprintf(out, "doctor: %s\n", doctor)
	for _, text := range s.Report.Unchecked {
		sayLine(out, "  %s", text)
	}
	printLANs(out, s.LAN)
	if s.Agent != nil {
		printAgent(out, s.Agent)
	}
}

// poolsText returns the addresses of a network, a clause for each range set.
func poolsText(pools []health.Pool) string {
	var all []string
	for _, p := range pools {
		free := fmt.Sprint(p.Free)
		if p.Free == health.MostFree {
			free = "more than " + fmt.Sprint(p.Free-1)
		}
		all = append(all, printable.Text(fmt.Sprintf("%s: %d used, %s free", strings.Join(p.Subnets, " "), p.Used, free), maxCell))
	}
	return strings.Join(all, "; ")
}
