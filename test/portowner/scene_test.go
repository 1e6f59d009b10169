// Package portowner shows whose a published port is: of two who want it, after a reboot, when the
// owner died without a DEL, when its DEL comes late, and when somebody has taken pieces of it away.
// It never asks by which ways a port is reached; that is test/ports'.
package portowner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// Codes of errors, as README has them.
const (
	codePortTaken = 102
	codeDrift     = 106
)

// The host's own addresses on the bridge, which are what ports are reached by here.
const (
	gateway4 = "10.88.0.1"
	gateway6 = "fd00:88::1"
)

// network is a configuration with addresses of both families; keys are JSON members.
func network(name, bridge string, keys ...string) string {
	keys = append([]string{
		fmt.Sprintf(`"cniVersion": "1.1.0", "name": %q, "type": "patchbay", "bridge": %q, "isDefaultGateway": true`, name, bridge),
		`"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd00:88::/64"}]]}`,
	}, keys...)
	return "{" + strings.Join(keys, ", ") + "}"
}

// mapping is an item of portMappings; more are JSON members.
func mapping(hostPort int, more ...string) string {
	return "{" + strings.Join(append([]string{fmt.Sprintf(`"hostPort": %d, "containerPort": 80`, hostPort)}, more...), ", ") + "}"
}

func of(hostIP string) string { return fmt.Sprintf(`"hostIP": %q`, hostIP) }

// box is a container and what its runtime knows of it.
type box struct {
	*nettest.Container
	h        *nettest.Node
	config   string
	mappings []string
	args     string
	link     string // its host link
	prev     json.RawMessage
}

// on is a container that is not attached yet.
func on(h *nettest.Node, name, config string, mappings ...string) *box {
	return &box{Container: h.Container(name), h: h, config: config, mappings: mappings}
}

// call is a verb as a runtime makes it: with the ports it was told of, and its cached result.
func (b *box) call(t *testing.T, verb string) nettest.Call {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(b.config), &fields); err != nil {
		t.Fatal(err)
	}
	fields["runtimeConfig"] = json.RawMessage(`{"portMappings": [` + strings.Join(b.mappings, ", ") + `]}`)
	if verb != "ADD" && b.prev != nil {
		fields["prevResult"] = b.prev
	}
	config, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return nettest.Call{Command: verb, ContainerID: b.ID(), Netns: b.Path(), IfName: "eth0", Config: config, Args: b.args}
}

func (b *box) do(t *testing.T, verb string) nettest.Answer {
	t.Helper()
	return b.h.CNI(t, b.call(t, verb))
}

func (b *box) add(t *testing.T) {
	t.Helper()
	b.keep(t, b.do(t, "ADD"))
}

// keep remembers what an ADD printed.
func (b *box) keep(t *testing.T, a nettest.Answer) {
	t.Helper()
	b.link, b.prev = a.Result(t).Interfaces[1].Name, a.OK(t).Stdout
}

func (b *box) del(t *testing.T) {
	t.Helper()
	b.do(t, "DEL").OK(t)
}

// refused wants an ADD to be told that another one has the port.
func (b *box) refused(t *testing.T, by *box, thing string) {
	t.Helper()
	b.lost(t, b.do(t, "ADD"), by, thing)
}

func (b *box) lost(t *testing.T, a nettest.Answer, to *box, thing string) {
	t.Helper()
	e := a.Error(t)
	expect.Equal(t, "code", e.Code, codePortTaken)
	expect.Contains(t, e.Msg, thing+" belongs to another attachment", "/"+to.ID()+"/eth0")
	b.isNowhere(t)
}

// isNowhere wants nothing of an attachment to be left, though no DEL came.
func (b *box) isNowhere(t *testing.T) {
	t.Helper()
	if text := rules(t, b.h); strings.Contains(text, b.ID()) {
		t.Errorf("elements of %s are left:\n%s", b.Name(), text)
	}
	if files := b.h.Run(t, "find", "/run/patchbay", "-name", b.ID()+"*"); files != "" {
		t.Errorf("a record of %s is left: %s", b.Name(), files)
	}
	if links := b.h.Run(t, "ip", "-d", "link"); strings.Contains(links, b.ID()[:40]) {
		t.Errorf("a cable of %s is left: %s", b.Name(), links)
	}
	if links := b.Run(t, "ip", "-o", "link"); strings.Contains(links, "eth0") {
		t.Errorf("%s has an eth0: %s", b.Name(), links)
	}
}

// serve answers everybody at TCP port 80 of the container with its name.
func (b *box) serve(t *testing.T) {
	t.Helper()
	var l net.Listener
	var err error
	b.Do(func() { l, err = net.Listen("tcp", "[::]:80") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, b.Name())
			c.Close()
		}
	}()
}

// ask is what somebody answers at an address; from is the namespace of who asks.
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

// answers wants a container to be reached by each address.
func (b *box) answers(t *testing.T, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		if said, err := ask(b.h.Netns, address, 10*time.Second); said != b.Name() || err != nil {
			t.Errorf("at %s %q answers, want %s: %v", address, said, b.Name(), err)
		}
	}
}

// silent wants nobody to answer: the host itself refuses, which is told at once.
func silent(t *testing.T, h *nettest.Node, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		if said, err := ask(h.Netns, address, 300*time.Millisecond); err == nil {
			t.Errorf("at %s %q answers, want nobody", address, said)
		}
	}
}

func rules(t *testing.T, h *nettest.Node) string {
	t.Helper()
	return h.Run(t, "nft", "list", "ruleset")
}

// sameRules wants the ruleset to be as it was.
func sameRules(t *testing.T, h *nettest.Node, before, when string) {
	t.Helper()
	if got := rules(t, h); got != before {
		t.Errorf("%s the ruleset was\n%s\nand is\n%s", when, before, got)
	}
}

// host is one for a test that looks at the ruleset.
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

// record is the path of an attachment's record.
func (b *box) record() string { return "/run/patchbay/net/" + b.ID() + "@eth0.json" }
