package nettest

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Tcpdump is a running tcpdump. It shares no code with Capture, so tests compare both.
type Tcpdump struct {
	cmd  *Cmd
	out  bytes.Buffer
	said chan string // lines of its standard error
	// strays is the number of packets that were received before the filter was set.
	strays int
}

// tcpdumpBound is how long tcpdump may take for anything it is asked.
const tcpdumpBound = 10 * time.Second

// Tcpdump starts `tcpdump -l -n -e` on an interface of the namespace with a
// filter of pcap-filter(7), and returns when it is capturing. It skips or
// fails as Need does where tcpdump is not installed.
func (n *Netns) Tcpdump(t testing.TB, link string, filter ...string) *Tcpdump {
	t.Helper()
	Need(t, Tool("tcpdump"))
	// Slots of 512 bytes in a buffer of 8 MiB: the default, 256 KiB in 2 MiB,
	// loses the ninth packet of a burst. -Z root: it would become another user,
	// and then not die with its host.
	args := []string{"-l", "-n", "-e", "-U", "--immediate-mode", "-s", "512", "-B", "8192", "-Z", "root", "-i", link}
	args = append(args, filter...)
	d := &Tcpdump{cmd: n.Command("tcpdump", args...), said: make(chan string, 64)}
	d.cmd.Stdout = &d.out
	stderr, err := d.cmd.StderrPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatalf("start tcpdump in %s: %v", n.name, err)
	}
	go d.listen(stderr)
	if line, ok := d.hear(listening()); !ok {
		d.kill()
		t.Fatalf("tcpdump on %s in %s does not listen: %s", link, n.name, line)
	}
	t.Cleanup(d.kill)
	d.settle(t)
	return d
}

func listening() *regexp.Regexp { return regexp.MustCompile(`^(?:tcpdump: )?listening on `) }

// statistics is what tcpdump says on SIGUSR1 and at its end.
func statistics() *regexp.Regexp {
	return regexp.MustCompile(`(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel`)
}

// listen passes on the lines of tcpdump's standard error.
func (d *Tcpdump) listen(stderr io.Reader) {
	defer close(d.said)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		d.said <- lines.Text()
	}
}

// hear returns the first matching line, or all lines if none matches.
func (d *Tcpdump) hear(fits *regexp.Regexp) (string, bool) {
	timeout := time.After(tcpdumpBound)
	var heard []string
	for {
		select {
		case line, open := <-d.said:
			if !open {
				return strings.Join(heard, "\n"), false
			}
			if fits.MatchString(line) {
				return line, true
			}
			heard = append(heard, line)
		case <-timeout:
			return strings.Join(heard, "\n"), false
		}
	}
}

// counts are the counters that tcpdump prints.
type counts struct{ captured, received, dropped int }

// ask makes tcpdump print its counters (SIGUSR1).
func (d *Tcpdump) ask(t testing.TB) counts {
	t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGUSR1)
	line, ok := d.hear(statistics())
	if !ok {
		d.kill()
		t.Fatalf("tcpdump gives no statistics: %s", line)
	}
	var n [3]int
	for i, digits := range statistics().FindStringSubmatch(line)[1:] {
		n[i], _ = strconv.Atoi(digits)
	}
	return counts{captured: n[0], received: n[1], dropped: n[2]}
}

// settle finds how many packets the socket received before it had its filter: they
// are counted but not printed.
func (d *Tcpdump) settle(t testing.TB) {
	t.Helper()
	last := d.ask(t)
	for range 20 { // on a busy interface the counter may never be stable
		next := d.ask(t)
		if next == last {
			break
		}
		last = next
	}
	d.strays = last.received - last.captured
}

// Stop ends tcpdump and returns its lines, one a packet. Before, it asks until
// tcpdump has read every packet its filter received, so that none the kernel
// saw before Stop is missing; the test fails if the kernel dropped any.
func (d *Tcpdump) Stop(t testing.TB) []string {
	t.Helper()
	until := time.Now().Add(tcpdumpBound)
	seen := d.ask(t)
	for seen.captured+d.strays < seen.received && time.Now().Before(until) {
		seen = d.ask(t)
	}
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	for range d.said {
		continue
	}
	err := d.cmd.Wait()
	if err != nil || seen.captured+d.strays != seen.received || seen.dropped > 0 {
		t.Errorf("tcpdump: %v; %+v, %d of them before its filter", err, seen, d.strays)
	}
	// When interrupted it ends its output with an empty line.
	return strings.FieldsFunc(d.out.String(), func(c rune) bool { return c == '\n' })
}

// kill ends tcpdump in any state; it does nothing after Stop.
func (d *Tcpdump) kill() {
	if d.cmd.ProcessState != nil {
		return
	}
	_ = d.cmd.Process.Kill()
	for range d.said {
		continue
	}
	_ = d.cmd.Wait()
}
