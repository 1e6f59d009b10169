package commands

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/pty"
)

// TestCompletion types the beginning of a name and a tab in each shell: only the namespace with that name is deleted.
//
// Claim: bash, zsh and fish complete commands, options and the names of attachments
func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, start := range map[string][]string{
		"bash": {"bash", "--norc", "--noprofile", "-i"},
		"zsh":  {"zsh", "-f", "-i"},
		"fish": {"fish", "--no-config", "-i"},
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			nettest.Need(t, nettest.Tool(shell))
			l := newLaptop(t)
			l.ok(t, "up", "frontend-of-the-shop", "backend")
			s := l.shell(t, start)
			load := map[string]string{
				"bash": "source <(patchbay completion bash)",
				"zsh":  "autoload -U compinit; compinit -u -D; source <(patchbay completion zsh)",
				"fish": "patchbay completion fish | source",
			}
			s.line(load[shell] + "; echo lo''aded")
			s.await("loaded")
			s.line("patchbay dow\tfro\t; echo do''ne")
			s.await("done")
			s.line("exit")
			_ = s.cmd.Wait()
			expect.Equal(t, "namespaces", l.pins(t), []string{"backend"})
			l.ok(t, "down", "backend")
		})
	}
}

// shell is a shell on a terminal.
type shell struct {
	*testing.T
	terminal *os.File
	cmd      *nettest.Cmd
	seen     []byte
}

func (l *laptop) shell(t *testing.T, argv []string) *shell {
	t.Helper()
	ours, theirs := pty.Open(t, 200, 24)
	dir, home := t.TempDir(), t.TempDir()
	if err := os.Symlink(nettest.Patchbay(t), filepath.Join(dir, "patchbay")); err != nil {
		t.Fatal(err)
	}
	cmd := l.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf, "HOME=" + home, "TERM=dumb", "LC_ALL=C.UTF-8"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	return &shell{T: t, terminal: ours, cmd: cmd}
}

// line types a line.
func (s *shell) line(text string) {
	s.Helper()
	if _, err := s.terminal.WriteString(text + "\r"); err != nil {
		s.Fatal(err)
	}
}

// await reads until the shell prints a text.
func (s *shell) await(text string) {
	s.Helper()
	for !bytes.Contains(s.seen, []byte(text)) {
		part := make([]byte, 4096)
		n, err := s.terminal.Read(part)
		if err != nil {
			s.Fatalf("%v; the shell printed %q", err, s.seen)
		}
		s.seen = append(s.seen, part[:n]...)
	}
	s.seen = nil
}

// TestCompleteWords: what the scripts ask for.
//
// Claim: bash, zsh and fish complete commands, options and the names of attachments
func TestCompleteWords(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "db")
	l.ok(t, "up", "web", "-p", "8080:80")
	expect.Equal(t, "exit of network create", l.run(t, "network", "create", "lab").exit, 0)
	l.Run(t, "ip", "netns", "add", "plain")
	l.Run(t, "ip", "netns", "add", "$(touch x)")
	for line, want := range map[string]string{
		"dow":                       "down",
		"down ":                     "db web",
		"down web ":                 "db",
		"down --conf-dir /x ":       "db web",
		"inspect w":                 "web",
		"attach ":                   "db plain web", // and not the name that a shell would run
		"ls --network ":             "lab patchbay",
		"ls --network la":           "lab",
		"ls --no":                   "--no-headers",
		"ls -o ":                    "json name table text yaml",
		"network ":                  "create ls rm",
		"network rm l":              "lab",
		"completion ":               "bash fish zsh",
		"help stat":                 "status",
		"nosuch ":                   "",
		"ports ":                    "8080/tcp add rm",
		"ports rm web ":             "8080/tcp",
		"show --bridge ":            "patchbay0",
		"bridge delete ":            "patchbay0",
		"bridge create --uplink ":   "lo",
		"bridge create --persist n": "netplan networkd",
		"up ":                       "",
		"up new --publish 80:80 ":   "",
	} {
		words := strings.Split(line, " ")
		got := strings.Fields(l.ok(t, append([]string{"__complete"}, words...)...))
		expect.Equal(t, line, strings.Join(slices.Sorted(slices.Values(got)), " "), want)
	}
	l.refused(t, []string{`no completion for shell "bsh"; did you mean bash?`}, "completion", "bsh")
	l.Run(t, "ip", "netns", "del", "plain")
	l.Run(t, "ip", "netns", "del", "$(touch x)")
	l.ok(t, "down", "web", "db")
	l.ok(t, "network", "rm", "lab")
}

// TestManPages: groff finds nothing to complain about, and every command has a page.
//
// Claim: Each command has a manual page with the text of its help
func TestManPages(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("groff"))
	l := newLaptop(t)
	overview := l.man(t)
	for line := range strings.Lines(l.ok(t, "help")) {
		name, ours := strings.CutPrefix(strings.TrimSpace(line), "patchbay ")
		if !ours || strings.HasPrefix(name, "is ") {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		expect.Contains(t, overview, "patchbay-"+name+"(1)")
		page := strings.Join(strings.Fields(l.man(t, name)), " ")
		for help := range strings.Lines(l.ok(t, "help", name)) {
			if words := strings.Fields(help); len(words) > 0 && strings.HasPrefix(help, "  ") {
				expect.Contains(t, page, words[0])
			}
		}
	}
}

// man returns the manual page of a command as plain text.
func (l *laptop) man(t *testing.T, command ...string) string {
	t.Helper()
	source := l.ok(t, append([]string{"help", "--man"}, command...)...)
	cmd := exec.Command("groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=300n")
	cmd.Stdin = strings.NewReader(source)
	var text, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("groff of %v: %v, %s", command, err, complaints.String())
	}
	return text.String()
}
