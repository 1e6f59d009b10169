package ruleset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// page is the host that docs/ruleset.md describes. Its methods are the functions of the template.
type page struct {
	t           *testing.T
	h           *nettest.Node
	attachments map[string]attachment
	listing     string // with all containers attached
	reload      string // output of reload after a flush of the ruleset
}

// TestPage generates docs/ruleset.md from testdata/ruleset.md.tmpl: every listing and output in it comes from a host.
//
// Claim: The page on the ruleset is generated from a host, and linked
func TestPage(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	text, err := template.New("ruleset.md.tmpl").Funcs(template.FuncMap{
		"listing": func() string { return p.listing }, "element": p.element, "elements": p.elements, "object": p.object, "object_in": p.objectIn, "mark": p.mark, "run": p.run,
		"schema": p.schema, "del": p.del, "reload": func() string { return p.reload },
	}).ParseFiles("testdata/ruleset.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := text.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "../../../docs/ruleset.md", out.String())
	for _, a := range p.attachments {
		p.h.CNI(t, a.call(t, "DEL")).OK(t)
	}
}

func newPage(t *testing.T) *page {
	t.Helper()
	h := host(t)
	web := network{"web", "cni0", "10.88.0.0/16", "fd00:88::/64"}
	db := network{"db", "cni1", "10.89.0.0/16", "fd00:89::/64"}
	jobs := network{"jobs", "cni2", "10.90.0.0/16", "fd00:90::/64"}
	p := &page{t: t, h: h, attachments: map[string]attachment{
		"nginx": {h.Container("nginx"), web.config(cni.DefaultGateway(), cni.Masquerade(), cni.Ports(
			cni.Conf{"hostPort": 8080, "containerPort": 80}, cni.Conf{"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "192.0.2.10"}))},
		"postgres": {h.Container("postgres"), db.config(cni.DefaultGateway(), cni.Masquerade(), cni.Conf{
			"masqExclude":   []string{"192.168.0.0/16"},
			"ingressPolicy": "isolated",
		}, cni.Ports(cni.Conf{"hostPort": 5432, "containerPort": 5432}))},
		"build": {h.Container("build"), jobs.config(cni.DefaultGateway(), cni.Masquerade(), cni.Conf{
			"outboundAddr4": "192.0.2.20",
			"ingressPolicy": "published",
			"egress":        cni.Conf{"allow": []string{"198.51.100.0/24", "203.0.113.7", "2001:db8::/32"}},
			"dns":           cni.Conf{"nameservers": []string{"192.0.2.53"}},
		})},
	}}
	for _, name := range []string{"nginx", "postgres", "build"} {
		h.CNI(t, p.attachments[name].call(t, "ADD")).OK(t)
	}
	p.listing = list(t, h)
	h.Run(t, "nft", "flush", "ruleset")
	p.reload = h.Run(t, nettest.Patchbay(t), "reload")
	if diff := cmp.Diff(sorted(p.listing), sorted(list(t, h))); diff != "" {
		t.Errorf("reload did not restore the ruleset (-before +now):\n%s", diff)
	}
	return p
}

// sorted returns the lines of a listing, sorted: reload creates the chains in the order of the records.
func sorted(listing string) []string {
	return slices.Sorted(strings.Lines(listing))
}

// object returns the chain or map whose first line begins with head.
func (p *page) object(head string) (string, error) { return objectOf(p.listing, head) }

// objectIn returns the chain or map of the table of a family.
func (p *page) objectIn(family, head string) (string, error) {
	_, table, _ := strings.Cut(p.listing, "table "+family+" ")
	return objectOf(table, head)
}

func objectOf(listing, head string) (string, error) {
	_, text, found := strings.Cut(listing, "\t"+head)
	text, _, ended := strings.Cut(text, "\n\t}")
	if !found || !ended {
		return "", fmt.Errorf("the listing has no %q", head)
	}
	return strings.ReplaceAll(head+text+"\n\t}", "\n\t", "\n"), nil
}

// element returns the element of a container in a map.
func (p *page) element(of, container string) (string, error) {
	text, err := p.object("map " + of)
	for line := range strings.Lines(text) {
		if strings.Contains(line, "/"+container+"/") {
			return strings.Trim(line, "\t,\n"), nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("map %s has no element of %s", of, container))
}

// elements returns all elements of a container in a map or set, one per line.
func (p *page) elements(of, container string) (string, error) {
	text, err := p.object("map " + of + " ")
	if err != nil {
		text, err = p.object("set " + of + " ")
	}
	var all []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "/"+container+"/") {
			all = append(all, strings.Trim(line, "\t,\n"))
		}
	}
	if len(all) == 0 {
		err = errors.Join(err, fmt.Errorf("%s has no element of %s", of, container))
	}
	return strings.Join(all, "\n"), err
}

// mark returns the first word of the comments of a container's elements.
func (p *page) mark(container string) (string, error) {
	element, err := p.element("masq4", container)
	_, mark, _ := strings.Cut(element, `comment "`)
	mark, _, _ = strings.Cut(mark, " ")
	return mark, err
}

func (p *page) schema() (string, error) {
	text, err := p.object("chain schema_")
	return strings.TrimSuffix(strings.TrimPrefix(text, "chain schema_"), " {\n}"), err
}

// run returns the output of a shell command.
func (p *page) run(command string) string { return p.h.Run(p.t, "sh", "-c", command) }

// del returns the lines that a DEL removes from the listing.
func (p *page) del(container string) (string, error) {
	before := list(p.t, p.h)
	p.h.CNI(p.t, p.attachments[container].call(p.t, "DEL")).OK(p.t)
	after := list(p.t, p.h)
	if diff := cmp.Diff(without(before, container), after); diff != "" {
		return "", fmt.Errorf("DEL changed more than its elements:\n%s", diff)
	}
	var lines strings.Builder
	for _, line := range elements(before) {
		if !strings.Contains(after, line) {
			lines.WriteString("-" + strings.TrimLeft(line, "\t"))
		}
	}
	return lines.String(), nil
}

// TestPageIsLinked: README and both indexes link to the page.
//
// Claim: The page on the ruleset is generated from a host, and linked
func TestPageIsLinked(t *testing.T) {
	for file, link := range map[string]string{"README.md": "(docs/ruleset.md)", "docs/README.md": "(ruleset.md)", "conf/README.md": "(../docs/ruleset.md)"} {
		text, err := os.ReadFile(filepath.Join("../../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), link) {
			t.Errorf("%s does not link to %s", file, link)
		}
	}
}
