package pictures

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/pty"
)

// mark begins what is highlighted.
const mark = "\x1b[7m"

// watched is a show --watch on a terminal.
type watched struct {
	t    *testing.T
	cmd  *nettest.Cmd
	ours *os.File
	all  string // what it has written
}

func (s *scene) watch(columns, rows uint16, args ...string) *watched {
	s.t.Helper()
	ours, theirs := pty.Open(s.t, columns, rows)
	w := &watched{t: s.t, cmd: s.command(append([]string{"show", "--watch"}, args...)...), ours: ours}
	w.cmd.Env = append(w.cmd.Env, "TERM=xterm")
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = theirs, theirs, theirs
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := w.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
	})
	if err := unix.SetNonblock(int(ours.Fd()), false); err != nil {
		s.t.Fatal(err)
	}
	return w
}

// await reads until the picture has all parts, or those that begin with "not " no longer.
func (w *watched) await(parts ...string) {
	w.t.Helper()
	buffer := make([]byte, 4096)
	for end := time.Now().Add(30 * time.Second); ; {
		missing := w.missing(parts)
		if missing == "" {
			return
		}
		n, err := w.read(buffer, end)
		if err != nil {
			w.t.Fatalf("%q does not come: %v\n%s", missing, err, w.picture())
		}
		w.all += string(buffer[:n])
	}
}

// missing returns the first part that is not as it must be, "" if all are.
func (w *watched) missing(parts []string) string {
	picture := w.picture()
	for _, part := range parts {
		unwanted, not := strings.CutPrefix(part, "not ")
		if picture == "" || strings.Contains(picture, unwanted) == not {
			return part
		}
	}
	return ""
}

// picture returns the last picture that is complete, with the highlight but without colours.
func (w *watched) picture() string {
	end := strings.LastIndex(w.all, "\x1b[J")
	if end < 0 {
		return ""
	}
	return withoutTones(w.all[strings.LastIndex(w.all[:end], "\x1b[H"):end])
}

// withoutTones removes the colours, and leaves the highlight.
func withoutTones(text string) string {
	return regexp.MustCompile(`\x1b\[(0|1|2|3[0-9])m`).ReplaceAllString(text, "")
}

// read reads what the program has written, or fails at a time.
func (w *watched) read(buffer []byte, end time.Time) (int, error) {
	fds := []unix.PollFd{{Fd: int32(w.ours.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, max(1, int(time.Until(end).Milliseconds())))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, fmt.Errorf("no output until %v", end)
		}
		return w.ours.Read(buffer)
	}
}

// end sends Ctrl-C to the terminal, and returns the exit code.
func (w *watched) end() int {
	w.t.Helper()
	if _, err := w.ours.WriteString("\x03"); err != nil {
		w.t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	for end := time.Now().Add(30 * time.Second); !strings.HasSuffix(w.all, "\x1b[?25h\x1b[?1049l"); {
		n, err := w.read(buffer, end)
		if err != nil {
			w.t.Fatalf("the screen is not restored: %v", err)
		}
		w.all += string(buffer[:n])
	}
	_ = w.cmd.Wait() // the exit code is compared
	return w.cmd.ProcessState.ExitCode()
}

// TestWatch: a picture is drawn again when an attachment is added, an address is removed inside of a container, a route is added, a record
// is deleted, and a namespace gets a name; what is new is highlighted. Ctrl-C ends it with exit code 0, and restores the screen.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Run(t, "mkdir", "/run/elsewhere") // where nothing is watched
	w := s.watch(160, 60)
	w.await("forwarding off", "not "+mark)
	expect.Equal(t, "the beginning", strings.HasPrefix(w.all, "\x1b[?1049h\x1b[?25l\x1b[H"), true)

	s.attach(s.Container("web"), "eth0", "", cni.Network(cni.Gateway(), cni.Pool("10.88.0.0/24")))
	w.await(mark+s.view().Attachments[0].HostLink.Name, "10.88.0.2/24")
	record := filepath.Join("/run/patchbay/net", s.calls[0].ContainerID+"@eth0.json")
	for _, row := range []struct {
		change string
		want   []string
	}{
		{"ip -n web address del 10.88.0.2/24 dev eth0", []string{mark + "lost " + mark + "10.88.0.2/24"}},
		{"ip -n web address add 10.88.0.2/24 dev eth0", []string{"not lost"}},
		{"ip -n web route add default via 10.88.0.1", []string{mark + "default " + mark + "via " + mark + "10.88.0.1"}},
		{"ip netns add spare", []string{mark + "spare"}},
		{"ip netns del spare", []string{"not spare"}},
		{"mv " + record + " /run/elsewhere/record", []string{mark + "no " + mark + "record"}},
		{"mv /run/elsewhere/record " + record, []string{"not no record"}},
	} {
		w.await("not " + mark) // else the end of the highlight would be a reason to draw
		s.Run(t, "sh", "-c", row.change)
		w.await(row.want...)
	}
	expect.Equal(t, "exit code", w.end(), 0)
}

// TestWatchRate: during many changes a picture is drawn at most five times a second, and the last one has them all.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestWatchRate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Bridge("br7", "203.0.113.1/24")
	w := s.watch(100, 60)
	w.await("203.0.113.1/24")
	began := time.Now()
	s.Run(t, "sh", "-c", "for i in $(seq 2 200); do ip address add 203.0.113.$i/24 dev br7; ip address del 203.0.113.$i/24 dev br7; done; ip address add 203.0.113.222/24 dev br7")
	w.await("203.0.113.222/24")
	pictures, most := strings.Count(w.all, "\x1b[J"), int(time.Since(began)/(200*time.Millisecond))+3
	if pictures > most || pictures < 3 {
		t.Errorf("%d pictures of 399 changes in %v, want at most %d", pictures, time.Since(began), most)
	}
	expect.Equal(t, "exit code", w.end(), 0)
	s.Run(t, "ip", "address", "del", "203.0.113.222/24", "dev", "br7")
}

// TestWatchSize: a terminal that is made larger gets a larger picture.
func TestWatchSize(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1") // else the end of duplicate address detection would be a reason to draw
	for i := range 8 {
		s.Bridge(fmt.Sprint("br", i), fmt.Sprintf("10.2.%d.1/24", i))
	}
	w := s.watch(100, 8)
	w.await("more lines (--bridge, --network)")
	if err := unix.IoctlSetWinsize(int(w.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 60, Col: 100}); err != nil {
		t.Fatal(err)
	}
	w.await("10.2.7.1/24")
	expect.Equal(t, "exit code", w.end(), 0)
}

// TestWatchRefused: what cannot be watched is refused before anything is written.
func TestWatchRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"show", "--watch"}, "patchbay: --watch needs a terminal, and standard output is none: omit it to draw once\n"},
		{[]string{"show", "--watch", "-o", "svg"}, "patchbay: --watch draws text on a terminal: omit it, or --output svg\n"},
		{[]string{"show", "--watch", "--json"}, "patchbay: --watch draws text on a terminal: omit it, or --output json\n"},
		{[]string{"show", "-o", "png"}, "patchbay: --output: unknown format \"png\": use text, json, mermaid, dot, svg or html\n"},
	} {
		if got := s.run(row.args...); got != (answer{1, "", row.want}) {
			t.Errorf("%s: %+v, want %q", strings.Join(row.args, " "), got, row.want)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "picture"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command("show", "--watch")
	cmd.Stdout = file
	err = cmd.Run()
	info, statErr := file.Stat()
	if err == nil || statErr != nil || info.Size() != 0 {
		t.Errorf("--watch to a file: %v, %v, %+v", err, statErr, info)
	}
	ours, theirs := pty.Open(t, 80, 24)
	cmd = s.command("show", "--watch")
	cmd.Env = append(cmd.Env, "TERM=dumb")
	cmd.Stdout, cmd.Stderr = theirs, theirs
	if err := cmd.Run(); err == nil {
		t.Error("--watch on a dumb terminal succeeds")
	}
	text := make([]byte, 4096)
	n, err := ours.Read(text)
	if err != nil || !strings.HasPrefix(string(text[:n]), "patchbay: --watch needs a terminal whose screen can be cleared, and TERM is dumb") {
		t.Errorf("%q, %v", text[:n], err)
	}
}
