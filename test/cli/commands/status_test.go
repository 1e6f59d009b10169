package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestStatus: the summary has what was attached, and its exit status is 1 as soon as doctor finds a problem.
//
// Claim: `status` prints networks with used and free addresses, attachments, ports, ruleset and problems in at most ten lines, and
// exits with 1 if there are problems
func TestStatus(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	a := l.run(t, "status")
	expect.Equal(t, "exit on an empty host", a.exit, 0)
	expect.Contains(t, a.stdout, "0 networks", "attachments: 0, 0 up; published ports: 0", "ruleset: complete", "doctor: no problems found")

	for i := range 12 {
		text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "a%d", "type": "patchbay", "bridge": "a%d", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.9.%d.0/24"}], [{"subnet": "fd00:9:%d::/64"}]]}}`, i, i, i, i)
		if err := os.WriteFile(filepath.Join(l.conf, fmt.Sprintf("%d.conf", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.ok(t, "up", "web", "-p", "8000-8009:80-89")
	l.ok(t, "up", "db")
	a = l.run(t, "status")
	expect.Equal(t, "exit", a.exit, 0)
	expect.Contains(t, a.stdout, "13 networks", "and 9 more", "attachments: 2, 2 up; published ports: 10",
		"patchbay  patchbay0  2            10.77.0.0/24: 2 used, 251 free", "10.9.1.0/24: 0 used, 253 free; fd00:9:1::/64: 0 used, more than 65535 free")
	if lines := strings.Count(a.stdout, "\n"); lines > 10 {
		t.Errorf("%d lines:\n%s", lines, a.stdout)
	}
	got := l.summary(t, 0)
	expect.Equal(t, "network", got.Networks[12], health.Network{
		Name: "patchbay", Bridge: "patchbay0", Attachments: 2, Pools: []health.Pool{{Subnets: []string{"10.77.0.0/24"}, Used: 2, Free: 251, Size: 253}},
	})
	expect.Equal(t, "networks", len(got.Networks), 13)

	l.Run(t, "nft", "flush", "ruleset")
	a = l.run(t, "status")
	expect.Equal(t, "exit without rules", a.exit, 1)
	expect.Contains(t, a.stdout, "ruleset: incomplete (patchbay reload)", "found (patchbay doctor)")
	expect.Equal(t, "ruleset", l.summary(t, 1).Ruleset, health.Incomplete)
	l.ok(t, "reload")
	expect.Equal(t, "ruleset", l.summary(t, 0).Ruleset, health.Complete)
	l.ok(t, "down", "web", "db")
}

// summary returns what status prints as JSON.
func (l *laptop) summary(t *testing.T, exit int) (s health.Summary) {
	t.Helper()
	a := l.run(t, "status", "-o", "json")
	expect.Equal(t, "exit of status", a.exit, exit)
	if err := json.Unmarshal([]byte(a.stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, a.stdout)
	}
	return s
}
