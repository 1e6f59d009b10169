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

// root is the top of the repository.
const root = "../../.."

// TestTranscriptsOfPages runs every transcript of README and docs/ as a script, each in its own host,
// on which the section Install of README has been carried out.
//
// Claim: Transcripts in README and docs/ are what a host prints
func TestTranscriptsOfPages(t *testing.T) {
	nettest.Root(t)
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, root+"/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := Transcripts(string(text))
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		found += len(blocks)
		for _, steps := range blocks {
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(page), steps[0].Line), func(t *testing.T) {
				t.Parallel()
				runTranscript(t, filepath.Base(page), steps)
			})
		}
	}
	if found < 4 {
		t.Errorf("found %d transcripts in README and docs/, want at least 4", found)
	}
}

func runTranscript(t *testing.T, page string, steps []Step) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "transcript.txtar"), script(page, steps), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, installed(t))
	testscript.Run(t, testscript.Params{Dir: dir, Cmds: map[string]func(*testscript.TestScript, bool, []string){"step": s.step}})
}

// script returns a transcript in the form of testscript: a line for each command, and files with the
// commands and their output.
func script(page string, steps []Step) []byte {
	a := &txtar.Archive{}
	for i, s := range steps {
		command, output := fmt.Sprintf("command%d", i), fmt.Sprintf("output%d", i)
		a.Comment = fmt.Appendf(a.Comment, "# %s:%d\nstep %s %s\n", page, s.Line, command, output)
		a.Files = append(a.Files,
			txtar.File{Name: command, Data: []byte(s.Command + "\n")},
			txtar.File{Name: output, Data: []byte(strings.Join(append(s.Output, ""), "\n"))})
	}
	return txtar.Format(a)
}

// installed returns a host on which the section Install of README has been carried out, with the
// cnitool of Quick start. Its /etc, /opt and /usr/local are overlays.
func installed(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	cnitool := nettest.Program(t, "cnitool")
	for _, dir := range []string{"/etc", "/opt", "/usr/local"} {
		own := "/run/own" + dir
		h.Run(t, "mkdir", "-p", own+"/upper", own+"/work")
		h.Run(t, "mount", "-t", "overlay", "overlay", "-o", "lowerdir="+dir+",upperdir="+own+"/upper,workdir="+own+"/work", dir)
	}
	// Remove the machine's own files from the overlays: symbolic links would lead out of them.
	h.Run(t, "rm", "-rf", "/etc/cni", "/etc/netns", "/etc/resolv.conf", "/opt/cni", "/usr/local/bin/patchbay", "/usr/local/bin/cnitool", "/usr/local/bin/sudo")
	h.Run(t, "sh", "-c", "echo nameserver 192.0.2.53 >/etc/resolv.conf")
	// A reader's host has a default route. No transcript uses it, and show does not print this table.
	h.Run(t, "sh", "-ec", "ip route add default dev lo table 77; ip rule add pref 40000 lookup 77")
	h.Baseline()
	h.Run(t, "install", "-D", "-m", "0755", nettest.Patchbay(t), "/opt/cni/bin/patchbay")
	h.Run(t, "install", "-D", "-m", "0644", root+"/conf/bridge.conflist", "/etc/cni/net.d/10-bridge.conflist")
	h.Run(t, "ln", "-sf", "/opt/cni/bin/patchbay", "/usr/local/bin/patchbay")
	h.Run(t, "install", "-m", "0755", cnitool, "/usr/local/bin/cnitool")
	// Like sudo by default, keep only the locale of the environment.
	h.Run(t, "sh", "-c", `printf '#!/bin/sh\nexec env -i PATH="$PATH" HOME=/root LANG="$LANG" LC_ALL="$LC_ALL" "$@"\n' >/usr/local/bin/sudo; chmod 0755 /usr/local/bin/sudo`)
	return h
}

// shell is one shell for a whole transcript, so that a command can use functions of an earlier one.
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
		_ = cmd.Wait() // its output has been compared
	})
	return &shell{in, bufio.NewScanner(out)}
}

// end marks the end of a command's output. No program prints it.
const end = "--- end of a command of a transcript ---"

// step runs a command and compares its output.
func (s *shell) step(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: step COMMAND OUTPUT")
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
		ts.Fatalf("$ %sprints\n%s\nthe page has\n%s", command, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
