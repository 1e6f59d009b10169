package lxc

import (
	"os"
	"path/filepath"
	"strings"
)

// Running returns the PIDs of the init processes of root's running containers, by container name. proc
// is the mount point of procfs. Two containers of one name in different directories have two PIDs.
//
// LXC puts the processes of such a container into a cgroup of its name below the cgroup of the host's
// init, where only root can create one; its init is process 1 in a PID namespace of its own.
func Running(proc string) map[string][]string {
	found := map[string][]string{}
	bases := cgroupBases(proc)
	processes, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "cgroup"))
	for _, path := range processes {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		name := containerOf(string(text), bases)
		if name != "" && isInit(filepath.Dir(path)) {
			found[name] = append(found[name], filepath.Base(filepath.Dir(path)))
		}
	}
	return found
}

// cgroupBases returns the cgroup of the host's init in each hierarchy. Containers of root are below it;
// those of a user are below a cgroup that systemd delegated to that user.
func cgroupBases(proc string) map[string]string {
	bases := map[string]string{}
	text, _ := os.ReadFile(filepath.Join(proc, "1", "cgroup"))
	for line := range strings.Lines(string(text)) {
		if hierarchy, path, ok := parseCgroup(line); ok {
			bases[hierarchy] = strings.TrimSuffix(strings.TrimSuffix(path, "/init.scope"), "/")
		}
	}
	return bases
}

// parseCgroup reads a line of cgroups(7): "4:cpu,cpuacct:/lxc/web", in the unified hierarchy "0::/lxc.payload.web".
func parseCgroup(line string) (hierarchy, path string, ok bool) {
	parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
	if len(parts) < 3 {
		return "", "", false
	}
	return parts[0], parts[2], true
}

// containerOf returns the name of root's container that a process with these cgroups belongs to, "" if
// none: of "/lxc.payload.web/init.scope", or "/lxc/web" before LXC 4.0, below the base of the hierarchy.
func containerOf(cgroups string, bases map[string]string) string {
	for line := range strings.Lines(cgroups) {
		hierarchy, path, _ := parseCgroup(line)
		below, isBelow := strings.CutPrefix(path, bases[hierarchy])
		for _, prefix := range []string{"/lxc.payload.", "/lxc/"} {
			if rest, ok := strings.CutPrefix(below, prefix); ok && isBelow {
				name, _, _ := strings.Cut(rest, "/")
				return name
			}
		}
	}
	return ""
}

// isInit reads "NSpid:	4711	1" of proc(5): the PID in each namespace, the innermost last.
func isInit(process string) bool {
	text, _ := os.ReadFile(filepath.Join(process, "status"))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			pids := strings.Fields(rest)
			return len(pids) == 2 && pids[1] == "1"
		}
	}
	return false
}
