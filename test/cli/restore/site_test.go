package restore

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	network = `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br7", "isGateway": true, "ipMasq": true, "firewall": "auto",
	"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.9.7.0/24"}]]}`
	published = network + `, "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}`
	plain     = network + "}"
)

// patience is how long a test waits for what is usually there in a fifth of a second.
const patience = 30 * time.Second

// site is a host with a container with a published port.
type site struct {
	*nettest.Node
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{nettest.Host(t)}
	s.Allow("nft ")
	web := s.Container("web")
	s.cniWith(t, "ADD", web, published).OK(t)
	t.Cleanup(func() { s.cniWith(t, "DEL", web, published).OK(t) })
	return s
}

// docker creates docker's chain.
func (s *site) docker(t *testing.T) {
	t.Helper()
	s.Shell(t, "iptables -N DOCKER-USER && iptables -A FORWARD -j DOCKER-USER && iptables -A DOCKER-USER -j RETURN && iptables -P FORWARD DROP")
}

// attachMore attaches a second container, whose ADD adds rules for the bridge to docker's chain.
func (s *site) attachMore(t *testing.T) {
	t.Helper()
	db := s.Container("db")
	s.cni(t, "ADD", db).OK(t)
	t.Cleanup(func() { s.cni(t, "DEL", db).OK(t) })
}

// Shell runs lines of a shell on the host, and returns what they print.
func (s *site) Shell(t *testing.T, lines string) string {
	t.Helper()
	return s.Run(t, "sh", "-c", lines)
}

// lockRuleset makes a process that sleeps hold the lock of the ruleset, until release is called.
func (s *site) lockRuleset(t *testing.T) (release func()) {
	t.Helper()
	nettest.Need(t, nettest.Tool("flock"))
	cmd := s.Command("flock", "--no-fork", "/run/patchbay/.ruleset", "sh", "-c", "echo locked; exec sleep 600")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.ReadFull(out, make([]byte, len("locked\n")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// cni calls a verb for another container, without a published port.
func (s *site) cni(t *testing.T, verb string, c *nettest.Container) nettest.Answer {
	t.Helper()
	return s.cniWith(t, verb, c, plain)
}

func (s *site) cniWith(t *testing.T, verb string, c *nettest.Container, conf string) nettest.Answer {
	t.Helper()
	return s.CNI(t, nettest.Call{Command: verb, ContainerID: c.Name(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf)})
}

// state returns what the tests remove, without the counters and handles of nftables, and without what another program has added.
func (s *site) state(t *testing.T) string {
	t.Helper()
	return s.Shell(t, `nft -s list table inet patchbay 2>&1; iptables -S DOCKER-USER 2>/dev/null | grep patchbay:; ip -o link show type bridge | sed 's/^[0-9]*: //';
		ip -o link show type veth | sed 's/^[0-9]*: //; s/@if[0-9]*//'; ip -4 -o address show dev br7 2>&1 | sed 's/^[0-9]*: //'; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/br7/forwarding /proc/sys/net/ipv4/conf/br7/route_localnet 2>&1; true`)
}

// awaitState waits until the state is as before.
func (s *site) awaitState(t *testing.T, before string, w *watcher) {
	t.Helper()
	begun := time.Now()
	for s.state(t) != before {
		if time.Since(begun) > patience {
			t.Fatalf("not restored (-want +got)\n%s\nreport:\n%s", cmp.Diff(before, s.state(t)), w.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("as before after %v", time.Since(begun).Round(time.Millisecond))
}

// watcher is a running `reload --watch`.
type watcher struct {
	cmd    *nettest.Cmd
	mu     sync.Mutex
	output bytes.Buffer
}

// watch starts it and waits until it says that it is ready.
func (s *site) watch(t *testing.T) *watcher {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	w := &watcher{cmd: s.Command(nettest.Patchbay(t), "reload", "--watch")}
	w.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + path}
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 64)
	_ = ready.SetReadDeadline(time.Now().Add(patience))
	n, err := ready.Read(message)
	if err != nil || string(message[:n]) != "READY=1" {
		t.Fatalf("got %q, %v; output:\n%s", message[:n], err, w.text())
	}
	return w
}

// Write implements io.Writer.
func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.Write(p)
}

// text returns what it has printed.
func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.String()
}

// await waits until it has printed a text.
func (w *watcher) await(t *testing.T, part string) {
	t.Helper()
	w.awaitTimes(t, part, 1)
}

// awaitTimes waits until it has printed a text, or one of several with | between them, so many times.
func (w *watcher) awaitTimes(t *testing.T, part string, times int) {
	t.Helper()
	one := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(part), `\|`, "|"))
	for begun := time.Now(); len(one.FindAllString(w.text(), -1)) < times; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%q is not in:\n%s", part, w.text())
		}
	}
}

// awaitTables waits until the table exists.
func (w *watcher) awaitTables(t *testing.T, s *site) {
	t.Helper()
	exists := regexp.MustCompile("table inet patchbay")
	for begun := time.Now(); !exists.MatchString(s.Shell(t, "nft list tables")); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("no table; report:\n%s", w.text())
		}
	}
}

func (w *watcher) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end ends it with SIGTERM, which is no error.
func (w *watcher) end(t *testing.T) {
	t.Helper()
	w.signal(t, syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("%v; output:\n%s", err, w.text())
	}
}
