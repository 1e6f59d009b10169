package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// output is the output format of a command.
type output struct {
	format string   // text, json or one of others
	isJSON bool     // --json
	others []string // more formats of this command
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
