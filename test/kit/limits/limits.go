// Package limits reads how traffic control limits the interfaces of a host, in a form that does not depend on the program that did it. It
// asserts nothing.
package limits

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Of returns the limits of a namespace, sorted: rate, burst and queue of each token bucket, classes, and what filters redirect. role returns
// what stands for the name of an interface. The handles and the kind of qdisc that holds a filter are each program's own.
func Of(t testing.TB, n *nettest.Netns, role func(link string) string) (found []string) {
	t.Helper()
	for line := range strings.Lines(n.Run(t, "tc", "qdisc", "show")) {
		fields := strings.Fields(line) // qdisc KIND HANDLE dev LINK ...
		kind, handle, link := fields[1], fields[2], fields[4]
		if kind == "noqueue" {
			continue
		}
		rates := line + n.Run(t, "tc", "class", "show", "dev", link)
		for line := range strings.Lines(rates) {
			if _, rate, limited := strings.Cut(line, " rate "); limited {
				found = append(found, strings.Join(strings.Fields(role(link)+" "+strings.Fields(line)[0]+" rate "+rate), " "))
			}
		}
		where := []string{"parent", handle}
		if kind == "ingress" || kind == "clsact" {
			where = []string{"ingress"}
		}
		if filters := n.Run(t, "tc", append([]string{"filter", "show", "dev", link}, where...)...); filters != "" {
			matches := regexp.MustCompile(`match [0-9a-f/]+ at -?[0-9]+`).FindAllString(filters, -1)
			found = append(found, fmt.Sprintf("%s redirects %t %s", role(link), strings.Contains(filters, "Egress Redirect"), strings.Join(matches, " and ")))
		}
	}
	slices.Sort(found)
	return found
}
