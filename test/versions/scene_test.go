package versions

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// schema is the version of the table that the program under test builds; the other one's is one higher.
func schema() int { return nft.Schema() }

// tooNew is what the program under test says of a version one higher than its own.
func tooNew(own int) string {
	return fmt.Sprintf("it has version %d, this one knows versions up to %d", own+1, own)
}

// codeRuleset is the error code of a table that cannot be used.
const codeRuleset = 108

// masq makes a network masquerade.
const masq = `"ipMasq": true,`

// scene is a host with two versions of the plugin.
type scene struct {
	*nettest.Node
	t         testing.TB
	old       string // the program under test
	next      string // everything is one higher
	config    string
	prev      map[string][]byte // what ADD printed, by container ID
	addresses map[string]netip.Addr
	newer     map[string]bool // whose record the next one wrote
}

func newScene(t testing.TB, extra string) *scene {
	t.Helper()
	nettest.Need(t, nettest.Tool("nft"))
	s := &scene{Node: nettest.Host(t), t: t, old: nettest.Patchbay(t), next: nettest.Program(t, "patchbay-next")}
	s.prev, s.addresses, s.newer = map[string][]byte{}, map[string]netip.Addr{}, map[string]bool{}
	s.config = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, ` + extra + `
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.88.0.0/16"}]]}}`
	return s
}

func (s *scene) call(plugin, verb string, c *nettest.Container) nettest.Call {
	s.t.Helper()
	call := nettest.Call{Plugin: plugin, Command: verb, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(s.config)}
	if prev := s.prev[c.ID()]; prev != nil && verb != "ADD" {
		call.Config = s.with("prevResult", json.RawMessage(prev))
	}
	return call
}

// with is the configuration with one more key.
func (s *scene) with(key string, value any) []byte {
	s.t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(s.config), &fields); err != nil {
		s.t.Fatal(err)
	}
	fields[key] = value
	config, err := json.Marshal(fields)
	if err != nil {
		s.t.Fatal(err)
	}
	return config
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

// keep remembers what an ADD printed.
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

// table is what nft lists of ours.
func (s *scene) table() string {
	s.t.Helper()
	return s.Run(s.t, "nft", "list", "table", "inet", "patchbay")
}

// hasSchema wants a version of the table.
func (s *scene) hasSchema(want int) {
	s.t.Helper()
	if text := s.table(); !strings.Contains(text, fmt.Sprintf("chain schema_%d {", want)) || strings.Count(text, "chain schema_") != 1 {
		s.t.Errorf("want schema %d in\n%s", want, text)
	}
}

// masquerades wants two elements for each of the containers, those of masq4 and invalid4, and none for anybody else.
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

// refused is the answer to an ADD that met the table of a newer version: in words that name both.
func (s *scene) refused(answer nettest.Answer) {
	s.t.Helper()
	e := answer.Error(s.t)
	want := "table patchbay of nftables was built by a newer patchbay: " + tooNew(schema())
	if e.Code != codeRuleset || e.Msg != want {
		s.t.Errorf("code %d, %q; want %d, %q", e.Code, e.Msg, codeRuleset, want)
	}
}

// unchanged runs what must leave the host as it is.
func (s *scene) unchanged(what string, run func()) {
	s.t.Helper()
	before := s.Snapshot()
	run()
	for _, line := range nettest.Diff(before, s.Snapshot(), nettest.Attachment) {
		s.t.Errorf("%s: %s", what, line)
	}
}

// record is the path of a container's record.
func record(c *nettest.Container) string { return "/run/patchbay/net/" + c.ID() + "@eth0.json" }
