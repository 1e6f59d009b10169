package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// output is the output format of a command.
type output struct {
	format string   // text, json or one of others
	isJSON bool     // --json
	others []string // more formats of this command

	bare bool // --no-headers
}

// registerListing registers the flags of a command that prints a list.
func (o *output) registerListing(flags *flag.FlagSet) {
	o.registerOutput(flags, "yaml", "table", "name")
	flags.BoolVar(&o.bare, "no-headers", false, "leave out the first line of a table")
}

// listing is what a command can print of a list.
type listing struct {
	objects any           // for JSON and YAML
	names   []string      // what other commands accept, one on a line
	table   string        // with a header line
	list    func() string // instead of the table where that is wider than width; nil to print the table all the same
	width   int           // 0 for that of the terminal
}

// print prints a list in the format that was asked for; an unknown one is an error, which chosen has returned before.
func (o *output) print(out io.Writer, l listing) error {
	if o.bare {
		_, l.table, _ = strings.Cut(l.table, "\n")
	}
	format, err := o.chosen()
	switch {
	case err != nil:
		return err
	case format == "json":
		return printJSON(out, l.objects)
	case format == "yaml":
		return printYAML(out, l.objects)
	case format == "name":
		for _, name := range l.names {
			sayLine(out, "%s", name)
		}
		return nil
	case format == "table" || l.list == nil:
		_, err := io.WriteString(out, l.table)
		return err
	}
	return printFitting(out, l.width, l.table, l.list)
}

// namesOf returns a name of each.
func namesOf[T any](all []T, name func(T) string) []string {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = name(one)
	}
	return names
}

// registerOutput registers the flags of the output format: text, json and others.
func (o *output) registerOutput(flags *flag.FlagSet, others ...string) {
	o.others = others
	flags.StringVar(&o.format, "output", "text", "output format: "+o.formats())
	flags.StringVar(&o.format, "o", "text", "short for --output")
	flags.BoolVar(&o.isJSON, "json", false, "short for --output json")
}

// formats returns the formats for a sentence: "text, json or svg".
func (o *output) formats() string {
	all := append([]string{"text", "json"}, o.others...)
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// chosen returns the format. An error is an unknown one.
func (o *output) chosen() (string, error) {
	switch {
	case o.format != "text" && o.format != "json" && !slices.Contains(o.others, o.format):
		return "", fmt.Errorf("--output: unknown format %q: use %s", o.format, o.formats())
	case o.isJSON:
		return "json", nil
	}
	return o.format, nil
}

// wantsJSON reports whether the output of a command without other formats is JSON. An error is an unknown format.
func (o *output) wantsJSON() (bool, error) {
	format, err := o.chosen()
	return format == "json", err
}
