package main

import "strings"

// leastWidth is the width in columns below which no line is wrapped, as in the pictures of package topo.
const leastWidth = 30

// wrapped breaks the lines of a text that are longer than a width, between words where that is possible. What follows of a line is indented by two
// columns more.
func wrapped(text string, width int) string {
	width = max(width, leastWidth)
	var out strings.Builder
	for line := range strings.Lines(text) {
		rest := []rune(strings.TrimSuffix(line, "\n"))
		indent := min(len(rest)-len([]rune(strings.TrimLeft(string(rest), " ")))+2, leastWidth/2)
		for len(rest) > width {
			at := width
			for at > indent && rest[at] != ' ' {
				at--
			}
			if at == indent {
				at = width // a word that is longer than a line
			}
			out.WriteString(strings.TrimRight(string(rest[:at]), " ") + "\n")
			rest = []rune(strings.Repeat(" ", indent) + strings.TrimLeft(string(rest[at:]), " "))
		}
		out.WriteString(string(rest) + "\n")
	}
	return out.String()
}
