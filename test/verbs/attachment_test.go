package verbs

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// codeDrift is the error code of a CHECK that found something.
const codeDrift = 106

// attachment is one interface of one container on one network, and the calls that a runtime makes for it.
type attachment struct {
	h      *nettest.Node
	id     string
	netns  string
	ifname string
	args   string
	conf   conf
	path   string          // CNI_PATH, if not the plugin's directory
	plugin string          // the program called, if not ours
	prev   json.RawMessage // what ADD printed: prevResult of CHECK and DEL
	state  string          // "added" until DEL
}

// on is the attachment of eth0 of a container; nothing happens yet.
func on(h *nettest.Node, c *nettest.Container, network conf) *attachment {
	return &attachment{h: h, id: c.ID(), netns: c.Path(), ifname: "eth0", conf: network}
}

// attach makes the ADD and, when the test ends, the DEL.
func attach(t *testing.T, h *nettest.Node, c *nettest.Container, network conf) (*attachment, *types100.Result) {
	t.Helper()
	a := on(h, c, network)
	return a, a.add(t)
}

func (a *attachment) call(t testing.TB, verb string) nettest.Call {
	t.Helper()
	network := a.conf
	if a.prev != nil && verb != "ADD" {
		network = network.with(conf{"prevResult": a.prev})
	}
	return nettest.Call{
		Command: verb, ContainerID: a.id, Netns: a.netns, IfName: a.ifname, Args: a.args,
		Path: a.path, Plugin: a.plugin, Config: network.bytes(t),
	}
}

func (a *attachment) run(t testing.TB, verb string) nettest.Answer {
	t.Helper()
	return a.h.CNI(t, a.call(t, verb))
}

// add must succeed. The test's end makes the DEL, unless the test did; what is then left is for the oracle to find.
func (a *attachment) add(t *testing.T) *types100.Result {
	t.Helper()
	answer := a.run(t, "ADD")
	result := answer.Result(t)
	a.prev, a.state = answer.Stdout, "added"
	t.Cleanup(func() {
		if a.state == "added" {
			a.del(t)
		}
	})
	return result
}

func (a *attachment) del(t testing.TB) {
	t.Helper()
	a.run(t, "DEL").OK(t)
	a.state = ""
}

func (a *attachment) check(t testing.TB) {
	t.Helper()
	a.run(t, "CHECK").OK(t)
}

// drift must be found by CHECK; it returns all that CHECK says.
func (a *attachment) drift(t testing.TB) string {
	t.Helper()
	e := a.run(t, "CHECK").Error(t)
	if e.Code != codeDrift {
		t.Errorf("code %d, want %d: %v", e.Code, codeDrift, e)
	}
	return e.Msg + "; " + e.Details
}

// fails must be the answer to a verb.
func (a *attachment) fails(t testing.TB, verb string, code uint) *types.Error {
	t.Helper()
	e := a.run(t, verb).Error(t)
	if e.Code != code {
		t.Errorf("%s: code %d, want %d: %v", verb, e.Code, code, e)
	}
	return e
}

// addresses are those of a result, as text.
func addresses(r *types100.Result) []string {
	out := make([]string, len(r.IPs))
	for i, ip := range r.IPs {
		out[i] = ip.Address.String()
	}
	return out
}

// addr is an address of a result.
func addr(t testing.TB, r *types100.Result, i int) netip.Addr {
	t.Helper()
	if i >= len(r.IPs) {
		t.Fatalf("the result has %d addresses", len(r.IPs))
	}
	a, _ := netip.AddrFromSlice(r.IPs[i].Address.IP)
	return a.Unmap()
}

// hostEnd is the name of the cable's end in the bridge.
func hostEnd(t testing.TB, r *types100.Result) string {
	t.Helper()
	for _, i := range r.Interfaces {
		if i.Sandbox == "" && strings.HasPrefix(i.Name, "veth") {
			return i.Name
		}
	}
	t.Fatalf("no host end in the result: %v", r)
	return ""
}

// containers makes n of them, ca, cb and so on, and attaches each.
func containers(t *testing.T, h *nettest.Node, n int, network conf) ([]*attachment, []*types100.Result) {
	t.Helper()
	var all []*attachment
	var results []*types100.Result
	for i := range n {
		a, r := attach(t, h, h.Container("c"+string(rune('a'+i))), network)
		all, results = append(all, a), append(results, r)
	}
	return all, results
}

// result is what ADD printed, once more.
func (a *attachment) result(t testing.TB) *types100.Result {
	t.Helper()
	return nettest.Answer{Stdout: a.prev}.Result(t)
}
