package readme

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestReadme runs every transcript of README as a script of its own, each in a host of its own that
// has what the section Install puts there.
func TestReadme(t *testing.T) {
	nettest.Root(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := Transcripts(string(text))
	if err != nil || len(blocks) < 2 {
		t.Fatalf("%d transcripts in README: %v", len(blocks), err)
	}
	for _, steps := range blocks {
		t.Run(fmt.Sprintf("line%d", steps[0].Line), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "readme.txtar"), script(steps), 0o600); err != nil {
				t.Fatal(err)
			}
			s := newShell(t, installed(t))
			testscript.Run(t, testscript.Params{Dir: dir, Cmds: map[string]func(*testscript.TestScript, bool, []string){"readme": s.step}})
		})
	}
}

// script is a transcript as testscript has it: a line for each command, and files with the commands
// and what they print.
func script(steps []Step) []byte {
	a := &txtar.Archive{}
	for i, s := range steps {
		command, output := fmt.Sprintf("command%d", i), fmt.Sprintf("output%d", i)
		a.Comment = fmt.Appendf(a.Comment, "# README.md:%d\nreadme %s %s\n", s.Line, command, output)
		a.Files = append(a.Files,
			txtar.File{Name: command, Data: []byte(s.Command + "\n")},
			txtar.File{Name: output, Data: []byte(strings.Join(append(s.Output, ""), "\n"))})
	}
	return txtar.Format(a)
}

// installed is a host after the section Install, and with the cnitool of the first example. /etc,
// /opt and /usr/local are its own.
func installed(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	cnitool, root := nettest.Program(t, "cnitool"), "../.."
	for _, dir := range []string{"/etc", "/opt", "/usr/local"} {
		own := "/run/own" + dir
		h.Run(t, "mkdir", "-p", own+"/upper", own+"/work")
		h.Run(t, "mount", "-t", "overlay", "overlay", "-o", "lowerdir="+dir+",upperdir="+own+"/upper,workdir="+own+"/work", dir)
	}
	h.Run(t, "install", "-D", "-m", "0755", nettest.Patchbay(t), "/opt/cni/bin/patchbay")
	h.Run(t, "rm", "-rf", "/etc/cni/net.d")
	h.Run(t, "install", "-D", "-m", "0644", root+"/conf/bridge.conflist", "/etc/cni/net.d/10-bridge.conflist")
	h.Run(t, "ln", "-sf", "/opt/cni/bin/patchbay", "/usr/local/bin/patchbay")
	h.Run(t, "install", "-m", "0755", cnitool, "/usr/local/bin/cnitool")
	// As sudo does by default, it keeps nothing of the environment but the locale.
	h.Run(t, "sh", "-c", `printf '#!/bin/sh\nexec env -i PATH="$PATH" HOME=/root LANG="$LANG" LC_ALL="$LC_ALL" "$@"\n' >/usr/local/bin/sudo; chmod 0755 /usr/local/bin/sudo`)
	return h
}

// shell is the one that a reader would type into: functions of one command are there for the next.
type shell struct {
	in  io.Writer
	out *bufio.Scanner
}

func newShell(t *testing.T, h *nettest.Node) *shell {
	t.Helper()
	cmd := h.Command("sh")
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // what it did was looked at
	})
	return &shell{in, bufio.NewScanner(out)}
}

// end stands behind the output of a command. No program prints it.
const end = "--- end of a command of README ---"

// step runs a command and compares what it prints.
func (s *shell) step(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readme COMMAND OUTPUT")
	}
	command := ts.ReadFile(args[0])
	if _, err := fmt.Fprintf(s.in, "%s\necho; echo '%s'\n", command, end); err != nil {
		ts.Fatalf("%v", err)
	}
	var got []string
	for s.out.Scan() && s.out.Text() != end {
		got = append(got, s.out.Text())
	}
	if len(got) > 0 && got[len(got)-1] == "" { // the empty line before the end
		got = got[:len(got)-1]
	}
	var want []string
	if text := strings.TrimSuffix(ts.ReadFile(args[1]), "\n"); text != "" {
		want = strings.Split(text, "\n")
	}
	if !Matches(want, got) {
		ts.Fatalf("$ %sprints\n%s\nREADME says\n%s", command, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
