package family

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/stepper"
)

// Scene is a host of its own with a container, or two, on one network of a family, not attached
// yet. What the family has on the host before belongs to the oracle's first picture.
type Scene struct {
	*nettest.Node
	Family
	One   *Attachment
	Mates []*Attachment // of a family of several, the others
	Next  *Attachment   // nil unless NewWithNext made the scene

	t    testing.TB
	kept []Conf // attachments that every GC is told to keep
	late bool   // a verb had no time to end flows, see ranOutOfTime
}

// Attachment is one container's place on the network.
type Attachment struct {
	scene *Scene
	c     *nettest.Container
	more  Conf            // what its configuration has beyond the network's
	prev  json.RawMessage // what ADD printed
}

// New makes a scene with one container. It lives as long as t.
func New(t testing.TB, f Family) *Scene {
	t.Helper()
	s := begin(t, f)
	s.populate()
	s.Baseline()
	return s
}

// NewWithNext makes a scene with two.
func NewWithNext(t testing.TB, f Family) *Scene {
	t.Helper()
	s := begin(t, f)
	s.populate()
	s.Next = s.attachment("next")
	s.Baseline()
	return s
}

func (s *Scene) populate() {
	s.One = s.attachment("one")
	for _, name := range s.Family.mates {
		s.Mates = append(s.Mates, s.attachment(name))
	}
}

// Attach makes the ADD of every container but Next, and takes the records away where the family has
// lost them. What the ADDs wrote is then older than whatever comes after.
func (s *Scene) Attach(t testing.TB) {
	t.Helper()
	for _, a := range append([]*Attachment{s.One}, s.Mates...) {
		a.Do(t, a.Call("ADD")).OK(t)
	}
	if s.lost {
		s.Run(t, "rm", "-r", "/run/patchbay/net")
		s.Run(t, "sh", "-c", "touch -d '1 minute ago' /run/patchbay/ipam/net/*")
	}
}

// Detach makes the DEL of every container but Next, One's by a call of the test's own.
func (s *Scene) Detach(t testing.TB, one nettest.Call) {
	t.Helper()
	s.One.Do(t, one).OK(t)
	for _, a := range s.Mates {
		a.Do(t, a.Call("DEL")).OK(t)
	}
}

// begin makes a scene without containers.
func begin(t testing.TB, f Family) *Scene {
	t.Helper()
	if f.IfName == "" {
		f.IfName = "eth0"
	}
	s := &Scene{Node: nettest.Host(t), Family: f, t: t}
	if f.host != nil {
		f.host(t, s.Node)
	}
	return s
}

func (s *Scene) attachment(name string) *Attachment {
	a := &Attachment{scene: s, c: s.Container(name)}
	if s.container != nil {
		a.more = s.container(s, a.c)
	}
	return a
}

// Call is a verb with all that a runtime has to say.
func (a *Attachment) Call(verb string) nettest.Call {
	conf := a.scene.conf.with(a.more)
	if a.prev != nil && verb != "ADD" {
		conf["prevResult"] = a.prev
	}
	if verb == "GC" {
		conf["cni.dev/valid-attachments"] = append([]Conf{}, a.scene.kept...)
		return nettest.Call{Command: verb, Config: conf.bytes(), Path: a.scene.plugins(), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}}
	}
	return nettest.Call{Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: a.scene.IfName, Path: a.scene.plugins(), Config: conf.bytes()}
}

// nowhere is the CNI_PATH where no plugin is to be asked.
const nowhere = "/nowhere"

// plugins is the CNI_PATH: of a network with another IPAM plugin where that is, else none.
func (s *Scene) plugins() string {
	section, _ := s.conf["ipam"].(Conf)
	name, _ := section["type"].(string)
	if name == "" || name == "patchbay" {
		return nowhere
	}
	return filepath.Dir(nettest.Program(s.t, name))
}

// CallByName is a DEL with nothing but the name: no namespace, no prevResult, no keys; another IPAM
// plugin has its own, without which it frees nothing.
func (a *Attachment) CallByName() nettest.Call {
	call := a.Call("DEL")
	call.Netns = ""
	conf := Conf{"cniVersion": "1.1.0", "name": a.scene.conf["name"], "type": "patchbay"}
	if a.scene.plugins() != nowhere {
		conf["ipam"] = a.scene.conf["ipam"]
	}
	call.Config = conf.bytes()
	return call
}

// Do makes a call, not stepped, and keeps the result of an ADD for the calls that follow.
func (a *Attachment) Do(t testing.TB, call nettest.Call) nettest.Answer {
	t.Helper()
	answer := a.scene.CNI(t, call)
	a.keep(call, answer)
	return answer
}

func (a *Attachment) keep(call nettest.Call, answer nettest.Answer) {
	if call.Command == "ADD" && answer.Exit == 0 {
		a.prev = answer.Stdout
	}
	a.scene.late = a.scene.late || ranOutOfTime(answer)
}

// Step makes a call under the stepper.
func (a *Attachment) Step(t testing.TB, call nettest.Call, watch func(stepper.Step) stepper.Act) (stepper.Ending, nettest.Answer) {
	t.Helper()
	program := stepper.Program{Path: nettest.Patchbay(t), Stdin: call.Config, Env: environ(call)}
	var ending stepper.Ending
	var err error
	a.scene.Do(func() { ending, err = stepper.Run(program, watch) })
	if err != nil {
		t.Fatalf("step %s: %v", call.Command, err)
	}
	if ending.TimedOut {
		t.Fatalf("%s did not end:\n%s", call.Command, ending.Stderr)
	}
	answer := nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
	a.keep(call, answer)
	return ending, answer
}

func environ(call nettest.Call) []string {
	env := []string{"CNI_COMMAND=" + call.Command, "CNI_PATH=" + call.Path}
	if call.ContainerID != "" {
		env = append(env, "CNI_CONTAINERID="+call.ContainerID, "CNI_NETNS="+call.Netns, "CNI_IFNAME="+call.IfName)
	}
	return env
}

// Clean is the attachment oracle, and what it cannot tell: a route to a container's own address
// on a bridge that is new and may have routes. The sticky memory is scaffolding, and so is a
// temporary file of it that a death has left: its next writer writes it anew.
func (s *Scene) Clean(t testing.TB) {
	t.Helper()
	s.torn(t)
	if s.late {
		s.Allow("flow ")
	}
	s.NoLeaks(t)
	s.undisturbed(t)
	s.NoOracle("it has judged; what is called after that is judged here again")
	if s.Family.Name != "single addresses" {
		return
	}
	for line := range strings.Lines(s.Snapshot().String()) {
		if hostRoute().MatchString(line) {
			t.Errorf("left behind: %s", line)
		}
	}
}

// torn removes what host-local v1.9.1 leaves where it dies between making the file of an address and
// writing into it: an empty file, which it never frees. It dies with the plugin.
func (s *Scene) torn(t testing.TB) {
	t.Helper()
	if s.plugins() != nowhere {
		s.Run(t, "find", "/var/lib", "-path", "/var/lib/cni/networks/*[.:]*", "!", "-name", "last_*", "-type", "f", "-empty", "-delete")
	}
}

// hostRoute is a route to one of the family "single addresses", in the form of a picture.
func hostRoute() *regexp.Regexp {
	return regexp.MustCompile(`^route .*\b(10\.9\.0\.[56]|fd00:9::[56])\b`)
}

// Stable is the text of a call without what differs between runs.
func (s *Scene) Stable(text string) string {
	for _, a := range append([]*Attachment{s.One}, s.Mates...) {
		text = strings.ReplaceAll(text, a.c.ID(), strings.ToUpper(a.c.Name()))
	}
	if strings.HasPrefix(text, "symlink ") { // a mark leads nowhere: where to says which file it is about, and when it was made
		text, _, _ = strings.Cut(text, " to ")
	}
	return regexp.MustCompile(`\bveth[a-z2-7]{11}\b`).ReplaceAllString(text, "VETH")
}
