package explain

import (
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDryRun compares the commands of up, attach and down with what these do.
//
// Claim: `up`, `attach` and `down` with `--dry-run` print commands that make what they make, and change nothing
func TestDryRun(t *testing.T) {
	for _, c := range conflists(t) {
		if !slices.Contains([]string{"bridge", "web", "tenants", "sandbox", "lan"}, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.dryRun(t)
		})
	}
}

func (c conflist) dryRun(t *testing.T) {
	t.Helper()
	added, byHand := c.machine(t), c.machine(t)
	up := slices.Concat([]string{"up", "c1", "--network", c.Name}, c.options())
	byHand.dry(t, up)
	added.patchbay(t, up...)
	requireSame(t, c.Plugins[0].Bridge, "the commands of up", added.Node, byHand.Node)
	byHand.clean(t)

	down := c.machine(t)
	down.patchbay(t, up...)
	down.dry(t, []string{"down", "c1"})
	added.patchbay(t, "down", "c1")
	for _, m := range []machine{added, down} { // with the same container, so that the states have the same parts
		m.Run(t, "ip", "netns", "add", "c1")
	}
	requireSame(t, c.Plugins[0].Bridge, "the commands of down", added.Node, down.Node)

	down.Run(t, "ip", "netns", "del", "c1")
	down.patchbay(t, "gc")
	attach := slices.Concat([]string{"attach", "c1", "--network", c.Name}, c.options())
	down.Run(t, "ip", "netns", "add", "c1")
	down.dry(t, attach)
	added.patchbay(t, attach...)
	requireSame(t, c.Plugins[0].Bridge, "the commands of attach", added.Node, down.Node)
	added.patchbay(t, "detach", "c1")
	added.Run(t, "ip", "netns", "del", "c1")
	down.clean(t)
}

// dry runs the commands that a dry run prints, which itself must change nothing.
func (m machine) dry(t *testing.T, args []string) {
	t.Helper()
	before := m.state(t)
	text := m.patchbay(t, append(args, "--dry-run")...)
	expect.Contains(t, text, "# what patchbay "+args[0]+" c1 would do; nothing is changed\n")
	expect.Equal(t, "the host after a dry run of "+args[0], m.state(t), before)
	script(t, m.Node, "set -eu\n"+text)
}

// state returns interfaces, rules and files.
func (m machine) state(t *testing.T) string {
	t.Helper()
	return m.Run(t, "ip", "-o", "address") + m.Run(t, "ip", "netns") + m.Run(t, "nft", "list", "ruleset") + m.Run(t, "find", "/run", "/var/lib", "-printf", "%p %i %s %T@\n")
}
