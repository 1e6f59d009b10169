package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// printAgent prints what patchbay-agent says: two lines, and one for each of its first problems.
func printAgent(out io.Writer, a *health.Agent) {
	const most = 5 // problems
	cidrs := strings.Join(a.PodCIDRs, " ")
	if cidrs == "" {
		cidrs = "no pod CIDR"
	}
	fmt.Fprintf(out, "cluster: node %s, mode %s, %s; %s\n", cell(a.Node), cell(a.Mode), printable.Text(cidrs, maxCell), strings.TrimSpace(countText(a)+" "+asOf(a)))
	fmt.Fprintf(out, "agent: %s; %s\n", activityText(a), apiText(a))
	if when := asOf(a); when != "" && len(a.Problems) > 0 {
		fmt.Fprintf(out, "  problems %s:\n", when)
	}
	for _, p := range a.Problems[:min(len(a.Problems), most)] {
		fmt.Fprintf(out, "  %s: %s\n", cell(p.Subject()), printable.Text(p.Text, maxProblem))
	}
	if more := len(a.Problems) - most + a.MoreProblems; len(a.Problems) > most {
		fmt.Fprintf(out, "  and %s (patchbay doctor)\n", many(more, "more problem"))
	}
}

// maxProblem is the greatest length of a problem in characters.
const maxProblem = 600

// asOf returns of when it is what the agent says of the cluster, "" if it is of now.
func asOf(a *health.Agent) string {
	switch {
	case a.Current():
		return ""
	case a.LastPass.IsZero():
		return "as of an unknown time"
	}
	return "as of " + a.LastPass.Format(time.RFC3339)
}

// countText returns the numbers of nodes and routes, which an agent without a list of nodes does not know.
func countText(a *health.Agent) string {
	if !a.Synced {
		return "nodes and routes unknown"
	}
	return many(a.Nodes, "node") + ", " + many(a.Routes, "route")
}

// activityText says whether the agent runs, and how that is known.
func activityText(a *health.Agent) string {
	age := (time.Duration(a.Age) * time.Second).String()
	if a.LastPass.IsZero() {
		age = "an unknown time"
	}
	switch a.Activity {
	case agentstatus.Stopped:
		return fmt.Sprintf("does not run (no process has the lock of %s), last pass %s ago", filepath.Dir(agentstatus.Path), age)
	case agentstatus.Late:
		return fmt.Sprintf("runs, but its last pass was %s ago, and one is due every %d s", age, a.Interval)
	}
	return "runs, last pass " + age + " ago"
}

// apiText says whether the API server answers.
func apiText(a *health.Agent) string {
	text := "API server answers"
	switch {
	case a.Activity == agentstatus.Stopped:
		return "API server: unknown, the agent does not run"
	case a.API == health.APIFails:
		text = "API server does not answer since " + a.APISince.Format(time.RFC3339) + ": " + printable.Text(a.APIError, maxProblem)
	case a.API == health.APIUnknown:
		text = "API server: unknown, no list of nodes yet"
	}
	return strings.TrimSpace(asOf(a) + " " + text)
}
