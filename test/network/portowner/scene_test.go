// Package portowner tests which attachment owns a published port: with conflicting ADDs, after a reboot, after the end of the owner without a DEL,
// with a late DEL, and after parts of it were deleted.
// From where a port is reachable is tested in test/network/ports.
package portowner

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// Error codes.
const (
	codePortTaken = 102
	codeDrift     = 106
)

// The host's addresses on the bridge, through which the tests use published ports.
const (
	gateway4 = "10.88.0.1"
	gateway6 = "fd00:88::1"
)

// network returns a configuration with addresses of both families.
func network(name, bridge string, keys ...cni.Conf) cni.Conf {
	return cni.Network(cni.Conf{"name": name, "bridge": bridge}, cni.DefaultGateway(), cni.Pool("10.88.0.0/16", "fd00:88::/64")).With(keys...)
}

// elsewhere returns the configuration of another network on another bridge.
func elsewhere(keys ...cni.Conf) cni.Conf {
	return network("other", "cni1", cni.Pool("10.99.0.0/16", "fd00:99::/64")).With(keys...)
}

// mapping returns an item of portMappings for container port 80.
func mapping(hostPort int, more ...cni.Conf) cni.Conf {
	return cni.Conf{"hostPort": hostPort, "containerPort": 80}.With(more...)
}

func of(hostIP string) cni.Conf { return cni.Conf{"hostIP": hostIP} }

// attachment is a container and what its runtime knows about it.
type attachment struct {
	*nettest.Container
	h        *nettest.Node
	config   cni.Conf
	mappings []cni.Conf
	args     string
	link     string // its host interface
	prev     json.RawMessage
}

// on creates a container that is not attached yet.
func on(h *nettest.Node, name string, config cni.Conf, mappings ...cni.Conf) *attachment {
	return &attachment{Container: h.Container(name), h: h, config: config, mappings: mappings}
}

// call returns the call of a verb as a runtime makes it: with the port mappings and the cached result.
func (b *attachment) call(t *testing.T, verb string) nettest.Call {
	t.Helper()
	conf := b.config.With(cni.Ports(append([]cni.Conf{}, b.mappings...)...))
	if verb != "ADD" && b.prev != nil {
		conf["prevResult"] = b.prev
	}
	call := cni.Call(t, verb, b.Container, conf)
	call.Args = b.args
	return call
}

func (b *attachment) do(t *testing.T, verb string) nettest.Answer {
	t.Helper()
	return b.h.CNI(t, b.call(t, verb))
}

func (b *attachment) add(t *testing.T) {
	t.Helper()
	b.keep(t, b.do(t, "ADD"))
}

// keep stores the result of an ADD.
func (b *attachment) keep(t *testing.T, a nettest.Answer) {
	t.Helper()
	b.link, b.prev = a.Result(t).Interfaces[1].Name, a.OK(t).Stdout
}

func (b *attachment) del(t *testing.T) {
	t.Helper()
	b.do(t, "DEL").OK(t)
}

// refused checks that an ADD fails because another attachment has the port.
func (b *attachment) refused(t *testing.T, by *attachment, thing string) {
	t.Helper()
	b.lost(t, b.do(t, "ADD"), by, thing)
}

func (b *attachment) lost(t *testing.T, a nettest.Answer, to *attachment, thing string) {
	t.Helper()
	e := a.Error(t)
	expect.Equal(t, "code", e.Code, codePortTaken)
	expect.Contains(t, e.Msg, "host "+thing+" is already published by", "/"+to.ID()+"/eth0")
	b.isRemoved(t)
}

// isRemoved checks that nothing of an attachment is left, before any DEL.
func (b *attachment) isRemoved(t *testing.T) {
	t.Helper()
	if text := rules(t, b.h); strings.Contains(text, b.ID()) {
		t.Errorf("elements of %s are left:\n%s", b.Name(), text)
	}
	if files := b.h.Run(t, "find", "/run/patchbay", "-name", b.ID()+"*"); files != "" {
		t.Errorf("a record of %s is left: %s", b.Name(), files)
	}
	if links := b.h.Run(t, "ip", "-d", "link"); strings.Contains(links, b.ID()[:40]) {
		t.Errorf("a host interface of %s is left: %s", b.Name(), links)
	}
	if links := b.Run(t, "ip", "-o", "link"); strings.Contains(links, "eth0") {
		t.Errorf("%s has an eth0: %s", b.Name(), links)
	}
}

// serve sends the container's name to each client of its TCP port 80.
func (b *attachment) serve(t *testing.T) {
	t.Helper()
	serve.TCP(t, b.Netns, "[::]:80", func(c net.Conn) { _, _ = io.WriteString(c, b.Name()) })
}

// ask returns what a server at an address sends; from is the namespace of the client.
func ask(from *nettest.Netns, address string, patience time.Duration) (string, error) {
	var c net.Conn
	var err error
	from.Do(func() { c, err = net.DialTimeout("tcp", address, patience) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	said, err := io.ReadAll(c)
	return string(said), err
}

// answers checks that a container is reached through each address.
func (b *attachment) answers(t *testing.T, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		if said, err := ask(b.h.Netns, address, 10*time.Second); said != b.Name() || err != nil {
			t.Errorf("%s: answer of %q, want %s: %v", address, said, b.Name(), err)
		}
	}
}

// silent checks that no server answers: the host refuses the connection.
func silent(t *testing.T, h *nettest.Node, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		if said, err := ask(h.Netns, address, 300*time.Millisecond); err == nil {
			t.Errorf("%s: answer of %q, want none", address, said)
		}
	}
}

func rules(t *testing.T, h *nettest.Node) string {
	t.Helper()
	return h.Run(t, "nft", "list", "ruleset")
}

// sameRules checks that the ruleset is as before.
func sameRules(t *testing.T, h *nettest.Node, before, when string) {
	t.Helper()
	if got := rules(t, h); got != before {
		t.Errorf("%s the ruleset was\n%s\nand is\n%s", when, before, got)
	}
}

// host returns a host for tests that list the ruleset.
func host(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	return h
}

// awaitGone waits for the kernel to destroy a link with the namespace of its peer.
func awaitGone(t *testing.T, h *nettest.Node, link string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var gone netlink.LinkNotFoundError
		if _, err := h.Netlink().LinkByName(link); errors.As(err, &gone) {
			return
		}
	}
	t.Fatalf("%s is still there", link)
}

// record returns the path of an attachment's record.
func (b *attachment) record() string { return "/run/patchbay/net/" + b.ID() + "@eth0.json" }
