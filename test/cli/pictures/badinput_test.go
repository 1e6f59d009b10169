package pictures

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/pty"
)

// TestClosedPipe: a reader that has closed the pipe, as head(1) does, ends show as SIGPIPE would, without a message, in every format.
//
// Claim: Pictures on terminals of 30 columns, without UTF-8 and into closed pipes are complete, or end without a message
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	gateway(s)
	for _, format := range []string{"text", "json", "mermaid", "dot", "svg", "html"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		cmd := s.command("show", "-o", format)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = writer, &stderr
		_ = cmd.Run() // the exit code is compared
		writer.Close()
		expect.Equal(t, "exit code of "+format, cmd.ProcessState.ExitCode(), 141)
		expect.Equal(t, "message of "+format, stderr.String(), "")
	}
}

// TestPlainTerminal: without UTF-8 the picture is ASCII, and on a terminal of 30 columns no line is longer and no address is missing.
//
// Claim: Pictures on terminals of 30 columns, without UTF-8 and into closed pipes are complete, or end without a message
func TestPlainTerminal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	networks(s)
	for _, locale := range []string{"LC_ALL=C.UTF-8", "LANG=C"} {
		ours, theirs := pty.Open(t, 30, 24)
		cmd := s.command("show")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), locale, "NO_COLOR=1"}
		cmd.Stdout = theirs
		done := make(chan string)
		go func() {
			text := ""
			buffer := make([]byte, 4096)
			for !strings.HasSuffix(text, "\n\x04") {
				n, err := ours.Read(buffer)
				if err != nil {
					break
				}
				text += string(buffer[:n])
			}
			done <- strings.TrimSuffix(text, "\x04")
		}()
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		if _, err := theirs.WriteString("\x04"); err != nil { // the end of what is read
			t.Fatal(err)
		}
		picture := strings.ReplaceAll(<-done, "\r\n", "\n")
		for line := range strings.SplitSeq(picture, "\n") {
			if n := utf8.RuneCountInString(line); n > 30 {
				t.Errorf("%s: %d columns: %s", locale, n, line)
			}
		}
		if ascii := !strings.ContainsFunc(picture, func(r rune) bool { return r > '~' }); ascii != (locale == "LANG=C") {
			t.Errorf("%s: ASCII %t:\n%s", locale, ascii, picture)
		}
		expect.Contains(t, picture, "10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24", "10.2.0.1/24", "10.2.0.2/24", "10.2.0.3/24")
	}
}
