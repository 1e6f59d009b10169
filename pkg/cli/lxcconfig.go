package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// What enable writes into a container's configuration, and disable takes out again.
const (
	lxcBegin    = "# patchbay begin: patchbay lxc disable NAME takes this out, up to the line that ends it"
	lxcBeginCut = "# patchbay begin: patchbay lxc disable NAME takes this out, up to the line that ends it (the line above had no end)"
	lxcEnd      = "# patchbay end"
	lxcAside    = "# patchbay set this aside: "
)

// ErrLXCNet is wrapped where the container's configuration wants another network than ours.
var ErrLXCNet = errors.New("LXC would make the network itself")

// LXCLines are the lines that call a program for a container's network.
type LXCLines struct {
	Hook  string // the command of the hooks
	Force bool   // set lines of lxc.net.0 aside instead of refusing
}

// Enable returns a configuration with the lines in it, in the place where they are already, else at the
// end. What is there of lxc.net.0 and is not type empty is an error that wraps ErrLXCNet.
func (l LXCLines) Enable(text string) (string, error) {
	before, _, after, err := cutLXCBlock(text)
	if err != nil {
		return "", err
	}
	if l.Force {
		before, after = setLXCNetAside(before), setLXCNetAside(after)
	}
	ours := strings.Count(text, "\n") - strings.Count(before+after, "\n")
	typed, err := lxcNetType(before + strings.Repeat("\n", max(0, ours)) + after) // lines count as in the file
	if err != nil {
		return "", err
	}
	begin := lxcBegin
	if before != "" && !strings.HasSuffix(before, "\n") {
		before, begin = before+"\n", lxcBeginCut
	}
	block := []string{begin}
	if !typed {
		block = append(block, "lxc.net.0.type = empty")
	}
	for _, hook := range []string{"start-host", "stop", "destroy"} {
		block = append(block, "lxc.hook."+hook+" = "+l.Hook)
	}
	return before + strings.Join(append(block, lxcEnd), "\n") + "\n" + after, nil
}

// DisableLXC returns a configuration without the lines, as it was before.
func DisableLXC(text string) (string, error) {
	before, found, after, err := cutLXCBlock(text)
	if err != nil || !found {
		return text, err
	}
	var out strings.Builder
	for line := range strings.Lines(before + after) {
		out.WriteString(strings.TrimPrefix(line, lxcAside))
	}
	return out.String(), nil
}

// cutLXCBlock finds our lines between those of others. A newline that was written before them is not in before.
func cutLXCBlock(text string) (before string, found bool, after string, err error) {
	lines := slices.Collect(strings.Lines(text))
	first := slices.IndexFunc(lines, func(line string) bool { return isLine(line, lxcBegin) || isLine(line, lxcBeginCut) })
	if first < 0 {
		return text, false, "", nil
	}
	last := slices.IndexFunc(lines[first:], func(line string) bool { return isLine(line, lxcEnd) })
	if last < 0 {
		return "", true, "", fmt.Errorf("line %d begins what patchbay wrote, and no line %q ends it: take it out by hand", first+1, lxcEnd)
	}
	before, after = strings.Join(lines[:first], ""), strings.Join(lines[first+last+1:], "")
	if isLine(lines[first], lxcBeginCut) && after == "" {
		before = strings.TrimSuffix(before, "\n")
	}
	return before, true, after, nil
}

func isLine(line, want string) bool { return strings.TrimRight(line, "\r\n") == want }

// lxcNetType reports whether a configuration says that LXC is to make nothing but a namespace of its own.
func lxcNetType(text string) (typed bool, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		key, value := lxcKey(line)
		if key == "lxc.net.0.type" && value == "empty" {
			typed = true
			continue
		}
		switch {
		case key == "lxc.net.0.type" && value == "none":
			err = fmt.Errorf("line %d has lxc.net.0.type = none, the host's own network: take it out, or set it to empty, or let --force set it aside", number)
		case key == "lxc.net.0.type" || key == "lxc.net.0.link":
			err = fmt.Errorf("%w: line %d has %s = %s: take out the lines of lxc.net.0, or let --force set them aside", ErrLXCNet, number, key, value)
		}
		if err != nil {
			return false, err
		}
	}
	return typed, nil
}

// lxcKey is the key and the value of a line; "" of a comment and an empty one.
func lxcKey(line string) (key, value string) {
	key, value, _ = strings.Cut(line, "=")
	if key = strings.TrimSpace(key); strings.HasPrefix(key, "#") {
		return "", ""
	}
	return key, strings.TrimSpace(value)
}

// setLXCNetAside turns the lines of lxc.net.0 into comments that disable knows; type empty stays.
func setLXCNetAside(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		key, value := lxcKey(line)
		if strings.HasPrefix(key, "lxc.net.0.") && (key != "lxc.net.0.type" || value != "empty") {
			out.WriteString(lxcAside)
		}
		out.WriteString(line)
	}
	return out.String()
}

// Edit changes the container's configuration, whole or not at all; false if it is as it should be.
// Mode and owner stay, and a symbolic link leads to the file as before.
func (c LXC) Edit(change func(string) (string, error)) (changed bool, err error) {
	path, err := filepath.EvalSymlinks(c.ConfigPath())
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	want, err := change(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if want == string(text) {
		return false, nil
	}
	return true, replaceFile(path, want)
}

// replaceFile puts another text in the place of a file's.
func replaceFile(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // which the rename has taken, if all went well
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = f.Chmod(info.Mode())
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
