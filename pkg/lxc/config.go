package lxc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// The comment lines around what Enable writes. They identify the block in configurations that earlier
// versions edited, and stay as they are.
const (
	beginLine      = "# patchbay begin: patchbay lxc disable NAME takes this out, up to the line that ends it"
	beginLineAdded = "# patchbay begin: patchbay lxc disable NAME takes this out, up to the line that ends it (the line above had no end)"
	endLine        = "# patchbay end"
	asidePrefix    = "# patchbay set this aside: "
)

// ErrOtherNetwork is wrapped by errors about a configuration in which LXC creates interface 0 itself.
var ErrOtherNetwork = errors.New("lxc.net.0 is configured")

// Hooks are the lines of a configuration that make LXC call a program for the container's network.
type Hooks struct {
	Command string // command line of the hooks
	Force   bool   // comment out lines of lxc.net.0 instead of refusing
	Hosts   string // path of a file to mount over /etc/hosts of the container; "" for none
}

// Enable returns a configuration with the hooks: in the place of those that are there, else at the end.
// Lines of lxc.net.0 that set more than type empty are an error that wraps ErrOtherNetwork, unless Force.
func (h Hooks) Enable(text string) (string, error) {
	before, _, after, err := cutBlock(text)
	if err != nil {
		return "", err
	}
	if h.Force {
		before, after = commentOutNet(before), commentOutNet(after)
	}
	if h.Hosts != "" && mountsHosts(before+after) {
		return "", errors.New("another lxc.mount.entry mounts over etc/hosts: remove it, or leave out --names")
	}
	ours := strings.Count(text, "\n") - strings.Count(before+after, "\n")
	typed, err := hasTypeEmpty(before + strings.Repeat("\n", max(0, ours)) + after) // line numbers as in the file
	if err != nil {
		return "", err
	}
	begin := beginLine
	if before != "" && !strings.HasSuffix(before, "\n") {
		before, begin = before+"\n", beginLineAdded
	}
	block := []string{begin}
	if !typed {
		block = append(block, "lxc.net.0.type = empty")
	}
	for _, hook := range []string{"start-host", "stop", "destroy"} {
		block = append(block, "lxc.hook."+hook+" = "+h.Command)
	}
	if h.Hosts != "" {
		block = append(block, "lxc.mount.entry = "+h.Hosts+" etc/hosts none bind,ro,create=file,optional 0 0")
	}
	return before + strings.Join(append(block, endLine), "\n") + "\n" + after, nil
}

// Disable returns a configuration as it was before Enable.
func Disable(text string) (string, error) {
	before, found, after, err := cutBlock(text)
	if err != nil || !found {
		return text, err
	}
	var out strings.Builder
	for line := range strings.Lines(before + after) {
		out.WriteString(strings.TrimPrefix(line, asidePrefix))
	}
	return out.String(), nil
}

// cutBlock splits a configuration around the block that Enable wrote. A newline that Enable added to the
// line before the block is not in before.
func cutBlock(text string) (before string, found bool, after string, err error) {
	lines := slices.Collect(strings.Lines(text))
	first := slices.IndexFunc(lines, func(line string) bool { return isLine(line, beginLine) || isLine(line, beginLineAdded) })
	if first < 0 {
		return text, false, "", nil
	}
	last := slices.IndexFunc(lines[first:], func(line string) bool { return isLine(line, endLine) })
	if last < 0 {
		return "", true, "", fmt.Errorf("line %d begins the lines of patchbay, and no line %q ends them: remove them with an editor", first+1, endLine)
	}
	before, after = strings.Join(lines[:first], ""), strings.Join(lines[first+last+1:], "")
	if isLine(lines[first], beginLineAdded) && after == "" {
		before = strings.TrimSuffix(before, "\n")
	}
	return before, true, after, nil
}

func isLine(line, want string) bool { return strings.TrimRight(line, "\r\n") == want }

// hasTypeEmpty reports whether a configuration has lxc.net.0.type = empty, with which LXC creates a
// network namespace with nothing but lo in it. Any other type is an error.
func hasTypeEmpty(text string) (typed bool, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		key, value := cutKey(line)
		if key == "lxc.net.0.type" && value == "empty" {
			typed = true
			continue
		}
		switch {
		case key == "lxc.net.0.type" && value == "none":
			err = fmt.Errorf("line %d has lxc.net.0.type = none, the host's own network: remove the line or set it to empty, or comment it out with --force", number)
		case key == "lxc.net.0.type" || key == "lxc.net.0.link":
			err = fmt.Errorf("%w: line %d has %s = %s: remove the lines of lxc.net.0, or comment them out with --force", ErrOtherNetwork, number, key, printable.Text(value, 64))
		}
		if err != nil {
			return false, err
		}
	}
	return typed, nil
}

// mountsHosts reports whether a configuration mounts something over the container's /etc/hosts.
func mountsHosts(text string) bool {
	for line := range strings.Lines(text) {
		key, value := cutKey(line)
		words := strings.Fields(value)
		if key == "lxc.mount.entry" && len(words) > 1 && strings.Trim(words[1], "/") == "etc/hosts" {
			return true
		}
	}
	return false
}

// cutKey returns the key and the value of a line; the key is "" for a comment and an empty line.
func cutKey(line string) (key, value string) {
	key, value, _ = strings.Cut(line, "=")
	if key = strings.TrimSpace(key); strings.HasPrefix(key, "#") {
		return "", ""
	}
	return key, strings.TrimSpace(value)
}

// commentOutNet turns the lines of lxc.net.0 into comments that Disable turns back; type empty stays.
func commentOutNet(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		key, value := cutKey(line)
		if strings.HasPrefix(key, "lxc.net.0.") && (key != "lxc.net.0.type" || value != "empty") {
			out.WriteString(asidePrefix)
		}
		out.WriteString(line)
	}
	return out.String()
}

// Edit replaces the container's configuration by what change makes of it, atomically; changed is false if
// it stays the same. Mode and owner stay.
//
// The user who owns the container's directory controls what is in it: Edit refuses a configuration that is
// a symbolic link, not a regular file, a second hard link, or root's in a directory of another user, and
// one that is replaced during the edit. Errors wrap those of package safefile.
func (c Container) Edit(change func(string) (string, error)) (changed bool, err error) {
	f, err := safefile.Open(c.ConfigPath(), safefile.Rules{OwnerOfDir: true, SharedGroup: true})
	if err != nil {
		return false, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	text, err := f.Read()
	if err != nil {
		return false, err
	}
	want, err := change(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", printable.Text(c.ConfigPath(), 0), err)
	}
	if want == string(text) {
		return false, nil
	}
	err = f.Replace([]byte(want))
	return err == nil, err
}
