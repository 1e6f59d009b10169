package diagram

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// builder makes a diagram of a view.
type builder struct {
	view  *topo.View
	d     *Diagram
	count map[string]int            // of IDs, by prefix
	ports map[*topo.Attachment]*Box // the host interfaces
}

// Of returns the diagram of a view.
func Of(v *topo.View) *Diagram {
	b := &builder{view: v, d: &Diagram{}, count: map[string]int{}, ports: map[*topo.Attachment]*Box{}}
	b.host()
	b.containers()
	b.notes()
	return b.d
}

// box returns a box with an ID of its own.
func (b *builder) box(kind Kind, prefix, title string) *Box {
	return &Box{ID: b.id(prefix), Kind: kind, Title: clean(title)}
}

func (b *builder) id(prefix string) string {
	b.count[prefix]++
	return fmt.Sprint(prefix, b.count[prefix])
}

func (b *builder) connect(from, to *Box, kind LineKind, problems []string) {
	b.d.Lines = append(b.d.Lines, &Line{ID: b.id("line"), From: from, To: to, Kind: kind, Label: clean(strings.Join(problems, "; "))})
}

func (b *builder) notes() {
	for _, p := range b.view.Problems {
		b.d.Notes = append(b.d.Notes, Text{Text: clean(p.About + ": " + p.Text), Wrong: true})
	}
	for _, u := range b.view.Unseen {
		b.d.Notes = append(b.d.Notes, Text{Text: clean("not seen: " + u)})
	}
}

// addresses says the addresses of an interface.
func (b *Box) addresses(l *link.SurveyLink) {
	for _, a := range topo.GlobalAddresses(l) {
		if a.Failed {
			b.warn(a.Prefix.String() + " (duplicate)")
			continue
		}
		b.say("%s", a.Prefix)
	}
}

// routes says default routes, with the interface where that is not obvious, and the metric that chooses between several.
func (b *Box) routes(routes []link.SurveyRoute, device bool) {
	for _, r := range routes {
		text := "default"
		if r.Gateway.IsValid() {
			text += " via " + r.Gateway.String()
		}
		if device {
			text += " dev " + r.Link
		}
		if r.Metric > 0 {
			text += fmt.Sprint(" metric ", r.Metric)
		}
		b.say("%s", text)
	}
}

// linkFacts adds the details of an interface.
func (b *Box) linkFacts(l *link.SurveyLink) {
	b.fact("kind", l.Kind)
	b.fact("index", fmt.Sprint(l.Index))
	b.fact("MAC", l.MAC)
	b.fact("MTU", fmt.Sprint(l.MTU))
	b.fact("alias", l.Alias)
	b.fact("state", stateOf(l))
	for _, a := range l.Addresses {
		b.fact("address", a.Prefix.String())
	}
}

func stateOf(l *link.SurveyLink) string {
	switch {
	case !l.Up:
		return "down"
	case !l.Carrier:
		return "up, no carrier"
	}
	return "up"
}

// routesBy returns the routes through an interface.
func routesBy(routes []link.SurveyRoute, name string) []link.SurveyRoute {
	return slices.DeleteFunc(slices.Clone(routes), func(r link.SurveyRoute) bool { return r.Link != name })
}

// isAddress reports whether a line is that of an address.
func isAddress(line string) bool {
	_, err := netip.ParsePrefix(line)
	return err == nil
}
