package topo

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// maxMixed is the greatest number of attachments in a list that is not grouped by the namespaces of the pods.
const maxMixed = 20

// pod returns the pod of a group, nil if its records name none.
func (g *group) pod() *store.Pod {
	for _, a := range g.ends {
		if pod := a.Pod(); pod != nil {
			return pod
		}
	}
	return nil
}

// byNamespace sorts the groups of a long list by the namespace of their pods, those without a pod last, and then by name. The
// lines below a heading have the names without the namespace, so there is more width for what differs.
func (y *section) byNamespace() {
	if !slices.ContainsFunc(y.groups, func(g group) bool { return g.pod() != nil }) {
		return
	}
	y.grouped = true
	var all []string
	for i := range y.groups {
		g := &y.groups[i]
		if pod := g.pod(); pod != nil {
			g.name = pod.Name
		}
		all = append(all, g.name)
	}
	short := NewNames(all)
	for i := range y.groups {
		y.groups[i].names = short
	}
	slices.SortStableFunc(y.groups, func(a, b group) int {
		one, other := a.pod(), b.pod()
		if one == nil || other == nil {
			return cmp.Or(number(one == nil)-number(other == nil), cmp.Compare(a.name, b.name))
		}
		return cmp.Or(cmp.Compare(one.Namespace, other.Namespace), cmp.Compare(a.name, b.name))
	})
}

// heading returns the line above group i of a list, nil if it is in the same namespace as the one before.
func (y *section) heading(i int) row {
	if !y.grouped {
		return nil
	}
	title := y.groups[i].heading()
	if i > 0 && y.groups[i-1].heading() == title {
		return nil
	}
	count := 0
	for _, g := range y.groups[i:] {
		if g.heading() != title {
			break
		}
		count += len(g.ends)
	}
	return line(text(title, name), text(fmt.Sprintf(" (%d)", count), plain))
}

func (g *group) heading() string {
	if pod := g.pod(); pod != nil {
		return "namespace " + pod.Namespace
	}
	return "not a pod"
}
