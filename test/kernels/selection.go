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
// KVM, as regular expressions. Without x_tables iptables has none of the matches and targets that most tests of firewalls write with it.
func (j *job) narrowed() map[string]string {
	all := map[string]string{
		"test/faults/crash":    "^TestCrashVLAN$",
		"test/network/explain": "^TestScriptsOfKeys$/^(vlan|trunk|native)$",
		"test/firewalls":       "^(TestDoctor(Looks|CountsPorts|Fields|FindsNothing|Rules)|TestLogWarns)$|^TestDoctorFixes$/^(policy_drop|legacy_iptables)$",
	}
	if slices.Contains(j.kind(), "noxtables") {
		all["test/firewalls"] = "^TestLogWarns$|^TestDoctorFixes$/^policy_drop$"
		all["pkg/firewall"] = "^(TestAllowNeedsMatches|TestAllowWithoutDocker|TestRequireMatches|TestDropsOfSubjects)$"
	}
	return all
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
	all := []exception{
		{Package: "test/cli/bridge", Test: "TestWithNetworkd", Reason: "the machine has no systemd; test/boot/fights has it"},
		{Package: "test/runtimes/secondary", Test: "TestMultus", Without: "multus", Reason: "the Go module proxy does not have the module of Multus, so no script can build it"},
		{Kernel: "noxtables", Package: "test/cli/restore", Test: "TestRestore/flush_user_chain", Reason: "the rules of \"firewall\": \"auto\" have matches of iptables"},
		{Kernel: "noxtables", Package: "test/cli/restore", Test: "TestDockerStartsLater", Reason: "the rules of \"firewall\": \"auto\" have matches of iptables"},
	}
	for _, kernel := range []string{"nolegacy", "noxtables"} {
		for _, test := range ofLegacy() {
			all = append(all, exception{Kernel: kernel, Package: test[0], Test: test[1], Reason: "the kernel has no tables for iptables-legacy"})
		}
	}
	return all
}

// ofLegacy returns the tests that make rules with iptables-legacy: packages and names.
func ofLegacy() [][2]string {
	return [][2]string{
		{"pkg/firewall", "TestDropsOfLegacyTables"},
		{"pkg/firewall", "TestRemoveReferenceLegacy"},
		{"pkg/firewall", "TestDropsOfSubjectsInIptables/iptables-legacy"},
		{"pkg/firewall", "TestDropsIsWhatHappens/iptables-legacy_0"},
		{"pkg/firewall", "TestDropsIsWhatHappens/iptables-legacy_1"},
		{"test/firewalls", "TestDoctorFixes/legacy_iptables"},
		{"test/firewalls", "TestDoctorFindsNothing/kube-proxy_in_iptables-legacy"},
		{"test/firewalls", "TestDoctorFindsNothing/libvirt_in_iptables-legacy"},
		{"test/firewalls", "TestDoctorFindsNothing/Docker's_nat_and_raw_in_iptables-legacy"},
		{"test/firewalls", "TestDoctorRules/the_port_is_dropped_before_conntrack"},
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
