package nodeconf

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// look is the state of one Risks.
type look struct {
	Host
	files map[string][]line // that have been read, by path without the root
}

// line is a line of a file without its comment.
type line struct {
	path   string
	number int
	text   string
}

// seen returns the evidence for a line.
func (n line) seen() string { return fmt.Sprintf("%s:%d: %s", n.path, n.number, n.text) }

// read returns the lines of a file that are no comments and not empty; none if it cannot be read.
func (l *look) read(path string) []line {
	if lines, is := l.files[path]; is {
		return lines
	}
	var lines []line
	text, err := safefile.Read(filepath.Join(l.Root, path), safefile.Rules{FollowLinks: true, AnyOwner: true})
	if err == nil {
		number := 0
		for one := range strings.Lines(string(text)) {
			number++
			if one = strings.TrimSpace(one); one != "" && !strings.HasPrefix(one, "#") && !strings.HasPrefix(one, ";") {
				lines = append(lines, line{path, number, one})
			}
		}
	}
	l.files[path] = lines
	return lines
}

// mostFiles limits the files of one directory.
const mostFiles = 1000

// fragments returns the paths of the files of directories, sorted by file name. A file hides those of the same name in
// later directories, as systemd reads them.
func (l *look) fragments(suffix string, dirs ...string) (paths []string) {
	has := map[string]bool{}
	for _, dir := range dirs {
		names, err := safefile.Names(filepath.Join(l.Root, dir), mostFiles)
		if err != nil {
			continue
		}
		for _, name := range names {
			if strings.HasSuffix(name, suffix) && !has[name] {
				has[name] = true
				paths = append(paths, filepath.Join(dir, name))
			}
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	return paths
}

// setting is a key of a section of a file like those of systemd.
type setting struct {
	line
	section, key, value string
}

// settings returns the keys of a file, in order.
func (l *look) settings(path string) (all []setting) {
	section := ""
	for _, n := range l.read(path) {
		if strings.HasPrefix(n.text, "[") {
			section = strings.Trim(n.text, "[]")
			continue
		}
		key, value, is := strings.Cut(n.text, "=")
		if is {
			all = append(all, setting{n, section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

// isYes reports whether a value means yes for systemd and its like.
func isYes(value string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(value))
}

func isNo(value string) bool {
	return slices.Contains([]string{"0", "no", "false", "off"}, strings.ToLower(value))
}

// matches reports whether a name matches one of several patterns of a shell. An exclamation mark before the first
// inverts all, as in systemd.network(5).
func matches(patterns, name string) bool {
	patterns, isNot := strings.CutPrefix(patterns, "!")
	is := slices.ContainsFunc(strings.Fields(patterns), func(pattern string) bool {
		ok, err := filepath.Match(pattern, name)
		return ok && err == nil
	})
	return is != isNot
}

// isActive reports whether a program runs, or is started at boot.
func (l *look) isActive(p program) bool {
	if p.comm == "" && p.unit == "" {
		return true
	}
	if p.comm != "" && l.Running(p.comm) {
		return true
	}
	if p.unit == "" {
		return false
	}
	wanted, _ := filepath.Glob(filepath.Join(l.Root, "etc/systemd/system/*.wants", p.unit))
	return len(wanted) > 0
}

// running returns a function that reports whether a program runs in the network namespace of this process, by its comm.
// It reads /proc once, at the first call. Programs of other namespaces do not change this one.
func running() func(string) bool {
	var all map[string]bool
	return func(program string) bool {
		if all == nil {
			all = programs()
		}
		return all[program]
	}
}

// programs returns the comm of the processes of the table that are in the network namespace of this process.
func programs() map[string]bool {
	all := map[string]bool{}
	known := map[string]bool{}
	for _, p := range table() {
		known[p.comm] = p.comm != ""
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if name := strings.TrimSuffix(string(comm), "\n"); err == nil && known[name] && !all[name] {
			netns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net"))
			all[name] = err == nil && netns == own
		}
	}
	return all
}
