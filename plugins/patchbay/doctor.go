package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/doctor"
	"github.com/patchbay-cni/patchbay/pkg/install"
)

// doctorFlags are the flags of `patchbay doctor`.
type doctorFlags struct {
	common
	output
	binDir string
	probe  bool
}

func doctorCommand() command {
	f := &doctorFlags{}
	return command{
		name: "doctor", short: "find out why containers are unreachable",
		long: `Finds what keeps attached containers from being reached or from reaching others, and changes
nothing. For each problem it prints one sentence, the evidence, and the commands that fix it, which
can be pasted into a shell: what is not a command begins with #. It checks IP forwarding; firewalls
that drop (docker, ufw, firewalld, chains with policy drop, iptables-legacy); bridges and host
interfaces that do not exist or are down; missing nftables rules; published ports on which a process
of the host listens; routes to containers and rp_filter; br_netfilter; MTUs; the number of bridge
ports; records that cannot be read; stale attachments; duplicate addresses on a bridge, in records
and in containers; invalid network configurations, and misspelt keys in them; name servers that a
network namespace cannot reach; hosts files that lack names; taps that no program can use; names of a
drop-in that lead to another program by now; and on a node with patchbay-agent the problems that it
reports, that it does not run, and containers that other nodes have no route to. A note is what may
be intended: no default route, or echo requests that are dropped. A risk is what another program will
undo, such as systemd-networkd, NetworkManager, nftables.service, firewalld, ufw, docker or a file of
sysctl, with the file and line that say so.

Nothing is sent, unless --probe asks for it: probes as of duplicate address detection (RFC 5227, RFC
4862), for the addresses of attachments on bridges with an uplink, and for the gateway addresses of
the host on all bridges. It takes 200 ms for 32 addresses, and 10 s at most.

The exit status is 0 without problems, also with notes and risks, and 1 with problems or if a check
failed. -o json prints one object: networks and attachments (the number of live ones), looked (the
checks), unchecked (checks that failed, and why), notes (sentences), risks, each with program, says,
seen and fix, and findings, each with about, kind (of problems that patchbay-agent reports), says,
seen, maybe (it depends on rules that were not understood) and fix (a list).`,
		flags: func(flags *flag.FlagSet) {
			f.register(flags)
			flags.BoolVar(&f.probe, "probe", false, "send ARP and neighbour discovery on the bridges, for 10 s at most, to find duplicate addresses")
		}, run: f.run,
	}
}

func (f *doctorFlags) register(flags *flag.FlagSet) {
	f.registerConfDir(flags)
	flags.StringVar(&f.binDir, "bin-dir", install.DefaultBinDir, "`directory` of CNI plugins")
	f.registerState(flags)
	f.registerOutput(flags)
}

// host returns what a command examines, and whether it prints JSON.
func (f *doctorFlags) host(command string) (h doctor.Host, asJSON bool, err error) {
	if asJSON, err = f.wantsJSON(); err != nil {
		return h, false, err
	}
	if err := privileged(command, unix.CAP_NET_ADMIN); err != nil {
		return h, false, err
	}
	stateDir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return h, false, err
	}
	binDir, err := filepath.Abs(f.binDir)
	return doctor.Host{StateDir: stateDir, ConfDir: f.confDir, BinDir: binDir, Probe: f.probe}, asJSON, err
}

func (f *doctorFlags) run(out io.Writer) error {
	host, asJSON, err := f.host("doctor")
	if err != nil {
		return err
	}
	report, err := doctor.Examine(host)
	if report == nil {
		return readable(err)
	}
	if asJSON {
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

// printReport prints a report as text; whole reports whether all checks ran.
func printReport(out io.Writer, r *doctor.Report, whole bool) {
	for i, f := range r.Findings {
		fmt.Fprintf(out, "%d. %s\n", i+1, f.Says)
		printEvidence(out, f.Seen, f.Fix)
	}
	for _, risk := range r.Risks {
		fmt.Fprintf(out, "risk: %s\n", risk.Says)
		printEvidence(out, risk.Seen, risk.Fix)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	result := "no problems found"
	if n := len(r.Findings); n > 0 {
		result = many(n, "problem") + " found"
	}
	if n := len(r.Risks); n > 0 {
		result += ", " + many(n, "risk")
	}
	if !whole {
		result += ", but not everything could be checked"
	}
	fmt.Fprintf(out, "%s; examined %s of %s; checked: %s\n", result, many(r.Attachments, "attachment"), many(r.Networks, "network"), strings.Join(r.Looked, ", "))
}

// printEvidence prints the evidence and the fix, with an empty line behind them.
func printEvidence(out io.Writer, seen string, fix []string) {
	fmt.Fprintf(out, "   seen: %s\n", seen)
	for i, line := range fix {
		word := "      "
		if i == 0 {
			word = "fix:  "
		}
		fmt.Fprintf(out, "   %s%s\n", word, line)
	}
	fmt.Fprintln(out)
}

// many returns a count with its noun: "1 network", "2 networks".
func many(n int, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
