package versions

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// schema returns the table version of the program under test; that of next is one higher.
func schema() int { return nft.Schema() }

// tooNew returns the text of the program under test about a version one higher than its own.
func tooNew(own int) string {
	return fmt.Sprintf("it has version %d, this one knows versions up to %d", own+1, own)
}

// codeRuleset is the error code of a table that cannot be used.
const codeRuleset = 108

// scene is a host with two versions of the plugin.
type scene struct {
	*nettest.Node
	t         testing.TB
	old       string // the program under test
	next      string // the program with versions one higher
	config    cni.Conf
	prev      map[string]json.RawMessage // results of ADD, by container ID
	addresses map[string]netip.Addr
	newer     map[string]bool // containers whose record next wrote
}

func newScene(t testing.TB, keys ...cni.Conf) *scene {
	t.Helper()
	nettest.Need(t, nettest.Tool("nft"))
	s := &scene{Node: nettest.Host(t), t: t, old: nettest.Patchbay(t), next: nettest.Program(t, "patchbay-next")}
	s.prev, s.addresses, s.newer = map[string]json.RawMessage{}, map[string]netip.Addr{}, map[string]bool{}
	s.config = cni.Network(cni.DefaultGateway(), cni.Pool("10.88.0.0/16")).With(keys...)
	return s
}

func (s *scene) call(plugin, verb string, c *nettest.Container) nettest.Call {
	s.t.Helper()
	conf := s.config
	if prev := s.prev[c.ID()]; prev != nil && verb != "ADD" {
		conf = conf.With(cni.Conf{"prevResult": prev})
	}
	call := cni.Call(s.t, verb, c, conf)
	call.Plugin = plugin
	return call
}

func (s *scene) do(plugin, verb string, c *nettest.Container) nettest.Answer {
	s.t.Helper()
	return s.CNI(s.t, s.call(plugin, verb, c))
}

func (s *scene) add(plugin string, c *nettest.Container) {
	s.t.Helper()
	s.keep(c, s.do(plugin, "ADD", c).OK(s.t))
	s.newer[c.ID()] = plugin == s.next
}

// keep stores the result of an ADD.
func (s *scene) keep(c *nettest.Container, answer nettest.Answer) {
	s.t.Helper()
	s.prev[c.ID()] = answer.Stdout
	s.addresses[c.ID()], _ = netip.AddrFromSlice(answer.Result(s.t).IPs[0].Address.IP.To4())
}

func (s *scene) del(plugin string, c *nettest.Container) {
	s.t.Helper()
	s.do(plugin, "DEL", c).OK(s.t)
}

func (s *scene) reload(plugin string) {
	s.t.Helper()
	s.Run(s.t, plugin, "reload")
}

// table returns Patchbay's table as nft lists it.
func (s *scene) table() string {
	s.t.Helper()
	return s.Run(s.t, "nft", "list", "table", "inet", "patchbay")
}

// hasSchema checks the version of the table.
func (s *scene) hasSchema(want int) {
	s.t.Helper()
	if text := s.table(); !strings.Contains(text, fmt.Sprintf("chain schema_%d {", want)) || strings.Count(text, "chain schema_") != 1 {
		s.t.Errorf("want schema %d in\n%s", want, text)
	}
}

// masquerades checks that each of the containers has two elements, in masq4 and invalid4, and that there are no others.
func (s *scene) masquerades(all ...*nettest.Container) {
	s.t.Helper()
	text := s.table()
	for _, c := range all {
		if n := strings.Count(text, fmt.Sprintf(`"cni0" . %s comment`, s.addresses[c.ID()])); n != 2 {
			s.t.Errorf("%d elements of %s (%s), want 2", n, c.Name(), s.addresses[c.ID()])
		}
	}
	if n := strings.Count(text, `"cni0" . `); n != 2*len(all) {
		s.t.Errorf("%d elements, want those of %d containers:\n%s", n, len(all), text)
	}
}

// refused checks the answer to an ADD that found the table of a newer version: it names both versions.
func (s *scene) refused(answer nettest.Answer) {
	s.t.Helper()
	e := answer.Error(s.t)
	want := "table patchbay of nftables: table built by a newer patchbay: " + tooNew(schema())
	if e.Code != codeRuleset || e.Msg != want {
		s.t.Errorf("code %d, %q; want %d, %q", e.Code, e.Msg, codeRuleset, want)
	}
}

// unchanged checks that run changes nothing on the host.
func (s *scene) unchanged(what string, run func()) {
	s.t.Helper()
	before := s.Snapshot()
	run()
	for _, line := range nettest.Diff(before, s.Snapshot(), nettest.Attachment) {
		s.t.Errorf("%s: %s", what, line)
	}
}

// record returns the path of a container's record.
func record(c *nettest.Container) string { return "/run/patchbay/net/" + c.ID() + "@eth0.json" }
