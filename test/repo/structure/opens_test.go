package structure

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openers are functions that open a file or a directory by its path.
func openers() []string {
	return []string{
		"os.Open", "os.OpenFile", "os.OpenInRoot", "os.OpenRoot", "os.Create", "os.CreateTemp", "os.ReadFile", "os.WriteFile", "os.ReadDir", "os.DirFS",
		"filepath.Glob", "filepath.Walk", "filepath.WalkDir", "fs.ReadFile", "unix.Open", "unix.Openat", "unix.Openat2", "unix.Creat", "syscall.Open",
	}
}

// opens are the places that open something other than by pkg/safefile, and why nothing else than what they expect can
// be there. What a configuration, a user or a container chooses is opened by pkg/safefile.
func opens() map[string]string {
	const (
		proc  = "a file of /proc, which the kernel bounds"
		netns = "the directory of named namespaces is root's, and os.ReadDir opens directories alone (O_DIRECTORY)"
		state = "a directory of state, which CheckSafe and lookAtDirs have looked at: root's alone"
		bound = "a namespace that OpenSandbox has looked at; O_NONBLOCK, should a FIFO be there by now"
	)
	return map[string]string{
		"pkg/identity/names.go unix.Open": "/etc/machine-id is root's; O_NONBLOCK, and 256 bytes of it are read",
		"pkg/store/flock.go unix.Open":    "a file that is open already, by /proc/self/fd; it is locked, not read",
		"pkg/kmod/kmod.go os.Open":        "a file of /proc/sys, which is locked, not read", "pkg/kmod/kmod.go os.ReadFile": "/lib/modules is root's",
		"pkg/cli/program.go os.OpenFile":                 "/dev/tty is the caller's own terminal",
		"pkg/cli/program.go os.ReadDir":                  "/etc/netns/NAME is root's, as ip-netns(8) has it",
		"pkg/cli/program.go unix.Open":                   bound,
		"pkg/cli/resolver.go os.OpenFile":                "O_EXCL: a file that was not there, below /etc/netns, which is root's, as ip-netns(8) has it",
		"pkg/hostnames/lxc.go os.ReadDir":                state,
		"pkg/hostnames/plan.go os.ReadDir":               "/etc/netns is root's, as ip-netns(8) has it",
		"pkg/hostnames/sync.go os.ReadDir":               "the directories of plan.go and lxc.go",
		"pkg/hostbridge/dir.go unix.Openat":              "the lock, below a descriptor of a directory that only root changes; O_NOFOLLOW",
		"pkg/uplink/sysctl.go unix.Open":                 proc,
		"pkg/install/dir.go unix.Openat":                 "below a descriptor of a directory that only root changes; O_NOFOLLOW and O_NONBLOCK, the type is checked on the descriptor, or O_EXCL",
		"pkg/install/programs.go os.Open":                proc,
		"pkg/lxc/running.go filepath.Glob":               proc,
		"pkg/cli/target.go os.ReadDir":                   netns,
		"pkg/lxc/running.go os.ReadFile":                 proc,
		"pkg/delegate/self.go os.Open":                   "the program itself, and one of CNI_PATH that Find has seen to be a regular file; only root installs one there",
		"pkg/firewall/legacy.go os.ReadFile":             proc,
		"pkg/firewall/legacyedit.go unix.Open":           "/run/xtables.lock is iptables-legacy's, in a directory that only root changes; it is locked, not read",
		"pkg/link/list.go os.ReadFile":                   proc,
		"pkg/link/namespaces.go os.ReadDir":              proc,
		"pkg/link/namespaces.go os.ReadFile":             proc,
		"pkg/link/pin.go os.OpenFile":                    "O_EXCL: a file that was not there, in the directory of named namespaces",
		"pkg/link/sandbox.go unix.Open":                  proc,
		"pkg/link/survey.go unix.Open":                   bound,
		"pkg/link/tap.go unix.Open":                      "/dev/net/tun is a device of root's; O_NONBLOCK, should it be something else, and nothing is read",
		"pkg/link/sysctl.go unix.Open":                   proc,
		"pkg/link/tuning_sysctl.go unix.Open":            proc + ": the path is one below /proc/sys/net, without .., and 256 KiB of it are read",
		"pkg/store/bridgenote.go os.ReadDir":             state,
		"pkg/store/dirlock.go os.OpenFile":               state,
		"pkg/store/durable.go os.OpenFile":               state + ", or the one above it; O_DIRECTORY",
		"pkg/store/busy.go os.ReadFile":                  proc,
		"pkg/store/statedirs.go os.ReadDir":              state,
		"pkg/store/netnsnote.go os.ReadDir":              state,
		"pkg/store/network.go os.ReadDir":                state,
		"pkg/store/statefile.go os.OpenFile":             "O_NOFOLLOW and O_NONBLOCK; type, owner and links are looked at on the descriptor, in a directory that only root changes",
		"pkg/store/reclaim.go os.ReadDir":                state,
		"pkg/store/list.go os.DirFS":                     state,
		"pkg/store/list.go os.ReadDir":                   state,
		"pkg/store/record.go unix.Open":                  proc,
		"pkg/topo/gather.go os.ReadDir":                  netns,
		"pkg/watch/watch.go os.ReadDir":                  state,
		"pkg/nodeconf/files.go os.ReadDir":               proc,
		"pkg/nodeconf/files.go os.ReadFile":              proc,
		"pkg/nodeconf/files.go filepath.Glob":            "/etc/systemd/system is root's, and names of its directories are read, no files",
		"plugins/patchbay-lan/host/files.go os.OpenFile": "the lock, in a directory that CheckDir has looked at; O_NOFOLLOW and O_NONBLOCK",
		"plugins/patchbay-lan/host/files.go os.ReadDir":  "the directory of network configurations is root's; os.ReadDir opens directories alone (O_DIRECTORY)",
		"plugins/patchbay-lan/host/files.go os.ReadFile": proc,
		"plugins/patchbay-lan/host/host.go os.ReadDir":   state + "; names are read, no files",
	}
}

// opened names each function that opens something by its path, "FILE os.Open", each once.
func opened(f source) []string {
	var found []string
	ast.Inspect(f.file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := s.X.(*ast.Ident); ok && slices.Contains(openers(), of.Name+"."+s.Sel.Name) {
			found = append(found, f.path+" "+of.Name+"."+s.Sel.Name)
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// TestOpens checks that each place that opens a file has a row that says why it does not use pkg/safefile, and that no row is superfluous.
//
// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestOpens(t *testing.T) {
	left := opens()
	for _, f := range sources(t) {
		if f.isTest() || strings.HasPrefix(f.path, "test/") || strings.HasPrefix(f.path, "scripts/") || f.dir() == "pkg/safefile" || f.dir() == "pkg/nettest" {
			continue
		}
		for _, what := range opened(f) {
			if _, known := opens()[what]; !known {
				t.Errorf("%s: open it by pkg/safefile, or say in the table of opens why another user, a container or a configuration cannot put a FIFO, a link or something endless there", what)
			}
			delete(left, what)
		}
	}
	for what := range left {
		t.Errorf("%s is in the table of opens, and not in the code", what)
	}
}

// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestOpenedFinds(t *testing.T) {
	f := parse(t, "pkg/a/a.go", []byte("package a\n\nfunc f() {\n\tos.ReadFile(\"x\")\n\tg(os.Open)\n\tos.Stat(\"x\")\n\tunix.Open(\"x\", 0, 0)\n\tos.ReadFile(\"y\")\n}\n"))
	want := []string{"pkg/a/a.go os.Open", "pkg/a/a.go os.ReadFile", "pkg/a/a.go unix.Open"}
	if diff := cmp.Diff(want, opened(f)); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
}
