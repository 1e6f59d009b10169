package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestSeveralNames: one call creates several namespaces, one removes them.
//
// Claim: `up` and `down` take several names: each gets a line, an error of one does not stop the others, and what cannot be meant for
// several is refused before anything is created
func TestSeveralNames(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprint("web", i))
	}
	lines := strings.Split(strings.TrimSpace(l.ok(t, append([]string{"up"}, names...)...)), "\n")
	for i, line := range lines {
		expect.Equal(t, "a line of up", line, fmt.Sprintf("web%d: eth0 10.77.0.%d/24, bridge patchbay0, network patchbay", i, i+2))
	}
	expect.Equal(t, "lines of up", len(lines), len(names))
	l.Run(t, "ip", "netns", "exec", "web0", "ping", "-c", "1", "-W", "5", "10.77.0.13")

	l.refused(t, []string{"network namespace web3 already exists"}, "up", "more", "web3")
	l.refused(t, []string{"name more is given twice"}, "up", "more", "more")
	l.refused(t, []string{"a program runs in one namespace: pass one name before --"}, "up", "more", "other", "--", "true")
	l.refused(t, []string{"--ip and --publish are for one namespace"}, "up", "more", "other", "-p", "8080:80")
	l.refused(t, []string{"--ip and --publish are for one namespace"}, "up", "more", "other", "--ip", "10.77.0.99")
	l.refused(t, []string{`invalid namespace name "a/b"`}, "up", "more", "a/b")
	l.refused(t, []string{"up needs at least one name"}, "up")
	expect.Equal(t, "namespaces after what was refused", len(l.pins(t)), len(names))

	a := l.run(t, slices.Concat([]string{"down", "nobody"}, names, []string{"web0"})...)
	expect.Equal(t, "exit of down", a.exit, 1)
	expect.Contains(t, a.stderr, "nobody", "name web0 is given twice")
	expect.Equal(t, "lines of down", strings.Count(a.stdout, "namespace deleted\n"), len(names))
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestDownInOneRequest: the kernel waits once for the host interfaces of all names, and once for their nftables elements.
//
// Claim: `down` deletes the host interfaces of several names in one request, and their nftables elements in one transaction
func TestDownInOneRequest(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("strace"))
	l := newLaptop(t)
	l.ok(t, "up", "a", "b", "c", "d")
	trace := filepath.Join(t.TempDir(), "trace")
	l.Run(t, "strace", "-f", "-o", trace, "-e", "trace=sendto", nettest.Patchbay(t), "down", "a", "b", "c", "d")
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "requests that delete links", strings.Count(string(calls), "RTM_DELLINK"), 1)
	expect.Equal(t, "transactions that delete elements", strings.Count(string(calls), "NFNL_MSG_BATCH_BEGIN"), 1)
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}
