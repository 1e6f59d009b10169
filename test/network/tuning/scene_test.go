// Package tuning tests the keys of the reference plugin tuning: sysctls of the container and settings of its interface, what CHECK says of
// them, and what DEL puts back.
package tuning

import (
	"encoding/json"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// codes of errors
const (
	codeConfig = 7
	codeIO     = 5
	codeDrift  = 106
	codeSysctl = 109
)

// network returns a network with addresses of both families and more keys.
func network(keys ...cni.Conf) cni.Conf {
	return cni.Network(append([]cni.Conf{cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")}, keys...)...)
}

// sysctls returns the key sysctl with name and value pairs.
func sysctls(pairs ...string) cni.Conf {
	all := cni.Conf{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return cni.Conf{"sysctl": all}
}

// attached is a container with what its ADD returned.
type attached struct {
	h    *nettest.Node
	c    *nettest.Container
	conf cni.Conf
}

// attach calls ADD and keeps the result for the calls that follow.
func attach(t *testing.T, h *nettest.Node, c *nettest.Container, conf cni.Conf) *attached {
	t.Helper()
	answer := cni.Add(t, h, c, conf)
	return &attached{h, c, conf.With(cni.Prev(json.RawMessage(answer.Stdout)))}
}

// passes calls CHECK, which must find no difference.
func (a *attached) passes(t *testing.T) {
	t.Helper()
	cni.Check(t, a.h, a.c, a.conf).OK(t)
}

// drifts calls CHECK, which must report what.
func (a *attached) drifts(t *testing.T, what string) {
	t.Helper()
	e := cni.Check(t, a.h, a.c, a.conf).Error(t)
	expect.Equal(t, "code of CHECK", e.Code, codeDrift)
	expect.Equal(t, "message of CHECK", e.Msg, what)
}

// detach calls DEL by the name of the network alone: what it restores comes from the record.
func (a *attached) detach(t *testing.T) {
	t.Helper()
	call := cni.Call(t, "DEL", a.c, cni.Conf{"cniVersion": "1.1.0", "name": a.conf["name"], "type": "patchbay"})
	call.Netns = ""
	a.h.CNI(t, call).OK(t)
}

// link returns flags, transmit queue length and MTU of eth0.
func (a *attached) link(t *testing.T) (promisc, allMulti bool, txQLen int) {
	t.Helper()
	l, err := a.c.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	const ifPromisc, ifAllMulti = 0x100, 0x200
	return l.Attrs().RawFlags&ifPromisc != 0, l.Attrs().RawFlags&ifAllMulti != 0, l.Attrs().TxQLen
}
