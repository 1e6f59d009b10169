package diagram

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

func drawn(t *testing.T, v *topo.View) string {
	t.Helper()
	var out strings.Builder
	if err := SVG(&out, Of(v)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// shape is a box of a picture as a reader of the file sees it.
type shape struct {
	class  string
	rect   rect
	texts  []string
	inside []*shape
}

// element is an element of a document.
type element struct {
	Name     xml.Name
	Attrs    map[string]string
	Text     string
	Children []*element
}

// parsed reads a document, which must be well-formed.
func parsed(t *testing.T, text string) *element {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	stack := []*element{{}}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return stack[0]
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, text)
		}
		last := stack[len(stack)-1]
		switch x := token.(type) {
		case xml.StartElement:
			e := &element{Name: x.Name, Attrs: map[string]string{}}
			for _, a := range x.Attr {
				e.Attrs[a.Name.Local] = a.Value
			}
			last.Children = append(last.Children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			last.Text += string(x)
		}
	}
}

func (e *element) number(t *testing.T, name string) int {
	t.Helper()
	n, err := strconv.Atoi(e.Attrs[name])
	if err != nil {
		t.Fatalf("%s of %+v: %v", name, e, err)
	}
	return n
}

// shapes returns the boxes below an element, and reports text that is not inside of its box.
func shapes(t *testing.T, e *element) []*shape {
	t.Helper()
	var all []*shape
	for _, c := range e.Children {
		if c.Name.Local != "g" {
			continue
		}
		s := &shape{class: c.Attrs["class"]}
		for _, part := range c.Children {
			switch part.Name.Local {
			case "rect":
				s.rect = rect{part.number(t, "x"), part.number(t, "y"), part.number(t, "width"), part.number(t, "height")}
			case "text":
				s.texts = append(s.texts, part.Text)
				x, y := part.number(t, "x"), part.number(t, "y")
				right := float64(x) + float64(len([]rune(part.Text)))*7.25
				if x < s.rect.x || right > float64(s.rect.right()) || y-11 < s.rect.y || y+4 > s.rect.bottom() {
					t.Errorf("the text %q at %d,%d, up to %.0f, is not inside of its box %+v", part.Text, x, y, right, s.rect)
				}
			}
		}
		s.inside = shapes(t, c)
		for _, inside := range s.inside {
			if inside.rect.x < s.rect.x || inside.rect.right() > s.rect.right() || inside.rect.y < s.rect.y || inside.rect.bottom() > s.rect.bottom() {
				t.Errorf("%s %q %+v is not inside of %s %q %+v", inside.class, inside.texts, inside.rect, s.class, s.texts, s.rect)
			}
		}
		all = append(all, s)
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.rect.x < b.rect.right() && b.rect.x < a.rect.right() && a.rect.y < b.rect.bottom() && b.rect.y < a.rect.bottom() {
				t.Errorf("%s %q %+v overlaps %s %q %+v", a.class, a.texts, a.rect, b.class, b.texts, b.rect)
			}
		}
	}
	return all
}

func count(all []*shape) int {
	n := len(all)
	for _, s := range all {
		n += count(s.inside)
	}
	return n
}

// withPods is a host with so many pods in three namespaces, and a second network for every tenth.
func withPods(n int) *topo.View {
	v := hostWithMuch()
	for i := range n {
		path := fmt.Sprintf("/run/netns/pod%d", i)
		pod := &store.Pod{Namespace: fmt.Sprint("team-", i%3), Name: fmt.Sprintf("checkout-frontend-with-a-long-name-7d4b9c8f6d-%05x", i*7919)}
		a := attached(100+i, "pods", "cni0", path, "eth0", fmt.Sprintf("10.1.%d.%d/16", i/250, i%250+2))
		a.Record.Pod = pod
		v.Attachments = append(v.Attachments, a)
		if i%10 == 0 {
			v.Attachments = append(v.Attachments, attached(1000+i, "lan", "br0", path, "net1", "192.0.2.7/24"))
		}
		v.Namespaces = append(v.Namespaces, topo.Namespace{Name: pod.Namespace + "/" + pod.Name, Path: path})
	}
	return v
}

// withNamespaces is a host with so many namespaces that no runtime made.
func withNamespaces(n int) *topo.View {
	v := hostWithMuch()
	for i := range n {
		path := fmt.Sprintf("/run/netns/web%d", i)
		v.Attachments = append(v.Attachments, attached(100+i, "laptop", "cni0", path, "eth0", fmt.Sprintf("10.1.%d.%d/16", i/250, i%250+2)))
		v.Namespaces = append(v.Namespaces, topo.Namespace{Name: fmt.Sprint("web", i), Path: path})
	}
	v.Attachments[0].Record.Pod = nil
	return v
}

func hostileView() *topo.View {
	v := hostWithMuch()
	name := strings.Join(hostileNames(), "")
	v.Host.Name, v.Bridges[0].Name, v.Namespaces[0].Name, v.Attachments[0].Network, v.Attachments[0].Link.Name = name, name, name, name, name
	v.Attachments[0].Problems[0], v.Problems[0].Text, v.Attachments[0].HostLink.Name, v.Unseen[0], v.Attachments[0].Record.Policy = name, name, name, name, name
	v.Attachments[0].Bridge, v.Attachments[0].Record.Pod.Namespace = name, name
	return v
}

// TestSVG: in every picture no two boxes overlap, each is inside of its parent, and text is inside of its box; every box and line is drawn,
// and lines go up and down only where no box is.
//
// Claim: `show -o svg` is one document without scripts and references, in which no two boxes overlap and no text leaves its box
func TestSVG(t *testing.T) {
	for name, v := range map[string]*topo.View{"empty": {Host: topo.Host{Name: "lab"}}, "much": hostWithMuch(), "24 pods": withPods(24), "300 pods": withPods(300), "300 namespaces": withNamespaces(300), "hostile": hostileView()} {
		t.Run(name, func(t *testing.T) {
			d := Of(v)
			svg := parsed(t, drawn(t, v)).Children[0]
			all := shapes(t, svg)
			frames, notes := 0, min(len(d.Notes), 1)
			for _, s := range all {
				if s.class == "box group" {
					frames++
				}
			}
			if got, want := count(all), len(d.All())+frames+notes; got != want {
				t.Errorf("%d boxes, want %d", got, want)
			}
			if pods := strings.HasSuffix(name, " pods"); pods && frames < 4 || !pods && frames > 0 {
				t.Errorf("%d frames of namespaces", frames)
			}
			width, height := svg.number(t, "width"), svg.number(t, "height")
			for _, s := range all {
				if s.rect.x < 0 || s.rect.y < 0 || s.rect.right() > width || s.rect.bottom() > height {
					t.Errorf("%s %+v is outside of the picture", s.class, s.rect)
				}
			}
			lines := 0
			for _, c := range svg.Children {
				if c.Name.Local == "path" && strings.HasPrefix(c.Attrs["class"], "line ") {
					lines++
					besideBoxes(t, c.Attrs["d"], all)
				}
			}
			if lines != len(d.Lines) {
				t.Errorf("%d lines, want %d", lines, len(d.Lines))
			}
		})
	}
}

// besideBoxes requires that a line goes up and down where no box is: "M10 20H30V40H50".
func besideBoxes(t *testing.T, path string, boxes []*shape) {
	t.Helper()
	var x1, y1, x, y2, x2 int
	if n, err := fmt.Sscanf(path, "M%d %dH%dV%dH%d", &x1, &y1, &x, &y2, &x2); err != nil || n != 5 {
		if n, err := fmt.Sscanf(path, "M%d %dH%d", &x1, &y1, &x2); err != nil || n != 3 {
			t.Errorf("path %s: %v", path, err)
		}
		return
	}
	for _, s := range boxes {
		if x >= s.rect.x && x <= s.rect.right() && min(y1, y2) <= s.rect.bottom() && max(y1, y2) >= s.rect.y {
			t.Errorf("the line %s goes through %s %q %+v", path, s.class, s.texts, s.rect)
		}
	}
}

// TestSVGOfMany: a picture of 300 pods is no strip, but has the shape of a screen, and each bridge leads to each of its ports.
//
// Claim: `show -o svg` of 300 pods has several columns; a line leads from each bridge to each of its ports, beside the boxes
func TestSVGOfMany(t *testing.T) {
	for name, v := range map[string]*topo.View{"300 pods": withPods(300), "300 namespaces": withNamespaces(300)} {
		t.Run(name, func(t *testing.T) {
			svg := parsed(t, drawn(t, v)).Children[0]
			width, height := svg.number(t, "width"), svg.number(t, "height")
			if height > 5000 || width > 2*height || height > width {
				t.Errorf("the picture is %d wide and %d high", width, height)
			}
			boxes := shapes(t, svg)
			var ends []string
			for _, c := range svg.Children {
				if c.Name.Local == "path" && c.Attrs["class"] == "trunk" {
					ends = append(ends, trunkEnds(t, c.Attrs["d"], boxes)...)
				}
			}
			slices.Sort(ends)
			var want []string
			for _, a := range v.Attachments {
				if a.Bridge != "" {
					want = append(want, a.Record.HostLink)
				}
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, ends); diff != "" {
				t.Errorf("ports at the lines of bridges (-want +got):\n%s", diff)
			}
		})
	}
}

// trunkEnds returns the titles of the ports to which the line of a bridge leads, "M10 20H30V40H50M50 40V90M50 60H70", and requires that it
// begins at a bridge and goes up and down where no box is.
func trunkEnds(t *testing.T, path string, boxes []*shape) (ends []string) {
	t.Helper()
	for i, part := range strings.Split(path, "M")[1:] {
		var x, y, along, at, last int
		switch {
		case i == 0:
			if n, err := fmt.Sscanf(part, "%d %dH%dV%dH%d", &x, &y, &along, &at, &last); n != 5 {
				t.Fatalf("path %s: %v", path, err)
			}
			besideBoxes(t, "M"+part, boxes)
			if b := boxAt(boxes, x, y, rect.right); b == nil || b.class != "box bridge" {
				t.Errorf("the line %s begins at no bridge", path)
			}
		case strings.Contains(part, "V"):
			if n, err := fmt.Sscanf(part, "%d %dV%d", &x, &y, &at); n != 3 {
				t.Fatalf("path %s: %v", path, err)
			}
			besideBoxes(t, fmt.Sprintf("M%d %dH%dV%dH%d", x, y, x, at, x), boxes)
		default:
			if n, err := fmt.Sscanf(part, "%d %dH%d", &x, &y, &at); n != 3 {
				t.Fatalf("path %s: %v", path, err)
			}
			port := boxAt(boxes, at, y, func(r rect) int { return r.x })
			if port == nil || !strings.HasPrefix(port.class, "box port") {
				t.Fatalf("the line %s leads to no port at %d,%d", path, at, y)
			}
			ends = append(ends, port.texts[0])
		}
	}
	return ends
}

// boxAt returns the innermost box with an edge at x, at the height y.
func boxAt(boxes []*shape, x, y int, edge func(rect) int) *shape {
	for _, s := range boxes {
		if in := boxAt(s.inside, x, y, edge); in != nil {
			return in
		}
		if edge(s.rect) == x && y >= s.rect.y && y <= s.rect.bottom() {
			return s
		}
	}
	return nil
}

// TestSVGIsSafe: a picture has only elements and attributes of the drawing; whatever a name is, it is text.
//
// Claim: `show -o svg` is one document without scripts and references, in which no two boxes overlap and no text leaves its box
func TestSVGIsSafe(t *testing.T) {
	elements := []string{"svg", "title", "style", "rect", "g", "text", "path"}
	attributes := []string{"xmlns", "class", "width", "height", "viewBox", "x", "y", "rx", "id", "d"}
	var check func(e *element)
	check = func(e *element) {
		if e.Name.Local != "" && (!slices.Contains(elements, e.Name.Local) || e.Name.Space != "http://www.w3.org/2000/svg") {
			t.Errorf("element %v", e.Name)
		}
		for name := range e.Attrs {
			if !slices.Contains(attributes, name) {
				t.Errorf("attribute %s of %s", name, e.Name.Local)
			}
		}
		if e.Name.Local == "text" && strings.ContainsFunc(e.Text, func(r rune) bool { return (r < ' ' || r > '~') && r != '…' }) {
			t.Errorf("text %q may be wider than it was computed", e.Text)
		}
		for _, c := range e.Children {
			check(c)
		}
	}
	for _, v := range []*topo.View{hostWithMuch(), hostileView(), withPods(60)} {
		svg := drawn(t, v)
		check(parsed(t, svg))
		for _, reference := range []string{"url(", "@import", "href", "<!DOCTYPE", "<!ENTITY"} {
			if strings.Contains(svg, reference) {
				t.Errorf("the picture has %q", reference)
			}
		}
		if n := strings.Count(svg, "prefers-color-scheme: dark"); n != 1 {
			t.Errorf("%d styles for dark desktops", n)
		}
	}
}

// TestSVGNames: pods of one deployment keep names that differ.
//
// Claim: Shortened names in the picture and in tables stay different, and keep the part in which pods of one deployment differ
func TestSVGNames(t *testing.T) {
	seen := map[string]bool{}
	var walk func(all []*shape, frame string)
	walk = func(all []*shape, frame string) {
		for _, s := range all {
			if s.class == "box group" {
				frame = s.texts[0]
			}
			if key := frame + " " + s.texts[0]; strings.HasPrefix(s.class, "box container") {
				if seen[key] {
					t.Errorf("%s is there twice", key)
				}
				seen[key] = true
			}
			walk(s.inside, frame)
		}
	}
	walk(shapes(t, parsed(t, drawn(t, withPods(300))).Children[0]), "")
	if len(seen) < 300 {
		t.Errorf("%d names", len(seen))
	}
}

func BenchmarkSVG300(b *testing.B) {
	v := withPods(300)
	for b.Loop() {
		if err := SVG(io.Discard, Of(v)); err != nil {
			b.Fatal(err)
		}
	}
}
