// Package hosts tests patchbay-lan on hosts that are namespaces: several of them on one LAN, with a real etcd.
package hosts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	etcdAddress = "192.0.2.9"
	endpoints   = etcdAddress + ":2379"
	network     = "lan"
	conflist    = "/etc/cni/net.d/lan.patchbay-lan.conflist"
	statusFile  = "/run/patchbay/.lan/lan.json"
)

// program returns the path of a program that make test-runtimes builds.
func program(t testing.TB, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v; make test-runtimes builds it", err)
	}
	return path
}

func patchbayLAN(t testing.TB) string {
	t.Helper()
	return program(t, filepath.Join(filepath.Dir(nettest.Patchbay(t)), "patchbay-lan"))
}

// site is a LAN with some hosts and an etcd.
//
//	host a: br0 192.0.2.10/24 ─┐
//	host b: br0 192.0.2.11/24 ─┼─ switch ─── etcd 192.0.2.9
//	host c: br0 192.0.2.12/24 ─┘         └── router 192.0.2.1
type site struct {
	lan   *nettest.LAN
	hosts []*machine
	etcd  *nettest.Netns
	data  string
	run   *nettest.Cmd // etcd
}

// machine is a host of the site.
type machine struct {
	*nettest.Node
	name    string
	site    *site
	program *nettest.Cmd // patchbay-lan run
	output  *buffer
}

// buffer is an output that a test reads while a program writes it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newSite makes n hosts and starts etcd.
func newSite(t *testing.T, n int) *site {
	t.Helper()
	s := &site{data: t.TempDir()}
	program(t, filepath.Join(os.Getenv("PATCHBAY_CACHE_BIN"), "etcd"))
	patchbayLAN(t)
	for i := range n {
		h := nettest.Host(t)
		m := &machine{Node: h, name: string(rune('a' + i)), site: s, output: &buffer{}}
		s.hosts = append(s.hosts, m)
		t.Cleanup(func() {
			_ = m.end(syscall.SIGKILL)
			if t.Failed() {
				t.Logf("host %s:\n%s", m.name, m.output)
			}
		})
		m.write(t, "/etc/machine-id", fmt.Sprintf("%032x\n", i+1))
		if i == 0 {
			s.lan = h.LAN(t)
		} else {
			m.join(t, i)
		}
		h.Allow("file /run/patchbay/.lan")
		h.Allow("dir /run/patchbay")
	}
	s.etcd = s.lan.Neighbour("etcd", etcdAddress+"/24")
	s.startEtcd(t)
	return s
}

// join puts a further host on the LAN.
func (m *machine) join(t testing.TB, i int) {
	t.Helper()
	port := "host-" + m.name
	m.Bridge("br0", fmt.Sprintf("192.0.2.%d/24", 10+i))
	m.Veth("eth0", m.site.lan.Switch, port)
	m.site.lan.Switch.Plug(port, "lan0")
	m.Plug("eth0", "br0")
	m.AddRoute("0.0.0.0/0", nettest.LANRouter4)
	m.Baseline()
}

// startEtcd starts etcd on the LAN, with the data that it had.
func (s *site) startEtcd(t testing.TB) {
	t.Helper()
	s.run = s.etcd.Command(program(t, filepath.Join(os.Getenv("PATCHBAY_CACHE_BIN"), "etcd")), "--data-dir", filepath.Join(s.data, "etcd"),
		"--listen-client-urls", "http://"+endpoints, "--advertise-client-urls", "http://"+endpoints, "--log-level", "error")
	if err := s.run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stopEtcd() })
}

func (s *site) stopEtcd() {
	if s.run != nil {
		_ = s.run.Process.Kill()
		_ = s.run.Wait()
	}
	s.run = nil
}

// initialize writes the configuration of the network, as soon as etcd answers.
func (s *site) initialize(t testing.TB, options ...string) {
	t.Helper()
	args := append([]string{"init", network, "--endpoints", endpoints}, options...)
	await(t, "etcd answers", func() (bool, string) {
		out, err := s.hosts[0].Command(patchbayLAN(t), args...).CombinedOutput()
		return err == nil, string(out)
	})
}

// start starts `patchbay-lan run`, with options.
func (m *machine) start(t testing.TB, options ...string) {
	t.Helper()
	m.Do(func() { _ = os.Remove(statusFile) }) // of a program that was killed
	m.program = m.Command(patchbayLAN(t), append([]string{"run", network, "--node", m.name, "--endpoints", endpoints}, options...)...)
	m.program.Stdout, m.program.Stderr = m.output, m.output
	if err := m.program.Start(); err != nil {
		t.Fatal(err)
	}
}

// end ends the program, and returns how.
func (m *machine) end(signal syscall.Signal) error {
	if m.program == nil {
		return nil
	}
	defer func() { m.program = nil }()
	_ = m.program.Process.Signal(signal)
	return m.program.Wait()
}

// read returns the content of a file of the host; "" if it does not exist.
func (m *machine) read(path string) string {
	var text []byte
	m.Do(func() { text, _ = os.ReadFile(path) })
	return string(text)
}

func (m *machine) write(t testing.TB, path, text string) {
	t.Helper()
	var err error
	m.Do(func() {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// status returns the status of the host.
func (m *machine) status() lan.Status {
	var s lan.Status
	_ = json.Unmarshal([]byte(m.read(statusFile)), &s)
	return s
}

// await waits until so returns true; it has a limit because a program may never get there.
func await(t testing.TB, what string, so func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ok, seen := so()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s; seen: %s", what, seen)
		}
	}
}

// awaitStatus waits until the status of a host is as so says.
func (m *machine) awaitStatus(t testing.TB, what string, so func(lan.Status) bool) {
	t.Helper()
	await(t, "host "+m.name+": "+what, func() (bool, string) { return so(m.status()), m.read(statusFile) + m.output.String() })
}

func isReady(s lan.Status) bool { return s.State == lan.Ready }

// blocks returns the blocks of the network configuration on disk.
func (m *machine) blocks(t testing.TB) []string {
	t.Helper()
	text := m.read(conflist)
	if text == "" {
		return nil
	}
	var list struct {
		Plugins []struct {
			IPAM struct {
				Ranges [][]struct{ RangeStart, RangeEnd string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s: %v\n%s", conflist, err, text)
	}
	var all []string
	for _, r := range list.Plugins[0].IPAM.Ranges[0] {
		all = append(all, r.RangeStart+"-"+r.RangeEnd)
	}
	slices.Sort(all)
	return all
}

// patchbay runs a command of the plugin's program, and returns what it prints.
func (m *machine) patchbay(args ...string) (string, error) {
	out, err := m.Command(os.Getenv("PATCHBAY_BIN"), args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// lan runs a command of patchbay-lan.
func (m *machine) lan(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := m.Command(patchbayLAN(t), append(args, "--endpoints", endpoints)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
