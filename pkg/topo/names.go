package topo

import (
	"fmt"
	"slices"
)

// Names shortens the names of a picture so that they stay distinct. Names of pods differ at the end, and those of
// namespaces at the beginning, so the middle is left out.
type Names struct {
	all  []string
	done map[int]map[string]string // by width, and by name
}

// NewNames returns the names that are drawn in one picture.
func NewNames(all []string) *Names {
	all = slices.Clone(all)
	slices.Sort(all)
	return &Names{all: slices.Compact(all), done: map[int]map[string]string{}}
}

// Short returns a name of at most width characters.
func (n *Names) Short(name string, width int) string {
	if len([]rune(name)) <= width {
		return name
	}
	if n.done[width] == nil {
		n.done[width] = n.shorten(width)
	}
	if short, known := n.done[width][name]; known {
		return short
	}
	return cutMiddle([]rune(name), width)
}

// shorten returns the short forms of all names.
func (n *Names) shorten(width int) map[string]string {
	short := map[string]string{}
	for _, name := range n.all {
		short[name] = name
		if runes := []rune(name); len(runes) > width {
			short[name] = cutMiddle(runes, width)
		}
	}
	for _, same := range n.alike(short) {
		at := firstDifference(same)
		for _, name := range same {
			short[name] = cutAround([]rune(name), at, width)
		}
	}
	for _, same := range n.alike(short) {
		for i, name := range same {
			mark := fmt.Sprintf("#%d", i+1)
			short[name] = cutMiddle([]rune(name), max(width-len(mark), 1)) + mark
		}
	}
	return short
}

// alike returns the groups of names with the same short form.
func (n *Names) alike(short map[string]string) [][]string {
	by := map[string][]string{}
	var order []string
	for _, name := range n.all {
		if by[short[name]] == nil {
			order = append(order, short[name])
		}
		by[short[name]] = append(by[short[name]], name)
	}
	var groups [][]string
	for _, look := range order {
		if len(by[look]) > 1 {
			groups = append(groups, by[look])
		}
	}
	return groups
}

// cutMiddle keeps one third at the beginning and two thirds at the end.
func cutMiddle(name []rune, width int) string {
	if len(name) <= width {
		return string(name)
	}
	keep := max(width-1, 0)
	head := keep / 3
	return string(name[:head]) + "…" + string(name[len(name)-(keep-head):])
}

// cutAround keeps the part from a position on, and a little of both ends.
func cutAround(name []rune, at, width int) string {
	const signs = 2
	end := max((width-signs)/4, 0)
	rest := width - signs - 2*end
	at = min(at, len(name)-end-rest)
	if len(name) <= width || at <= end {
		return cutMiddle(name, width)
	}
	return string(name[:end]) + "…" + string(name[at:at+rest]) + "…" + string(name[len(name)-end:])
}

// firstDifference returns the first position at which the names differ.
func firstDifference(same []string) int {
	first := []rune(same[0])
	at := len(first)
	for _, name := range same[1:] {
		other := []rune(name)
		i := 0
		for i < len(first) && i < len(other) && first[i] == other[i] {
			i++
		}
		at = min(at, i)
	}
	return at
}
