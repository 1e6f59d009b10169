package delegated

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// codeIPAM is the error code for an IPAM plugin that cannot be run or returns an invalid result.
const codeIPAM = 110

// withIPAM returns the configuration of network "net" on bridge cni0 with this section ipam, and keys added or replaced.
func withIPAM(ipam cni.Conf, more ...cni.Conf) cni.Conf {
	return cni.Network(cni.Conf{"ipam": ipam}).With(more...)
}

// scene is a container on a host, the network it is attached to, and a directory of IPAM plugins.
type scene struct {
	t    *testing.T
	h    *nettest.Node
	c    *nettest.Container
	conf cni.Conf
	bin  string          // CNI_PATH
	env  []string        // added to the environment
	prev json.RawMessage // result of ADD
}

// on returns a scene with the reference IPAM plugins on CNI_PATH.
func on(t *testing.T, h *nettest.Node, c *nettest.Container, network cni.Conf) *scene {
	t.Helper()
	s := &scene{t: t, h: h, c: c, conf: network, bin: t.TempDir()}
	for _, name := range []string{"host-local", "static", "dhcp"} {
		s.link(name, nettest.Program(t, name))
	}
	return s
}

// link creates a symbolic link to a program on CNI_PATH.
func (s *scene) link(name, program string) {
	s.t.Helper()
	path := filepath.Join(s.bin, name)
	_ = os.Remove(path)
	if err := os.Symlink(program, path); err != nil {
		s.t.Fatal(err)
	}
}

// script creates an IPAM plugin "fake" on CNI_PATH. $CNI_COMMAND holds the verb; it logs every call to $LOG.
func (s *scene) script(commands string) {
	s.t.Helper()
	s.link("fake", nettest.Script(s.t, `echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >>`+s.log()+"\n"+commands))
}

func (s *scene) log() string { return filepath.Join(s.bin, "log") }

// calls returns the verbs of the fake's calls since the last call of this function.
func (s *scene) calls() []string {
	s.t.Helper()
	text, err := os.ReadFile(s.log())
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	_ = os.Remove(s.log())
	var verbs []string
	for line := range strings.Lines(string(text)) {
		verb, _, _ := strings.Cut(line, " ")
		verbs = append(verbs, verb)
	}
	return verbs
}

func (s *scene) call(verb string) nettest.Call {
	s.t.Helper()
	network := s.conf
	if s.prev != nil && verb != "ADD" {
		network = network.With(cni.Conf{"prevResult": s.prev})
	}
	call := nettest.Call{Command: verb, ContainerID: s.c.ID(), Netns: s.c.Path(), IfName: "eth0", Path: s.bin, Config: network.JSON(s.t), Env: s.env}
	if verb == "GC" || verb == "STATUS" {
		call.ContainerID, call.Netns, call.IfName = "", "", ""
	}
	return call
}

func (s *scene) run(verb string) nettest.Answer {
	s.t.Helper()
	return s.h.CNI(s.t, s.call(verb))
}

func (s *scene) add() *types100.Result {
	s.t.Helper()
	answer := s.run("ADD")
	result := answer.Result(s.t)
	s.prev = answer.Stdout
	return result
}

func (s *scene) ok(verb string) {
	s.t.Helper()
	s.run(verb).OK(s.t)
}

// fails requires an error with one line.
func (s *scene) fails(verb string, code uint, msg ...string) *types.Error {
	s.t.Helper()
	e := s.run(verb).Error(s.t)
	if e.Code != code || strings.Contains(e.Msg, "\n") {
		s.t.Errorf("%s: code %d, want %d, on one line: %v", verb, e.Code, code, e)
	}
	expect.Contains(s.t, e.Msg, msg...)
	return e
}

func (s *scene) records() []string {
	s.t.Helper()
	return s.glob("/run/patchbay/net/*")
}

func (s *scene) glob(pattern string) (paths []string) {
	s.t.Helper()
	s.h.Do(func() { paths, _ = filepath.Glob(pattern) })
	return paths
}

// record returns the text of the only record.
func (s *scene) record() string {
	s.t.Helper()
	paths := s.records()
	if len(paths) != 1 {
		s.t.Fatalf("records: %v", paths)
	}
	var text []byte
	s.h.Do(func() { text, _ = os.ReadFile(paths[0]) })
	return string(text)
}

// nothingLeft requires that no link, address, file or record is left.
func (s *scene) nothingLeft() {
	s.t.Helper()
	s.h.NoLeaks(s.t)
	expect.Equal(s.t, "records", len(s.records()), 0)
}

func ips(r *types100.Result) []string {
	var out []string
	for _, ip := range r.IPs {
		out = append(out, ip.Address.String())
	}
	return out
}

func addressesOf(n *nettest.Netns) []string {
	var out []string
	for _, a := range n.Addresses("eth0") {
		if text := a.String(); !strings.HasPrefix(text, "fe80:") {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

func ping(t *testing.T, n *nettest.Netns, dst string) {
	t.Helper()
	if err := n.PingOnce(netip.MustParseAddr(dst)); err != nil {
		t.Errorf("%s pings %s: %v", n.Name(), dst, err)
	}
}

// result returns the result of ADD.
func (s *scene) result() *types100.Result {
	s.t.Helper()
	return nettest.Answer{Stdout: s.prev}.Result(s.t)
}
