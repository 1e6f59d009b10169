package netconfig

import (
	"fmt"
	"strings"
)

// text is a file that is being written.
type text struct{ strings.Builder }

// heading is the first line of every file.
const heading = "# Written by patchbay bridge create."

// line writes a line.
func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// join joins values with a separator.
func join[T fmt.Stringer](all []T, separator string) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = one.String()
	}
	return strings.Join(words, separator)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
