package verbs

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// codeDrift is the error code of a CHECK that found a difference.
const codeDrift = 106

// attachment is one interface of one container on one network, and the calls that a runtime makes for it.
type attachment struct {
	h      *nettest.Node
	id     string
	netns  string
	ifname string
	args   string
	conf   cni.Conf
	path   string          // CNI_PATH; by default the plugin's directory
	plugin string          // the executable to call; by default patchbay
	prev   json.RawMessage // result of ADD: prevResult of CHECK and DEL
	state  string          // "added" until DEL
}

// on returns the attachment of eth0 of a container, without calling the plugin.
func on(h *nettest.Node, c *nettest.Container, network cni.Conf) *attachment {
	return &attachment{h: h, id: c.ID(), netns: c.Path(), ifname: "eth0", conf: network}
}

// attach calls ADD, and at the end of the test DEL.
func attach(t *testing.T, h *nettest.Node, c *nettest.Container, network cni.Conf) (*attachment, *types100.Result) {
	t.Helper()
	a := on(h, c, network)
	return a, a.add(t)
}

func (a *attachment) call(t testing.TB, verb string) nettest.Call {
	t.Helper()
	network := a.conf
	if a.prev != nil && verb != "ADD" {
		network = network.With(cni.Conf{"prevResult": a.prev})
	}
	return nettest.Call{
		Command: verb, ContainerID: a.id, Netns: a.netns, IfName: a.ifname, Args: a.args,
		Path: a.pathFor(t), Plugin: a.plugin, Config: network.JSON(t),
	}
}

func (a *attachment) pathFor(t testing.TB) string {
	t.Helper()
	if a.path != "" || a.plugin != "" {
		return a.path
	}
	return cniPath(t, a.conf)
}

// cniPath returns the CNI_PATH of a call: the directory of the main plugin, if another one is called, else "" for the
// directory of patchbay.
func cniPath(t testing.TB, c cni.Conf) string {
	t.Helper()
	main, _ := c["type"].(string)
	if main == "" || main == "patchbay" {
		return ""
	}
	return filepath.Dir(nettest.Program(t, main)) + ":" + filepath.Dir(nettest.Patchbay(t))
}

func (a *attachment) run(t testing.TB, verb string) nettest.Answer {
	t.Helper()
	return a.h.CNI(t, a.call(t, verb))
}

// add calls ADD, which must succeed. The end of the test calls DEL, unless the test did; the oracle then finds what is left.
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

// drift requires that CHECK reports a difference and returns its message and details.
func (a *attachment) drift(t testing.TB) string {
	t.Helper()
	e := a.run(t, "CHECK").Error(t)
	if e.Code != codeDrift {
		t.Errorf("code %d, want %d: %v", e.Code, codeDrift, e)
	}
	return e.Msg + "; " + e.Details
}

// fails requires that a verb fails with a code.
func (a *attachment) fails(t testing.TB, verb string, code uint) *types.Error {
	t.Helper()
	e := a.run(t, verb).Error(t)
	if e.Code != code {
		t.Errorf("%s: code %d, want %d: %v", verb, e.Code, code, e)
	}
	return e
}

// addresses returns the addresses of a result as text.
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

// hostEnd returns the name of the host interface.
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

// containers creates n containers, ca, cb and so on, and attaches each.
func containers(t *testing.T, h *nettest.Node, n int, network cni.Conf) ([]*attachment, []*types100.Result) {
	t.Helper()
	var all []*attachment
	var results []*types100.Result
	for i := range n {
		a, r := attach(t, h, h.Container("c"+string(rune('a'+i))), network)
		all, results = append(all, a), append(results, r)
	}
	return all, results
}

// result returns the result of ADD.
func (a *attachment) result(t testing.TB) *types100.Result {
	t.Helper()
	return nettest.Answer{Stdout: a.prev}.Result(t)
}
