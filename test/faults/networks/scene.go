package networks

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Scene is a host with containers of one family, not attached yet. What the family prepares on the host is part of the leak oracle's
// baseline.
type Scene struct {
	*nettest.Node
	Family
	One   *Attachment
	Mates []*Attachment // the other containers of a group
	Next  *Attachment   // nil unless NewWithNext made the scene

	t    testing.TB
	kept []cni.Conf // valid attachments of every GC
	late bool       // a verb did not end flows in time, see flowsTimedOut
}

// Attachment is one container on the network.
type Attachment struct {
	scene *Scene
	c     *nettest.Container
	more  cni.Conf        // keys that its configuration adds to the network's
	prev  json.RawMessage // what ADD printed
	// result is what ADD of the main plugin printed; nil before it and after its DEL.
	result json.RawMessage
}

// New creates a scene. It exists until t ends.
func New(t testing.TB, f Family) *Scene {
	t.Helper()
	s := begin(t, f)
	s.populate()
	s.ready(t)
	return s
}

// NewWithNext creates a scene with one more container, Next.
func NewWithNext(t testing.TB, f Family) *Scene {
	t.Helper()
	s := begin(t, f)
	s.populate()
	s.Next = s.attachment("next")
	s.ready(t)
	return s
}

// ready takes the baseline, and then attaches every container by the main plugin of the list, if the family has one.
func (s *Scene) ready(t testing.TB) {
	t.Helper()
	s.Baseline()
	for _, a := range s.all() {
		a.attachMain(t)
	}
}

// all returns the attachments but those that neighbour made.
func (s *Scene) all() []*Attachment {
	all := append([]*Attachment{s.One}, s.Mates...)
	if s.Next != nil {
		all = append(all, s.Next)
	}
	return all
}

func (s *Scene) populate() {
	s.One = s.attachment("one")
	for _, name := range s.Family.mates {
		s.Mates = append(s.Mates, s.attachment(name))
	}
}

// Attach calls ADD for every container but Next. If the family has lost its records, it deletes them, and makes the address files older
// than the GC that follows.
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

// Detach calls DEL for every container but Next, with the given call for One.
func (s *Scene) Detach(t testing.TB, one nettest.Call) {
	t.Helper()
	s.One.Do(t, one).OK(t)
	s.One.detachMain(t)
	for _, a := range s.Mates {
		a.Do(t, a.Call("DEL")).OK(t)
	}
}

// begin creates a scene without containers.
func begin(t testing.TB, f Family) *Scene {
	t.Helper()
	if f.IfName == "" {
		f.IfName = "eth0"
	}
	s := &Scene{Node: nettest.Host(t), Family: f, t: t}
	if f.theirs {
		s.Bridge(theirs, "10.1.0.1/24", "fd00:1::1/64")
	}
	if f.host != nil {
		f.host(t, s.Node)
	}
	return s
}

func (s *Scene) attachment(name string) *Attachment {
	a := s.prepared(name)
	if s.container != nil {
		a.more = a.more.With(s.container(s, a.c))
	}
	return a
}

// prepared creates a container, with the interface that another main plugin made if the family has one.
func (s *Scene) prepared(name string) *Attachment {
	a := &Attachment{scene: s, c: s.Container(name)}
	if s.theirs {
		a.more = s.attachTheirs(a.c)
	}
	return a
}

// Call returns the call of a verb with everything that a runtime passes.
func (a *Attachment) Call(verb string) nettest.Call {
	conf := a.scene.conf.With(a.more)
	if a.prev != nil && verb != "ADD" {
		conf["prevResult"] = a.prev
	}
	if verb == "GC" {
		conf["cni.dev/valid-attachments"] = append([]cni.Conf{}, a.scene.kept...)
		return nettest.Call{Command: verb, Config: conf.JSON(a.scene.t), Path: a.scene.plugins(), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}}
	}
	return nettest.Call{Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: a.scene.IfName, Path: a.scene.plugins(), Config: conf.JSON(a.scene.t)}
}

// nowhere is the CNI_PATH if no other plugin is called.
const nowhere = "/nowhere"

// plugins returns the CNI_PATH: the directory of the network's other main or IPAM plugin, or nowhere.
func (s *Scene) plugins() string {
	name, _ := s.conf["type"].(string)
	if name == "patchbay" {
		name = s.otherIPAM()
	}
	if name == "" || s.isByName() {
		return nowhere
	}
	return filepath.Dir(nettest.Program(s.t, name))
}

// otherIPAM returns the delegated IPAM plugin, or "".
func (s *Scene) otherIPAM() string {
	section, _ := s.conf["ipam"].(cni.Conf)
	name, _ := section["type"].(string)
	if name == "patchbay" {
		return ""
	}
	return name
}

// CallByName returns a DEL with the network's name only: no namespace, no prevResult, no keys but those of a delegated IPAM plugin, which
// cannot release addresses without them.
func (a *Attachment) CallByName() nettest.Call {
	call := a.Call("DEL")
	call.Netns = ""
	conf := cni.Conf{"cniVersion": "1.1.0", "name": a.scene.conf["name"], "type": "patchbay"}
	if a.scene.isByName() {
		conf["type"] = a.scene.conf["type"]
	}
	if a.scene.otherIPAM() != "" {
		conf["ipam"] = a.scene.conf["ipam"]
	}
	call.Config = conf.JSON(a.scene.t)
	return call
}

// Do makes a call without the stepper and keeps the result of an ADD for the calls that follow.
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
	if call.Command == "DEL" && a.scene.moves {
		a.scene.Allow("container " + a.c.Name() + ": route table 254 ")
	}
	a.scene.late = a.scene.late || flowsTimedOut(answer)
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

// Clean runs the leak oracle for attachments, and checks what the oracle cannot: host routes to container addresses on a new bridge.
// Files of sticky addresses are not part of an attachment, nor is a temporary file of them, which the next writer replaces.
func (s *Scene) Clean(t testing.TB) {
	t.Helper()
	s.torn(t)
	for _, a := range s.all() {
		a.detachMain(t)
	}
	if s.late {
		s.Allow("flow ")
	}
	s.NoLeaks(t)
	s.keepsNeighbour(t)
	s.NoOracle("the scene was checked; Clean checks it again after further calls")
	if s.Family.Name != "single addresses" {
		return
	}
	for line := range strings.Lines(s.Snapshot().String()) {
		if hostRoute().MatchString(line) {
			t.Errorf("left behind: %s", line)
		}
	}
}

// torn removes the empty address file that host-local v1.9.1 leaves behind and never releases if it is killed between creating the file
// and writing it. It is killed with Patchbay.
func (s *Scene) torn(t testing.TB) {
	t.Helper()
	if s.plugins() != nowhere {
		s.Run(t, "find", "/var/lib", "-path", "/var/lib/cni/networks/*[.:]*", "!", "-name", "last_*", "-type", "f", "-empty", "-delete")
	}
}

// hostRoute matches a line of a snapshot: a host route of the family "single addresses".
func hostRoute() *regexp.Regexp {
	return regexp.MustCompile(`^route .*\b(10\.9\.0\.[56]|fd00:9::[56])\b`)
}

// Stable returns the text of a call without the parts that differ between runs.
func (s *Scene) Stable(text string) string {
	for _, a := range append([]*Attachment{s.One}, s.Mates...) {
		text = strings.ReplaceAll(text, a.c.ID(), strings.ToUpper(a.c.Name()))
	}
	if strings.HasPrefix(text, "symlink ") { // the target of a mark is no path: it has the inode and time of its file
		text, _, _ = strings.Cut(text, " to ")
	}
	text = regexp.MustCompile(`\bifb[a-z2-7]{11}\b`).ReplaceAllString(text, "IFB")
	return regexp.MustCompile(`\bveth[a-z2-7]{11}\b`).ReplaceAllString(text, "VETH")
}
