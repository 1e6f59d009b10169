package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// leftovers is a script that lists what attachments have on a node: records, address files, host interfaces, elements of maps and sets of the
// ruleset that name one, and network namespaces.
const leftovers = `cd /run/patchbay 2>/dev/null && find . -name '*@*.json' -printf 'record %P\n'
cd /run/patchbay/ipam/pods 2>/dev/null && find . -type f \( -name '[0-9]*.*' -o -name '*:*' \) -printf 'address %P\n'
ip -o link show type veth | grep -v ': eth0@' | sed 's/^/link /'
nft -j list table inet patchbay 2>/dev/null | tr ',{}[]' '\n' | grep -o '"veth[^"]*"' | sed 's/^/element /'
ls /run/netns | sed 's/^/netns /'`

// checkClean waits until nothing of a pod is left on any node.
func (c *cluster) checkClean(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		apiserver.Eventually(t, "nothing of pods is left on "+n.name, func() error {
			left, err := n.try("sh", "-c", leftovers+"; true")
			if err == nil && strings.TrimSpace(left) != "" {
				err = fmt.Errorf("there are\n%s", left)
			}
			return err
		})
	}
}

// checkGone requires that no process is in a namespace of a node, and that none of them is mounted anywhere, after all nodes were powered off.
func (c *cluster) checkGone(t *testing.T) {
	var ours []string
	for _, n := range c.nodes {
		ours = append(ours, n.identity...)
	}
	apiserver.Eventually(t, "namespaces of the nodes are gone", func() error {
		links, err := filepath.Glob("/proc/[0-9]*/ns/*")
		if err != nil {
			return err
		}
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && slices.Contains(ours, target) {
				return fmt.Errorf("%s is %s", link, target)
			}
		}
		return nil
	})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		for _, n := range c.nodes {
			if strings.Contains(line, n.state) || strings.Contains(line, n.dir) {
				t.Errorf("mounted: %s", line)
			}
		}
	}
}
