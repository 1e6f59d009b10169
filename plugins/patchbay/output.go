package main

import (
	"flag"
	"fmt"
)

// output is the output format of a command.
type output struct {
	format string // text or json
	isJSON bool   // --json
}

func (o *output) registerOutput(flags *flag.FlagSet) {
	flags.StringVar(&o.format, "output", "text", "output format: text or json")
	flags.StringVar(&o.format, "o", "text", "short for --output")
	flags.BoolVar(&o.isJSON, "json", false, "short for --output json")
}

// wantsJSON reports whether the output is JSON. An error is an unknown format.
func (o *output) wantsJSON() (bool, error) {
	switch {
	case o.format != "text" && o.format != "json":
		return false, fmt.Errorf("--output: unknown format %q: use text or json", o.format)
	case o.isJSON:
		return true, nil
	}
	return o.format == "json", nil
}
