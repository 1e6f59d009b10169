package structure

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// workflow is the part of a workflow of GitHub that the rules are about.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		TimeoutMinutes int `yaml:"timeout-minutes"`
		Steps          []struct{ Uses, Run string }
	}
}

// makeTargets returns the targets of a Makefile.
func makeTargets(text string) []string {
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(text, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// workflowFaults lists what is wrong with a workflow: it must parse, have read permissions and a time limit for each job, run existing
// targets of make only, and pin each action by the hash of a commit.
func workflowFaults(path, text string, targets []string) []string {
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		return []string{path + ": " + err.Error()}
	}
	var bad []string
	if w.Permissions["contents"] != "read" || len(w.Permissions) != 1 {
		bad = append(bad, path+": the permissions are not `contents: read` alone")
	}
	if len(w.Jobs) == 0 {
		bad = append(bad, path+": no job")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
		job := w.Jobs[name]
		if job.TimeoutMinutes == 0 {
			bad = append(bad, fmt.Sprintf("%s: job %s has no timeout-minutes", path, name))
		}
		for _, step := range job.Steps {
			target, isMake := strings.CutPrefix(step.Run, "make ")
			if step.Run != "" && (!isMake || !slices.Contains(targets, target)) {
				bad = append(bad, fmt.Sprintf("%s: job %s runs %q, which is not a target of make", path, name, step.Run))
			}
			if step.Uses != "" && !regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
				bad = append(bad, fmt.Sprintf("%s: job %s uses %s, which is not pinned by a hash", path, name, step.Uses))
			}
		}
	}
	return bad
}

// Claim: Workflows parse, run existing targets of make, and pin each action by a hash
func TestWorkflows(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(top(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(top(t), ".github", "workflows", "*.yml"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("found %d workflows: %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		report(t, workflowFaults(filepath.Base(path), string(text), makeTargets(string(makefile))))
	}
}

// TestFormsParse: issue forms and the configuration of dependabot are YAML with the keys that GitHub requires.
func TestFormsParse(t *testing.T) {
	for path, keys := range map[string][]string{
		"dependabot.yml":             {"version", "updates"},
		"ISSUE_TEMPLATE/bug.yml":     {"name", "description", "body"},
		"ISSUE_TEMPLATE/feature.yml": {"name", "description", "body"},
		"ISSUE_TEMPLATE/config.yml":  {"blank_issues_enabled", "contact_links"},
	} {
		text, err := os.ReadFile(filepath.Join(top(t), ".github", path))
		if err != nil {
			t.Fatal(err)
		}
		var form map[string]any
		if err := yaml.Unmarshal(text, &form); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, key := range keys {
			if form[key] == nil {
				t.Errorf("%s has no key %s", path, key)
			}
		}
	}
}

// Claim: Workflows parse, run existing targets of make, and pin each action by a hash
func TestWorkflowFaultsFinds(t *testing.T) {
	const head = "permissions: {contents: read}\njobs:\n  a:\n    timeout-minutes: 1\n    steps:\n"
	const pinned = "      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0\n"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"valid", head + pinned + "      - run: make test\n", nil},
		{"a target with a dash", head + "      - run: make test-runtimes\n", nil},
		{"an unknown target", head + "      - run: make tests\n", []string{`x: job a runs "make tests", which is not a target of make`}},
		{"two commands", head + "      - run: make test && true\n", []string{`x: job a runs "make test && true", which is not a target of make`}},
		{"a tag", head + "      - uses: actions/checkout@v5\n", []string{"x: job a uses actions/checkout@v5, which is not pinned by a hash"}},
		{"no time limit", strings.Replace(head, "timeout-minutes: 1", "name: b", 1) + pinned, []string{"x: job a has no timeout-minutes"}},
		{"write permission", strings.Replace(head, "read", "write", 1) + pinned, []string{"x: the permissions are not `contents: read` alone"}},
		{"no job", "permissions: {contents: read}\n", []string{"x: no job"}},
		{"not YAML", "a: [", []string{"x: yaml: line 1: did not find expected node content"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := workflowFaults("x", tt.text, makeTargets("build: ## b\n\t@x\ntest: ##\ntest-runtimes: ## c\n"))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("workflowFaults (-want +got):\n%s", diff)
			}
		})
	}
}
