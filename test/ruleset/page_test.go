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
)

// page is the host that conf/ruleset.md describes, and what its text may ask for.
type page struct {
	t           *testing.T
	h           *nettest.Node
	attachments map[string]attachment
	listing     string // with everybody attached
	reload      string // what it said after the ruleset was flushed
}

// TestPage writes conf/ruleset.md from testdata/ruleset.md.tmpl: every listing and answer in it is
// one of a host.
func TestPage(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	text, err := template.New("ruleset.md.tmpl").Funcs(template.FuncMap{
		"listing": func() string { return p.listing }, "element": p.element, "elements": p.elements, "object": p.object, "mark": p.mark, "run": p.run,
		"schema": p.schema, "del": p.del, "reload": func() string { return p.reload },
	}).ParseFiles("testdata/ruleset.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := text.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "../../conf/ruleset.md", out.String())
	for _, a := range p.attachments {
		p.h.CNI(t, a.call("DEL")).OK(t)
	}
}

func newPage(t *testing.T) *page {
	t.Helper()
	h := host(t)
	web := network{"web", "cni0", "10.88.0.0/16", "fd00:88::/64"}
	db := network{"db", "cni1", "10.89.0.0/16", "fd00:89::/64"}
	p := &page{t: t, h: h, attachments: map[string]attachment{
		"nginx": {h.Container("nginx"), web.config(`"isDefaultGateway": true, "ipMasq": true, "runtimeConfig": {"portMappings": [
			{"hostPort": 8080, "containerPort": 80}, {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "192.0.2.10"}]},`)},
		"postgres": {h.Container("postgres"), db.config(`"isDefaultGateway": true, "ipMasq": true, "masqExclude": ["192.168.0.0/16"],
			"ingressPolicy": "isolated", "runtimeConfig": {"portMappings": [{"hostPort": 5432, "containerPort": 5432}]},`)},
	}}
	for _, name := range []string{"nginx", "postgres"} {
		h.CNI(t, p.attachments[name].call("ADD")).OK(t)
	}
	p.listing = list(t, h)
	h.Run(t, "nft", "flush", "ruleset")
	p.reload = h.Run(t, nettest.Patchbay(t), "reload")
	if diff := cmp.Diff(sorted(p.listing), sorted(list(t, h))); diff != "" {
		t.Errorf("reload did not bring back what was there (-there +now):\n%s", diff)
	}
	return p
}

// sorted is a listing's lines without their order: reload makes the chains in that of the records.
func sorted(listing string) []string {
	return slices.Sorted(strings.Lines(listing))
}

// object is a chain or map whose head begins as said.
func (p *page) object(head string) (string, error) {
	_, text, found := strings.Cut(p.listing, "\t"+head)
	text, _, ended := strings.Cut(text, "\n\t}")
	if !found || !ended {
		return "", fmt.Errorf("the listing has no %q", head)
	}
	return strings.ReplaceAll(head+text+"\n\t}", "\n\t", "\n"), nil
}

// element is that of a container in a map.
func (p *page) element(of, container string) (string, error) {
	text, err := p.object("map " + of)
	for line := range strings.Lines(text) {
		if strings.Contains(line, "/"+container+"/") {
			return strings.Trim(line, "\t,\n"), nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("map %s has no element of %s", of, container))
}

// elements are all those of a container in a map or set, a line each.
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

// mark is the first word of a container's comments.
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

// run is what a command of the page prints.
func (p *page) run(command string) string { return p.h.Run(p.t, "sh", "-c", command) }

// del is what a DEL takes away.
func (p *page) del(container string) (string, error) {
	before := list(p.t, p.h)
	p.h.CNI(p.t, p.attachments[container].call("DEL")).OK(p.t)
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

// TestPageIsLinked: a page that nobody is led to is not read.
func TestPageIsLinked(t *testing.T) {
	for file, link := range map[string]string{"README.md": "(conf/ruleset.md)", "conf/README.md": "(ruleset.md)"} {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), link) {
			t.Errorf("%s does not link to %s", file, link)
		}
	}
}
