package diagram

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Diagram is a view, or the nodes of a cluster, as boxes and lines. Its boxes and lines have IDs that are words of ASCII letters and digits.
type Diagram struct {
	Host       *Box    // with its bridges; host interfaces are inside their bridges, or of the host if they have none
	Outside    []*Box  // what bridge ports lead to that are not attachments: a LAN, other veth pairs
	Containers []*Box  // network namespaces, with their interfaces
	Lines      []*Line // from a bridge port to what is at its other end
	Notes      []Text  // problems, and what could not be read
}

// Kind is the kind of a box.
type Kind string

// The kinds of boxes.
const (
	KindHost      Kind = "host"
	KindBridge    Kind = "bridge"
	KindPort      Kind = "port"    // the host interface of an attachment, or another bridge port
	KindUplink    Kind = "uplink"  // a bridge port that connects the host to a network
	KindOutside   Kind = "outside" // what a port that is no attachment leads to
	KindContainer Kind = "container"
	KindInterface Kind = "interface" // of a container

	KindNode  Kind = "node"  // another node of a cluster
	KindPath  Kind = "path"  // how nodes are reached
	KindRoute Kind = "route" // to a node
	KindPods  Kind = "pods"  // of a node
)

// holds reports whether boxes of a kind are inside of the host with others inside of them.
func (k Kind) holds() bool { return k == KindBridge || k == KindPath }

// Box is a box with a title, lines of text and boxes inside.
type Box struct {
	ID     string
	Kind   Kind
	Title  string
	Remark string // beside the title, in short: "bridge, mtu 1500"; "" for none
	Group  string // the namespace of the pod of a container; "" for none
	Text   []Text
	Inside []*Box
	Wrong  bool   // it is down, missing, or has a problem
	Facts  []Fact // everything known, for a reader who asks for details
}

// Text is one line of text.
type Text struct {
	Text  string
	Wrong bool
}

// Fact is one detail of a box. A name occurs as often as it has values.
type Fact struct {
	Name, Value string
	Wrong       bool
}

// Line connects two boxes.
type Line struct {
	ID       string
	From, To *Box
	Kind     LineKind
	Label    string // the problems, in short; "" for none
}

// LineKind is the kind of a line.
type LineKind string

// The kinds of lines.
const (
	LineVeth   LineKind = "veth"
	LineDown   LineKind = "down"   // a veth pair without carrier
	LineWrong  LineKind = "wrong"  // a veth pair with a problem
	LineBroken LineKind = "broken" // the host interface does not exist
	LineUplink LineKind = "uplink"
)

// maxName is the greatest length of a name in characters: namespace and name of a pod of Kubernetes have at most 317.
const maxName = 320

// clean returns a text of others on one line.
func clean(text string) string { return printable.Text(text, maxName) }

func (b *Box) say(format string, args ...any) {
	b.Text = append(b.Text, Text{Text: clean(fmt.Sprintf(format, args...))})
}

func (b *Box) warn(text string) {
	b.Text = append(b.Text, Text{Text: clean(text), Wrong: true})
	b.Wrong = true
}

// fact adds a detail, if it has a value.
func (b *Box) fact(name, value string) {
	if value != "" {
		b.Facts = append(b.Facts, Fact{Name: name, Value: printable.Text(value, 0)})
	}
}

// All returns every box of the diagram, each before those inside of it.
func (d *Diagram) All() []*Box {
	var all []*Box
	var add func(b *Box)
	add = func(b *Box) {
		all = append(all, b)
		for _, inside := range b.Inside {
			add(inside)
		}
	}
	for _, b := range d.Outside {
		add(b)
	}
	add(d.Host)
	for _, b := range d.Containers {
		add(b)
	}
	return all
}
