package security

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is one successful system call in the output of strace.
type step struct{ name, args string }

// others lists system calls that have an effect and name no file. With ? strace ignores those that the machine does not have.
func others() []string {
	return []string{
		"?ftruncate", "?fallocate", "?fchmod", "?fchown", "?fsetxattr", "?fremovexattr", "?futimesat",
		"?socket", "?bind", "?connect", "?setns", "?unshare", "?ptrace", "?bpf", "?init_module", "?finit_module", "?delete_module",
		"?process_vm_writev", "?pidfd_getfd", "?keyctl", "?setuid", "?setgid", "?setresuid", "?setresgid", "?capset", "?prctl",
		"?mount_setattr", "?move_mount", "?fsopen", "?open_by_handle_at", "?sethostname", "?syslog", "?perf_event_open", "?io_uring_setup",
	}
}

// quiet lists calls without an effect outside of the process.
func quiet() []string {
	return []string{
		"newfstatat", "fstatat64", "stat", "lstat", "statx", "statfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
		"getcwd", "exit", "exit_group", "prctl", "wait4", "waitid", "arch_prctl", "connect", "pidfd_send_signal",
		"tgkill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	}
}

// parseTrace joins the two parts of interrupted calls and drops failed calls.
func parseTrace(t *testing.T, text string) []step {
	t.Helper()
	unfinished := regexp.MustCompile(`^(\d+) +(.*) <unfinished \.\.\.>$`)
	resumed := regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	whole := regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += (-?\d+|\?)`)
	ended := regexp.MustCompile(`^\d+ +\+\+\+ `)
	halves := map[string]string{}
	var calls []step
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := unfinished.FindStringSubmatch(line); m != nil {
			halves[m[1]] = m[1] + " " + m[2]
			continue
		}
		if m := resumed.FindStringSubmatch(line); m != nil {
			line = halves[m[1]] + m[2]
		}
		if ended.MatchString(line) {
			continue // the end of a thread
		}
		m := whole.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("strace: not a system call: %q", line)
		}
		if !strings.HasPrefix(m[3], "-") {
			calls = append(calls, step{m[1], m[2]})
		}
	}
	return calls
}

// paths returns the quoted strings among the arguments.
func (c step) paths() []string {
	var paths []string
	for _, m := range regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(c.args, -1) {
		path, err := strconv.Unquote(`"` + m[1] + `"`)
		if err != nil {
			path = m[1]
		}
		paths = append(paths, path)
	}
	return paths
}

// deed is an operation and its object.
type deed struct{ what, thing string }

// deeds returns the operations of a call on files; see other for the rest.
func (c step) deeds(t *testing.T) []deed {
	t.Helper()
	what := map[string]string{
		"mkdir": "make", "mkdirat": "make", "unlink": "remove", "unlinkat": "remove", "rmdir": "remove",
	}[c.name]
	paths := c.paths()
	switch {
	case slices.Contains(quiet(), c.name):
		return nil
	case what != "" && len(paths) == 1:
		return []deed{{what, paths[0]}}
	case strings.HasPrefix(c.name, "open") && len(paths) == 1:
		return c.opened(paths[0])
	case strings.HasPrefix(c.name, "symlink") && len(paths) == 2:
		return []deed{{"make", paths[1]}} // the first is text
	case strings.HasPrefix(c.name, "rename") && len(paths) == 2:
		return []deed{{"rename", paths[0]}, {"replace", paths[1]}}
	}
	return c.other(t)
}

// opened returns nothing for a file that is only read.
func (c step) opened(path string) []deed {
	for _, flag := range []string{"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"} {
		if strings.Contains(c.args, flag) {
			return []deed{{"write", path}}
		}
	}
	return nil
}

// other handles calls that name no file or start a program; an unknown call fails the test.
func (c step) other(t *testing.T) []deed {
	t.Helper()
	fd := regexp.MustCompile(`^\d+<(.*?)>`).FindStringSubmatch(c.args)
	switch {
	case c.name == "ftruncate" && fd != nil:
		return []deed{{"write", fd[1]}}
	case c.name == "bind" && (strings.Contains(c.args, "sa_family=AF_NETLINK") || strings.Contains(c.args, "sa_family=AF_PACKET, sll_protocol=htons(ETH_P_")):
		return nil // the socket is a line already
	case c.name == "socket":
		return []deed{{"open", "socket " + strings.NewReplacer("|SOCK_CLOEXEC", "", "|SOCK_NONBLOCK", "", ",", "", " htons(0 /* ETH_P_??? */)", "").Replace(c.args)}}
	case c.name == "setns" && strings.HasSuffix(c.args, "CLONE_NEWNET"):
		return []deed{{"enter", "network namespace of the container"}}
	case strings.HasPrefix(c.name, "execve"):
		return []deed{{"run", "program " + filepath.Base(c.paths()[0])}}
	case strings.HasPrefix(c.name, "clone") && strings.Contains(c.args, "CLONE_THREAD"):
		return nil
	case strings.HasPrefix(c.name, "clone"), c.name == "vfork":
		return []deed{{"start", "process"}}
	}
	t.Errorf("unexpected system call: %s(%s)", c.name, c.args)
	return nil
}
