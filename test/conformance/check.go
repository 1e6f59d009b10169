package conformance

import (
	"cmp"
	"slices"
)

// Level says how binding a check is.
type Level string

// Levels of RFC 2119 as the specification uses them. Practice is what runtimes and administrators rely on and the
// specification does not say.
const (
	Must     Level = "MUST"
	Should   Level = "SHOULD"
	Practice Level = "practice"
)

// Levels returns the levels, the most binding one first.
func Levels() []Level { return []Level{Must, Should, Practice} }

// Check is one thing that a plugin does or does not do.
type Check struct {
	ID       string // unique, lower case with hyphens
	Category string // of the function that lists it: "DEL", "results"
	Level    Level
	Source   string // the section of the specification, or why practice expects it
	Since    string // the oldest cniVersion it applies to; "" for every version
	Text     string // one sentence, the plugin is its subject
	Needs    []string
	run      func(*trial)
}

// Verdict is the result of one check.
type Verdict string

// Verdicts. NotApplicable is a check that was not run or could not decide.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	NotApplicable Verdict = "not applicable"
)

// Outcome is a check with its verdict. Reason is one line, empty if the check passed; Log is what the check printed.
type Outcome struct {
	Check   Check
	Verdict Verdict
	Reason  string
	Log     []string
	Seconds float64
}

// Checks returns every check in the order of the report.
func Checks() []Check {
	var all []Check
	for _, group := range []struct {
		category string
		checks   []Check
	}{
		{"protocol", append(protocolChecks(), environmentChecks()...)},
		{"parameters", parameterChecks()},
		{"errors", errorChecks()},
		{"results", resultChecks()},
		{"kernel", append(kernelChecks(), trafficChecks()...)},
		{"DEL", append(delChecks(), delOtherChecks()...)},
		{"DEL without state", append(delStateChecks(), delMissingChecks()...)},
		{"CHECK", checkChecks()},
		{"CHECK of the host", checkHostChecks()},
		{"GC", gcChecks()},
		{"STATUS", statusChecks()},
		{"concurrency", concurrencyChecks()},
		{"failure", failureChecks()},
		{"interruption", append(interruptionChecks(), killChecks()...)},
		{"hostile input", hostileChecks()},
		{"conventions", conventionChecks()},
	} {
		for _, c := range group.checks {
			c.Category = group.category
			all = append(all, c)
		}
	}
	return all
}

// Count counts the outcomes of a level by verdict.
func Count(outcomes []Outcome, level Level) map[Verdict]int {
	n := map[Verdict]int{}
	for _, o := range outcomes {
		if o.Check.Level == level {
			n[o.Verdict]++
		}
	}
	return n
}

// Versions returns the released versions of the specification, the oldest first.
func Versions() []string {
	return []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
}

// older compares two versions by their place in Versions; an unknown one is older than all.
func older(a, b string) bool {
	return cmp.Less(slices.Index(Versions(), a), slices.Index(Versions(), b))
}
