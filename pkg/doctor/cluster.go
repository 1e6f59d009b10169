package doctor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/noderoute"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The greatest numbers of findings about nodes and of pods to delete, of which a cluster may have thousands.
const (
	mostNodeFindings = 50
	mostDeletions    = 50
)

// cluster reports what patchbay-agent reports, that it does not run, and pods that other nodes have no route to. Nothing of it is
// repaired here: the agent writes its routes and its configuration again by itself.
func (x *examination) cluster() (found []Finding, err error) {
	s, err := agentstatus.Read(agentstatus.Path)
	if s == nil || err != nil {
		return nil, err
	}
	x.agent = s
	pass := agentstatus.Path + " is of " + s.LastPass.Format(time.RFC3339)
	switch s.Activity(agentstatus.Path, time.Now()) {
	case agentstatus.Stopped: // what it reported may have changed
		found, err = stoppedAgent(s, pass)
	case agentstatus.Late:
		found = append(found, Finding{
			Says: fmt.Sprintf("patchbay-agent has made no pass for more than %d s: routes and network configuration may be those of before", 2*s.Interval),
			Seen: pass, Fix: agentLog(),
		})
		found = append(found, reportedByAgent(s, pass)...)
	default:
		found = reportedByAgent(s, pass)
	}
	strays, failed := x.strays(s)
	if err == nil {
		err = failed
	}
	return append(found, strays...), err
}

// podsOfAgent selects the pods of conf/kubernetes/agent.yaml, on a node and in the API.
const podsOfAgent = "app.kubernetes.io/name=patchbay-agent"

// agentLog returns the commands that print the log of the agent of this node, as conf/kubernetes/agent.yaml runs it: its container is named
// "agent". It asks the runtime, so that it works without the API server; kubectl would choose a pod of any node.
func agentLog() []string {
	return []string{
		"pod=$(crictl pods --quiet --latest --label " + podsOfAgent + ")",
		`crictl logs --tail 50 "$(crictl ps --quiet --latest --name '^agent$' --pod "${pod:?}")"`,
		"# without crictl: tail -n 50 /var/log/pods/kube-system_patchbay-agent-*/agent/*.log",
	}
}

// agentPod returns the command that prints the pod of the agent on a node.
func agentPod(node string) string {
	if refusal := printable.Refusal(node); refusal != "" {
		return refusal
	}
	return printable.Command("kubectl", "-n", "kube-system", "get", "pods", "-o", "wide", "-l", podsOfAgent, "--field-selector", "spec.nodeName="+node)
}

// stoppedAgent reports routes and configuration that nothing keeps true any more.
func stoppedAgent(s *agentstatus.Status, pass string) ([]Finding, error) {
	table, err := noderoute.Open()
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	defer table.Close()
	routes, err := table.List()
	if err != nil {
		return nil, err
	}
	var left []string
	switch len(routes) {
	case 0:
	case 1:
		left = append(left, "1 route to other nodes")
	default:
		left = append(left, fmt.Sprintf("%d routes to other nodes", len(routes)))
	}
	if _, failed := os.Lstat(s.Conflist); s.Conflist != "" && failed == nil {
		left = append(left, s.Conflist)
	}
	if len(left) == 0 {
		return nil, nil
	}
	return []Finding{{
		Says: fmt.Sprintf("patchbay-agent does not run, and nothing keeps %s up to date: nodes that are new or have changed are not reached", strings.Join(left, " and ")),
		Seen: "no process has the lock of " + filepath.Dir(agentstatus.Path) + "; " + pass,
		Fix:  append(agentLog(), agentPod(s.Node), "# or, if it was removed: patchbay-agent --clean"),
	}}, nil
}

// reportedByAgent returns the problems of the agent as findings.
func reportedByAgent(s *agentstatus.Status, pass string) (found []Finding) {
	if s.APIError != "" {
		found = append(found, Finding{
			Says: "the API server does not answer patchbay-agent: nodes that are new or have changed are not reached",
			Seen: "since " + s.APISince.Format(time.RFC3339) + ": " + s.APIError + "; " + pass,
			Fix:  append(agentLog(), "# check the address of --apiserver: it must work without kube-proxy"),
		})
	}
	for _, p := range s.Problems[:min(len(s.Problems), mostNodeFindings)] {
		f := Finding{Kind: string(p.Kind), Says: p.Text, Seen: pass, Fix: []string{"# the sentence has the remedy; patchbay-agent looks again within a minute"}}
		if p.Node != "" {
			f.Says = "node " + p.Node + ": " + p.Text
		}
		if p.Node != "" && p.Node != s.Node {
			f.Fix = append(f.Fix, printable.Command("kubectl", "describe", "node", printable.Name(p.Node)))
		}
		found = append(found, f)
	}
	if more := len(s.Problems) - mostNodeFindings + s.MoreProblems; more > 0 && len(s.Problems) >= mostNodeFindings {
		found = append(found, Finding{Says: fmt.Sprintf("patchbay-agent reports %d more problems", more), Seen: pass, Fix: []string{printable.Command("cat", agentstatus.Path)}})
	}
	return found
}

// strays reports attachments on the bridge of the pods whose address is in no pod CIDR of the node: pods from before the node got others.
func (x *examination) strays(s *agentstatus.Status) ([]Finding, error) {
	var cidrs []netip.Prefix
	for _, text := range s.PodCIDRs {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: podCIDRs: %w", agentstatus.Path, err)
		}
		cidrs = append(cidrs, cidr)
	}
	var strays []*store.Record
	var seen []string
	for _, r := range x.live {
		at := slices.IndexFunc(r.Addresses, func(a store.Address) bool {
			return !slices.ContainsFunc(cidrs, func(c netip.Prefix) bool { return c.Contains(a.Address.Addr()) })
		})
		if at >= 0 && r.Bridge == s.Bridge && len(cidrs) > 0 {
			strays = append(strays, r)
			seen = append(seen, fmt.Sprintf("%s has %s", identity.Label(r), r.Addresses[at].Address.Addr()))
		}
	}
	if len(strays) == 0 {
		return nil, nil
	}
	f := Finding{
		Says: fmt.Sprintf("other nodes have no route to containers whose address is in no pod CIDR of this node (%s): they are from before the node got these; delete them", strings.Join(s.PodCIDRs, ", ")),
		Seen: strings.Join(seen[:min(len(seen), 5)], "; "),
	}
	if more := len(seen) - 5; more > 0 {
		f.Seen += fmt.Sprintf("; and %d more", more)
	}
	for _, r := range strays[:min(len(strays), mostDeletions)] {
		f.Fix = append(f.Fix, deletion(r)...)
	}
	if more := len(strays) - mostDeletions; more > 0 {
		f.Fix = append(f.Fix, fmt.Sprintf("# and %d more: patchbay doctor lists them when these are deleted", more))
	}
	return []Finding{f}, nil
}

// deletion returns the command that deletes the container of a record.
func deletion(r *store.Record) []string {
	if r.Pod == nil || r.Pod.Name == "" {
		return endOf(r)
	}
	return []string{printable.Command("kubectl", "-n", printable.Name(r.Pod.Namespace), "delete", "pod", printable.Name(r.Pod.Name))}
}
