// Package flagtext writes flags as text for people: a name with its dashes, and the help of a flag.
//
//	flags.VisitAll(func(f *flag.Flag) { flagtext.Print(os.Stdout, f) })
//
// It parses nothing, and needs nothing but the standard library: every program of this project can link it.
package flagtext

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Dashed returns the name of a flag with its dashes: -o, --output.
func Dashed(name string) string {
	name = strings.TrimLeft(name, "-")
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Print writes a flag with its help, as package flag does, but with the dashes of Dashed. Errors of out are not reported.
func Print(out io.Writer, f *flag.Flag) {
	value, usage := flag.UnquoteUsage(f)
	fmt.Fprintf(out, "  %s", Dashed(f.Name))
	if value != "" {
		fmt.Fprintf(out, " %s", value)
	}
	fmt.Fprintf(out, "\n    \t%s", usage)
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
		fmt.Fprintf(out, " (default %q)", f.DefValue)
	}
	fmt.Fprintln(out)
}
