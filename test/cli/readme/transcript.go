package readme

import (
	"errors"
	"fmt"
	"strings"
)

// Step is a command of a transcript with the output that the page has.
type Step struct {
	Line    int // of the page, from 1
	Command string
	Output  []string
}

// errNoCommand is returned for a block that begins with output.
var errNoCommand = errors.New("transcript without a command: the first line must begin with \"$ \"")

// Transcripts returns the blocks of ```console of a page. In a block "$ " precedes a command, "> " a
// continuation line of the command, and the other lines are its output. It returns errNoCommand for a
// block that begins with output.
func Transcripts(markdown string) ([][]Step, error) {
	var blocks [][]Step
	inside := false
	for i, line := range strings.Split(markdown, "\n") {
		switch {
		case !inside && line == "```console":
			inside, blocks = true, append(blocks, nil)
			continue
		case !inside:
			continue
		case line == "```":
			inside = false
			continue
		}
		steps := &blocks[len(blocks)-1]
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			*steps = append(*steps, Step{Line: i + 1, Command: command})
			continue
		}
		if len(*steps) == 0 {
			return nil, fmt.Errorf("line %d: %w", i+1, errNoCommand)
		}
		step := &(*steps)[len(*steps)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && len(step.Output) == 0 {
			step.Command += "\n" + more
			continue
		}
		step.Output = append(step.Output, line)
	}
	return blocks, nil
}

// Matches reports whether got is the output want, in which a line "..." matches any number of lines,
// and "..." within a line any text.
func Matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "..." {
		for skip := range len(got) + 1 {
			if Matches(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && matchesLine(want[0], got[0]) && Matches(want[1:], got[1:])
}

func matchesLine(want, got string) bool {
	parts := strings.Split(want, "...")
	rest, ok := strings.CutPrefix(got, parts[0])
	if len(parts) == 1 {
		return got == want
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, parts[last])
}
