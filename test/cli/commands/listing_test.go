package commands

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestListings: every command that lists has the same formats.
//
// Claim: `ls`, `ports` and `network ls` print text, a table, names, JSON, and YAML with the same content, and tables without headers
func TestListings(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "exit of network create", l.run(t, "network", "create", "lab", "--subnet", "10.9.0.0/24").exit, 0)
	l.ok(t, "up", "web", "-p", "8080:80", "-p", "9000-9001:90-91/udp")
	l.ok(t, "up", "db")
	for _, tc := range []struct {
		command string
		names   string
		header  string
		empty   []string
	}{
		{"ls", "db\nweb\n", "NAME ", []string{"--network", "lab"}},
		{"ports", "8080/tcp\n9000-9001/udp\n", "HOST ", []string{"--network", "lab"}},
		{"network ls", "lab\npatchbay\n", "NAME ", nil},
	} {
		run := func(more ...string) string { return l.ok(t, append(strings.Fields(tc.command), more...)...) }
		expect.Equal(t, tc.command+" -o name", run("-o", "name"), tc.names)
		table := run("-o", "table")
		if tc.command != "network ls" { // which has no list for a narrow terminal
			expect.Equal(t, tc.command+" -o table on a narrow terminal", run("-o", "table", "--width", "20"), table)
		}
		header, rows, _ := strings.Cut(table, "\n")
		expect.Contains(t, header, tc.header)
		expect.Equal(t, tc.command+" without headers", run("--no-headers", "-o", "table"), rows)
		expect.Equal(t, tc.command+" rows", strings.Count(rows, "\n"), 2)
		expect.Equal(t, tc.command+" as text", run(), table)

		asJSON, asYAML := run("-o", "json"), run("-o", "yaml")
		var fromJSON, fromYAML any
		if err := json.Unmarshal([]byte(asJSON), &fromJSON); err != nil {
			t.Fatalf("%s: %v", tc.command, err)
		}
		if err := yaml.Unmarshal([]byte(asYAML), &fromYAML); err != nil {
			t.Fatalf("%s: %v\n%s", tc.command, err, asYAML)
		}
		if again, err := json.Marshal(fromYAML); err != nil || json.Unmarshal(again, &fromYAML) != nil {
			t.Fatalf("%s: %v", tc.command, err)
		}
		if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
			t.Errorf("%s: JSON and YAML differ (-json +yaml):\n%s", tc.command, diff)
		}
		if tc.empty != nil {
			expect.Equal(t, tc.command+" of nothing as YAML", run(append(tc.empty, "-o", "yaml")...), "[]\n")
			expect.Equal(t, tc.command+" of nothing as names", run(append(tc.empty, "-o", "name")...), "")
		}
		l.refused(t, []string{`unknown format "xml": use text, json, yaml, table or name`}, append(strings.Fields(tc.command), "-o", "xml")...)
	}
	l.ok(t, "down", "web", "db")
	l.ok(t, "network", "rm", "lab")
}
