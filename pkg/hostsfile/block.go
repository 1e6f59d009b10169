package hostsfile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The lines around the block. They identify it in files that other versions wrote, and stay as they are.
const (
	beginPrefix = "# BEGIN patchbay "
	beginSuffix = ": written by patchbay; edit only the lines before this one and after END"
	joinedMark  = " (the line above had no end)"
	endLine     = "# END patchbay"
)

// State says whether a file has a block.
type State int

// The states of a block.
const (
	Absent State = iota
	Intact       // as it was written
	Edited       // changed by hand, or without an end: the file must be kept as it is
)

// Text is the content of a hosts file.
type Text struct {
	State  State
	Before string // the lines before the block; all of a file without one
	Body   string // the lines of the block
	After  string // the lines after it

	joined bool // a newline was added to the line before the block
}

// Parse splits the content of a hosts file around the block.
func Parse(content string) Text {
	start := lineWith(content, func(line string) bool { return strings.HasPrefix(line, beginPrefix) })
	if start < 0 {
		return Text{Before: content}
	}
	t := Text{State: Edited, Before: content[:start]}
	head, rest, _ := strings.Cut(content[start:], "\n")
	end := lineWith(rest, func(line string) bool { return strings.TrimRight(line, "\r") == endLine })
	if end < 0 {
		return t
	}
	t.Body = rest[:end]
	_, t.After, _ = strings.Cut(rest[end:], "\n")
	t.joined = head == headOf(t.Body, true)
	isWhole := strings.HasPrefix(rest[end:], endLine+"\n") || rest[end:] == endLine
	if isWhole && (t.joined || head == headOf(t.Body, false)) && !strings.Contains("\n"+t.After, "\n"+beginPrefix) {
		t.State = Intact
	}
	return t
}

// lineWith returns the offset of the first line for which is returns true; -1 if there is none.
func lineWith(content string, is func(string) bool) int {
	offset := 0
	for line := range strings.Lines(content) {
		if is(strings.TrimSuffix(line, "\n")) {
			return offset
		}
		offset += len(line)
	}
	return -1
}

// headOf returns the first line of a block.
func headOf(body string, joined bool) string {
	sum := sha256.Sum256([]byte(body))
	head := beginPrefix + hex.EncodeToString(sum[:6])
	if joined {
		head += joinedMark
	}
	return head + beginSuffix
}

// With returns the content with other lines in the block, which is added at the end if there is none. The body is empty or
// ends with a newline, and has no line that begins or ends a block. The caller has checked that the block is not Edited.
func (t Text) With(body string) string {
	before, joined := t.Before, t.joined
	if t.State == Absent && before != "" && !strings.HasSuffix(before, "\n") {
		before, joined = before+"\n", true
	}
	return before + headOf(body, joined) + "\n" + body + endLine + "\n" + t.After
}

// Without returns the content without the block: as it was before With.
func (t Text) Without() string {
	if t.joined && t.After == "" {
		return strings.TrimSuffix(t.Before, "\n")
	}
	return t.Before + t.After
}

// Outside returns the lines outside the block.
func (t Text) Outside() string { return t.Before + t.After }
