package metrics

import (
	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// maxLabel is the greatest length of a label that another program wrote, in characters: the name of a node has at most 253.
const maxLabel = 253

func label(text string) string { return printable.Text(text, maxLabel) }

// writeAgent writes what patchbay-agent says of the node. What is not known has no sample: all that its last pass found if that is old, and
// the API server, nodes and routes before it has a list of nodes. A value from before would keep an alert from beginning, or from ending.
func (e *exposition) writeAgent(a *health.Agent) {
	e.family("patchbay_agent_info", gauge, "The node as patchbay-agent knows it; the value is 1.")
	e.sample("patchbay_agent_info", 1, "node", label(a.Node), "mode", label(a.Mode), "version", label(a.Version))
	listed := a.Current() && a.Synced
	for _, f := range []struct {
		name, help string
		known      bool
		value      float64
	}{
		{"patchbay_agent_up", "Whether patchbay-agent runs.", true, yes(a.Activity != agentstatus.Stopped)},
		{"patchbay_agent_last_pass_timestamp_seconds", "Time of the last pass of patchbay-agent.", !a.LastPass.IsZero(), float64(a.LastPass.Unix())},
		{"patchbay_agent_api_up", "Whether the last request of patchbay-agent to the API server succeeded; absent if that is unknown.", a.Current() && a.API != health.APIUnknown, yes(a.API == health.APIAnswers)},
		{"patchbay_agent_nodes", "Nodes of the cluster, this one included; absent if that is unknown.", listed, float64(a.Nodes)},
		{"patchbay_agent_routes", "Routes to other nodes that this node is to have; absent if that is unknown.", listed, float64(a.Routes)},
		{"patchbay_agent_routes_held", "Routes without a node that stay until another list of nodes confirms it; absent if that is unknown.", listed, float64(a.Held)},
	} {
		if f.known {
			e.family(f.name, gauge, f.help)
			e.sample(f.name, f.value)
		}
	}
	if a.Current() {
		e.writeAgentProblems(a)
	}
}

// writeAgentProblems writes a sample for each kind, so that their sum and an alert about one kind have a value also without problems.
func (e *exposition) writeAgentProblems(a *health.Agent) {
	e.family("patchbay_agent_problems", gauge, "Problems that patchbay-agent reports, by kind; absent if that is unknown.")
	counts := a.Kinds()
	for _, kind := range append(nodeproblem.Kinds(), nodeproblem.Other) {
		e.sample("patchbay_agent_problems", float64(counts[kind]), "kind", string(kind))
	}
}
