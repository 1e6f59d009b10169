package main

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// narrowed returns the tests that run of a package whose other tests need more than a kernel and plain tools, or take too long without
// KVM, as regular expressions.
func narrowed() map[string]string {
	return map[string]string{
		"test/faults/crash":    "^TestCrashVLAN$",
		"test/network/explain": "^TestScriptsOfKeys$/^(vlan|trunk|native)$",
		"test/firewalls":       "^TestDoctor(Looks|CountsPorts|Fields|Risks|FindsNothing|Rules|NameServer)$|^TestDoctorFixes$/^(policy_drop|legacy_iptables)$",
	}
}

// exception is a test that cannot run on some kernels, and the reason.
type exception struct {
	Kernel  string // a part of its name: "5.10", "arm64", "noxtables"; "" for every kernel
	Package string
	Test    string // as of -skip: names of a test and its subtests, separated by slashes
	Without string // a program of .cache/bin without which it cannot run; "" if it never can
	Reason  string
}

// exceptions returns every test that does not run. A test that is skipped without a line here makes the run fail.
func exceptions() []exception {
	return []exception{
		{Package: "test/cli/bridge", Test: "TestWithNetworkd", Reason: "the machine has no systemd; test/boot/fights has it"},
		{Package: "test/runtimes/secondary", Test: "TestMultus", Without: "multus", Reason: "the Go module proxy does not have the module of Multus, so no script can build it"},
	}
}

// except returns those of the kernel and a package.
func (j *job) except(pkg string) (found []exception) {
	for _, e := range exceptions() {
		there := e.Without != "" && readable(filepath.Join(j.plugins, e.Without))
		if e.Package == pkg && !there && (e.Kernel == "" || slices.Contains(j.kind(), e.Kernel)) {
			found = append(found, e)
		}
	}
	return found
}

// skipPattern returns the argument of -test.skip for them.
func skipPattern(all []exception) string {
	patterns := make([]string, len(all))
	for i, e := range all {
		parts := strings.Split(e.Test, "/")
		for j, part := range parts {
			parts[j] = "^" + regexp.QuoteMeta(part) + "$"
		}
		patterns[i] = strings.Join(parts, "/")
	}
	return strings.Join(patterns, "|")
}

// printExceptions prints the tests that do not run.
func printExceptions(to io.Writer, all []exception) {
	for _, e := range all {
		fmt.Fprintf(to, "kernels: not run: %s %s: %s\n", e.Package, e.Test, e.Reason)
	}
}
