package explain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Step is a step of ADD, with its commands.
type Step struct {
	Name     string    `json:"step"` // as the log has it; "namespace" for what comes before ADD
	Commands []Command `json:"commands"`
	Picture  []string  `json:"picture,omitempty"` // lines of the host after the step, as topo.Draw draws it
}

// Runs reports whether a command of the step is to be run: others only say what has none.
func (s Step) Runs() bool {
	return slices.ContainsFunc(s.Commands, func(c Command) bool { return len(c.Argv) > 0 })
}

// Command is one command.
type Command struct {
	Why   string   `json:"why"`             // one sentence without a full stop
	Argv  []string `json:"argv"`            // empty if nothing is to be run
	Stdin string   `json:"stdin,omitempty"` // what the program reads
}

// ErrUnprintable is about a state that the commands do not make, or a name that cannot be part of a command.
var ErrUnprintable = errors.New("cannot be printed as a script")

// end is the delimiter of what a command of a script reads. No line of nft(8) or of resolv.conf(5) consists of it.
const end = "END"

// Text returns the command for a POSIX shell, with what it reads as a here-document.
func (c Command) Text() (string, error) {
	line := printable.Command(c.Argv...)
	if strings.HasPrefix(line, "#") {
		return "", fmt.Errorf("%w: %s", ErrUnprintable, strings.TrimPrefix(line, "# no command is offered: "))
	}
	if c.Stdin != "" {
		line += " <<'" + end + "'\n" + c.Stdin + end
	}
	return line, nil
}

// Text returns the commands of steps, each below the line that says why, and the picture of each step below its commands. Further lines
// say what is not printed. It is a script unless there are pictures.
func Text(steps []Step, unprinted []string) (string, error) { return textOf(steps, unprinted, "") }

// textOf begins the lines of pictures with a prefix.
func textOf(steps []Step, unprinted []string, prefix string) (string, error) {
	var b strings.Builder
	for _, s := range steps {
		text, err := s.text(prefix)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	for _, what := range unprinted {
		b.WriteString(printable.Comment("not printed: "+what) + "\n")
	}
	return b.String(), nil
}

// text returns the commands and the picture of one step.
func (s Step) text(prefix string) (string, error) {
	var b strings.Builder
	for _, c := range s.Commands {
		b.WriteString(printable.Comment(s.Name+": "+c.Why) + "\n")
		if len(c.Argv) == 0 {
			continue
		}
		text, err := c.Text()
		if err != nil {
			return "", err
		}
		b.WriteString(text + "\n")
	}
	for _, line := range s.Picture {
		b.WriteString(prefix + line + "\n")
	}
	return b.String(), nil
}

// Script returns a script for a POSIX shell that makes the state; head is its first comment. The error wraps ErrUnprintable if it
// would not be all of it.
func Script(head string, steps []Step, unprinted []string) (string, error) {
	if len(unprinted) > 0 {
		return "", fmt.Errorf("%w: %s", ErrUnprintable, unprinted[0])
	}
	text, err := textOf(steps, nil, "# ")
	if err != nil {
		return "", err
	}
	return "#!/bin/sh\n" + head + "\n# Written by patchbay explain, to be run as root. It writes no record.\nset -eu\n" + text, nil
}
