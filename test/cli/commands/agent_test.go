package commands

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// agentFiles has the files that patchbay-agent writes: TestFiles of its module compares them with what it writes.
const agentFiles = "../../../pkg/agentstatus/testdata"

// asWritten returns the state as patchbay-agent writes it, of a pass at a time.
func asWritten(t *testing.T, pass time.Time) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(agentFiles, "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	const golden = `"2026-11-30T12:00:00Z"`
	if !strings.Contains(string(text), golden) {
		t.Fatalf("no time %s in %s", golden, text)
	}
	return strings.Replace(string(text), golden, pass.UTC().Format(`"2006-01-02T15:04:05Z"`), 1)
}

// agentWrites writes a file of patchbay-agent on the host; the test takes it away.
func (l *laptop) agentWrites(t *testing.T, path, text string) {
	t.Helper()
	l.onHost(t, func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o600)
	})
	t.Cleanup(func() { l.onHost(t, func() error { return os.RemoveAll(filepath.Dir(path)) }) })
}

// onHost calls a function on the host.
func (l *laptop) onHost(t *testing.T, do func() error) {
	t.Helper()
	var err error
	l.Do(func() { err = do() })
	if err != nil {
		t.Fatal(err)
	}
}

// agentRuns takes the lock of an agent on the host, until the end of the test or a call of the function that it returns.
func (l *laptop) agentRuns(t *testing.T) (end func()) {
	t.Helper()
	lock := agentstatus.Lock{}
	l.onHost(t, func() error { return lock.Hold(agentstatus.Path) })
	t.Cleanup(lock.Release)
	return lock.Release
}

// agentMetrics returns what metrics say of the agent, by name without the prefix, and the problems by kind.
func (l *laptop) agentMetrics(t *testing.T) (values, kinds map[string]float64) {
	t.Helper()
	values, kinds = map[string]float64{}, map[string]float64{}
	for name, family := range parse(t, l.run(t, "metrics", "--counters", filepath.Join(t.TempDir(), "c")).stdout) {
		short, is := strings.CutPrefix(name, "patchbay_agent_")
		for _, m := range family.GetMetric() {
			switch {
			case short == "problems":
				kinds[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			case is:
				values[short] = m.GetGauge().GetValue()
			}
		}
	}
	if age := float64(time.Now().Unix()) - values["last_pass_timestamp_seconds"]; age < 0 || age > 7200 {
		t.Errorf("the last pass was %v s ago", age)
	}
	delete(values, "last_pass_timestamp_seconds")
	return values, kinds
}

// TestAgentStatus: status, doctor and metrics have what patchbay-agent wrote while it runs.
//
// Claim: `status`, `doctor` and `metrics` report what patchbay-agent says of a node: mode, pod CIDRs, routes, its problems, whether the API
// server answers it, and whether it runs
// Claim: `patchbay_agent_problems` has the number of problems of each kind that patchbay-agent knows, also 0
func TestAgentStatus(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	if a := l.run(t, "status"); strings.Contains(a.stdout, "agent") || l.summary(t, 0).Agent != nil {
		t.Errorf("without an agent: %s", a.stdout)
	}
	l.agentWrites(t, agentstatus.Path, asWritten(t, time.Now()))
	l.agentRuns(t)
	a := l.run(t, "status")
	expect.Equal(t, "exit with problems", a.exit, 1)
	expect.Contains(t, a.stdout, "cluster: node node-1, mode auto, 10.244.1.0/24 fd00:10:244:1::/64; 6 nodes, 6 routes\n",
		"agent: runs, last pass ", " ago; API server answers\n  node-4: the node has no podCIDR: run kube-controller-manager",
		"  node-6: podCIDR 10.244.2.0/24 overlaps", "  node-1: another program has a route", "doctor: 3 problems found")
	s := l.summary(t, 1)
	expect.Equal(t, "activity", s.Agent.Activity, agentstatus.Running)
	expect.Equal(t, "API", s.Agent.API, health.APIAnswers)
	expect.Equal(t, "asOf", s.Agent.AsOf, time.Time{})
	expect.Equal(t, "kind", s.Agent.Problems[0].Kind, nodeproblem.NoPodCIDR)
	a = l.run(t, "doctor")
	expect.Equal(t, "exit of doctor", a.exit, 1)
	expect.Contains(t, a.stdout, "node node-4: the node has no podCIDR", "kubectl describe node node-6", "3 problems found", ", cluster\n")
	expect.Contains(t, l.run(t, "doctor", "-o", "json").stdout, `"kind": "noPodCIDR"`, `"kind": "sameCIDR"`, `"kind": "routeTaken"`)

	m := parse(t, l.run(t, "metrics", "--counters", filepath.Join(t.TempDir(), "c")).stdout)
	expect.Equal(t, "info", m.value(t, "patchbay_agent_info", "node=node-1", "mode=auto", "version=0.1.0"), 1.0)
	expect.Equal(t, "findings", m.value(t, "patchbay_doctor_findings", "check=cluster"), 3.0)
	values, kinds := l.agentMetrics(t)
	expect.Equal(t, "metrics", values, map[string]float64{"info": 1, "up": 1, "api_up": 1, "nodes": 6, "routes": 6, "routes_held": 0})
	want := map[string]float64{"other": 0}
	for _, k := range nodeproblem.Kinds() {
		want[string(k)] = 0
	}
	want["noPodCIDR"], want["sameCIDR"], want["routeTaken"] = 1, 1, 1
	expect.Equal(t, "problems", kinds, want)
}

// TestAgentOld: what the last pass of an agent found is of that time if the agent has ended or makes no passes, in text, JSON and metrics.
//
// Claim: If patchbay-agent does not run, or makes no passes, `status` says of which time is what it knows, and `metrics` leave it out;
// without an agent that runs nothing is said of the API server
func TestAgentOld(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pass := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	when := pass.Format(time.RFC3339)
	fails := strings.Replace(asWritten(t, pass), `"synced": true,`, `"synced": true, "apiError": "refused", "apiSince": "2026-11-30T11:00:00Z",`, 1)
	for name, tt := range map[string]struct {
		text, agent string
		runs        bool
		activity    agentstatus.Activity
		api         health.APIState
		up          float64
	}{
		"ended":                        {asWritten(t, pass), " 1h0m", false, agentstatus.Stopped, health.APIUnknown, 0},
		"ended while the API failed":   {fails, " 1h0m", false, agentstatus.Stopped, health.APIUnknown, 0},
		"makes no passes":              {asWritten(t, pass), "; as of " + when + " API server answers\n", true, agentstatus.Late, health.APIAnswers, 1},
		"makes none and the API fails": {fails, "; as of " + when + " API server does not answer since 2026-11-30T11:00:00Z: refused\n", true, agentstatus.Late, health.APIFails, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l.agentWrites(t, agentstatus.Path, tt.text)
			if tt.runs {
				l.agentRuns(t)
			}
			text := l.run(t, "status").stdout
			expect.Contains(t, text, "; 6 nodes, 6 routes as of "+when+"\n", tt.agent, "\n  problems as of "+when+":\n  node-4: the node has no podCIDR")
			if unknown := "; API server: unknown, the agent does not run\n"; strings.Contains(text, unknown) == tt.runs || !tt.runs && strings.Count(text, "API server") != 1 {
				t.Errorf("what is said of the API server: %s", text)
			}
			s := l.summary(t, map[bool]int{true: 1}[tt.runs]) // nothing is left of an agent that does not run, so doctor finds nothing
			expect.Equal(t, "activity", s.Agent.Activity, tt.activity)
			expect.Equal(t, "API", s.Agent.API, tt.api)
			expect.Equal(t, "error of the API", s.Agent.APIError != "", tt.api == health.APIFails)
			expect.Equal(t, "asOf", s.Agent.AsOf, pass)
			values, kinds := l.agentMetrics(t)
			expect.Equal(t, "metrics", values, map[string]float64{"info": 1, "up": tt.up})
			expect.Equal(t, "problems", kinds, map[string]float64{})
		})
	}
}

// TestAgentWithoutNodes: an agent that has no list of nodes since its start has no number of nodes.
func TestAgentWithoutNodes(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.agentWrites(t, agentstatus.Path, "{}")
	l.agentRuns(t)
	for text, want := range map[string]struct {
		says string
		api  map[string]float64
	}{
		`"format": 1, "intervalSeconds": 60`: {"API server: unknown, no list of nodes yet\n", map[string]float64{"info": 1, "up": 1}},
		`"format": 1, "intervalSeconds": 60, "apiError": "x", "apiSince": "2026-11-30T11:00:00Z"`: {
			"API server does not answer since 2026-11-30T11:00:00Z: x\n", map[string]float64{"info": 1, "up": 1, "api_up": 0},
		},
	} {
		l.onHost(t, func() error {
			return os.WriteFile(agentstatus.Path, fmt.Appendf(nil, `{%s, "lastPass": %q}`, text, time.Now().Format(time.RFC3339)), 0o600)
		})
		expect.Contains(t, l.run(t, "status").stdout, "no pod CIDR; nodes and routes unknown\n", want.says)
		values, _ := l.agentMetrics(t)
		expect.Equal(t, "metrics", values, want.api)
	}
}

// TestAgentFailures: doctor says what is wrong with an agent that is late, has no API server, or has ended and left its routes.
//
// Claim: `doctor` finds that patchbay-agent makes no passes, has no API server, or does not run while its routes stay
func TestAgentFailures(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	old := strings.Replace(asWritten(t, time.Now().Add(-time.Hour)), `"synced": true,`,
		`"synced": true, "apiError": "dial tcp 192.0.2.1:6443: connection refused", "apiSince": "2026-11-30T11:00:00Z",`, 1)
	l.agentWrites(t, agentstatus.Path, old)
	end := l.agentRuns(t)
	a := l.run(t, "doctor")
	expect.Contains(t, a.stdout, "patchbay-agent has made no pass for more than 120 s", "the API server does not answer patchbay-agent",
		"since 2026-11-30T11:00:00Z: dial tcp 192.0.2.1:6443: connection refused", "5 problems found")
	l.checkLogCommands(t, a.stdout)
	expect.Contains(t, l.run(t, "status").stdout, "agent: runs, but its last pass was 1h0m", "and one is due every 60 s; as of ")
	end()

	l.Run(t, "ip", "link", "add", "lan0", "type", "bridge")
	l.Run(t, "ip", "link", "set", "lan0", "up")
	l.Run(t, "ip", "address", "add", "192.0.2.21/24", "dev", "lan0")
	l.Run(t, "ip", "route", "add", "10.244.2.0/24", "via", "192.0.2.22", "proto", "112")
	a = l.run(t, "doctor")
	expect.Equal(t, "exit", a.exit, 1)
	expect.Contains(t, a.stdout, "patchbay-agent does not run, and nothing keeps 1 route to other nodes up to date: nodes that are new or have changed are not reached",
		"no process has the lock of /run/patchbay-agent", "patchbay-agent --clean", "1 problem found",
		"kubectl -n kube-system get pods -o wide -l app.kubernetes.io/name=patchbay-agent --field-selector spec.nodeName=node-1\n")
	l.checkLogCommands(t, a.stdout)
	l.Run(t, "ip", "link", "delete", "lan0")
}

// checkLogCommands runs the commands that doctor prints for the log of the agent, with a crictl that answers as the real one does.
func (l *laptop) checkLogCommands(t *testing.T, report string) {
	t.Helper()
	_, fix, _ := strings.Cut(report, "   fix:  pod=")
	lines := strings.SplitN("pod="+fix, "\n", 3)
	if len(lines) != 3 {
		t.Fatalf("no commands for the log: %s", report)
	}
	dir := t.TempDir()
	const crictl = `#!/bin/sh
printf '%s,' "$@" >>"$0.log"; echo >>"$0.log"
case $1 in pods) echo pod1;; ps) echo container1;; *) echo the log;; esac
`
	if err := os.WriteFile(filepath.Join(dir, "crictl"), []byte(crictl), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-euc", lines[0]+"\n"+lines[1])
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "the log\n" {
		t.Errorf("%v: %s", err, out)
	}
	calls, _ := os.ReadFile(filepath.Join(dir, "crictl.log"))
	expect.Equal(t, "calls", string(calls), "pods,--quiet,--latest,--label,app.kubernetes.io/name=patchbay-agent,\nps,--quiet,--latest,--name,^agent$,--pod,pod1,\nlogs,--tail,50,container1,\n")
	manifest, err := os.ReadFile("../../../conf/kubernetes/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, string(manifest), "\n        - name: agent\n", "\n      labels:\n        app.kubernetes.io/name: patchbay-agent\n")
}

// TestAgentStrays: containers with addresses from before the node got other pod CIDRs are found, those of other bridges are not.
//
// Claim: `doctor` names pods whose address is in no pod CIDR of their node
func TestAgentStrays(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.agentWrites(t, agentstatus.Path, asWritten(t, time.Now()))
	add := func(name, bridge, subnet string) {
		conf := cni.Network(cni.DefaultGateway(), cni.Pool(subnet), cni.Conf{"name": name, "bridge": bridge})
		c := l.Container(name)
		call := nettest.Call{
			Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: conf.JSON(t),
			Args: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=" + name + ";IgnoreUnknown=1",
		}
		l.CNI(t, call).OK(t)
		t.Cleanup(func() {
			call.Command = "DEL"
			l.CNI(t, call).OK(t)
		})
	}
	add("here", "cni0", "10.244.1.0/24")
	add("stray", "cni0", "10.244.9.0/24")
	add("other", "br9", "10.99.0.0/24")
	a := l.run(t, "doctor")
	expect.Contains(t, a.stdout, "other nodes have no route to containers whose address is in no pod CIDR of this node (10.244.1.0/24, fd00:10:244:1::/64)",
		"kubectl -n shop delete pod stray")
	for _, name := range []string{"here", "other"} {
		if strings.Contains(a.stdout, "delete pod "+name) {
			t.Errorf("%s is reported: %s", name, a.stdout)
		}
	}
}

// TestAgentBadFile: a file that patchbay-agent did not write in one piece, or that another release wrote, is one sentence; the rest is there.
//
// Claim: A status of patchbay-agent that is torn, too large, of another version or hostile never breaks `status`, `doctor` or `metrics`
func TestAgentBadFile(t *testing.T) {
	t.Parallel()
	l, counters := newLaptop(t), filepath.Join(t.TempDir(), "counters")
	for name, one := range map[string]struct{ text, says string }{
		"torn":    {`{"format": 1, "node": "a", "prob`, "cannot be read"},
		"huge":    {`{"format": 1}` + strings.Repeat(" ", agentstatus.MaxStatusBytes), "too large"},
		"version": {`{"format": 7, "node": {"name": "a"}}`, "unknown format 7"},
		"a list":  {`[]`, "cannot be read"},
		"CIDR":    {`{"format": 1, "podCIDRs": ["10.0.0.0/99"]}`, "podCIDRs"},
	} {
		l.agentWrites(t, agentstatus.Path, one.text)
		status, doctor := l.run(t, "status"), l.run(t, "doctor")
		if status.exit != 1 || strings.Count(status.stdout, one.says) != 1 || !strings.Contains(status.stdout, "1 check failed") {
			t.Errorf("status of %s: exit %d\n%.900s\n%.900s", name, status.exit, status.stdout, status.stderr)
		}
		if doctor.exit != 1 || strings.Count(doctor.stderr, "\n") != 1 || !strings.Contains(doctor.stderr, one.says) || doctor.stdout == "" {
			t.Errorf("doctor of %s: exit %d\n%.900s\n%.900s", name, doctor.exit, doctor.stdout, doctor.stderr)
		}
		m := parse(t, l.run(t, "metrics", "--counters", counters).stdout)
		expect.Equal(t, "failed checks with "+name, m.value(t, "patchbay_doctor_failed_checks"), 1.0)
	}
	hostile := fmt.Sprintf(`{"format": 1, "node": "a\u001b[2J\nb\"}", "mode": "\u0000%s", "podCIDRs": null, "nodes": -5, "lastPass": "0001-01-01T00:00:00Z",
		"problems": [{"node": "$(reboot)\n;x", "text": "\u001b]0;x\u0007\u202e%s"}], "moreProblems": -9}`, strings.Repeat("m", 5000), strings.Repeat("t", 9000))
	l.agentWrites(t, agentstatus.Path, hostile)
	l.agentRuns(t)
	for command, options := range map[string][]string{"status": {}, "doctor": {}, "metrics": {"--counters", counters}} {
		a := l.run(t, append([]string{command}, options...)...)
		if strings.ContainsAny(a.stdout+a.stderr, "\x00\x07\x1b\u202e") || a.exit > 1 || strings.Contains(a.stdout+a.stderr, "\n;x") || len(a.stdout) > 30_000 {
			t.Errorf("%s: exit %d\n%q\n%q", command, a.exit, a.stdout, a.stderr)
		}
		if command == "metrics" {
			parse(t, a.stdout)
		}
	}
}
