package ports

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// command runs a command of patchbay, which must succeed.
func (s *scene) command(t *testing.T, conf string, args ...string) {
	t.Helper()
	cmd := s.Command(nettest.Patchbay(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + conf}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("patchbay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// byCommand attaches a container with `patchbay attach`, and serves on port 80; on port 9000 is an echo server.
func (s *scene) byCommand(t *testing.T, name, conf string, n network, flags ...string) *box {
	t.Helper()
	if err := os.WriteFile(filepath.Join(conf, n.name+".conf"), n.config(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &box{Container: s.Container(name)}
	s.command(t, conf, append([]string{"attach", b.Path(), "--network", n.name}, flags...)...)
	t.Cleanup(func() { s.command(t, conf, "detach", b.Path()) })
	type attached struct {
		Netns, HostLink string
		Addresses       []netip.Prefix
	}
	var all []attached
	if err := json.Unmarshal([]byte(s.Run(t, nettest.Patchbay(t), "ls", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a attached) bool { return a.Netns == b.Path() })
	b.hostLink = all[i].HostLink
	for _, p := range all[i].Addresses {
		b.addrs = append(b.addrs, p.Addr())
		serve.TCP(t, b.Netns, netip.AddrPortFrom(p.Addr(), 9000).String(), func(c net.Conn) { _, _ = io.Copy(c, c) })
	}
	listen(t, b.Netns, b.addrs, 80)
	return b
}

// open connects from the outside.
func (s *scene) open(t *testing.T, proto string, to netip.AddrPort) *os.File {
	t.Helper()
	f, err := connect(request{from: s.outside.Netns, proto: proto, to: to, wait: ready})
	if err == nil {
		err = connected(f)
	}
	if err != nil {
		t.Fatal(to, err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// says sends a datagram and waits for the reply, or for the error.
func says(f *os.File) error {
	err := f.SetDeadline(time.Now().Add(ready))
	if err == nil {
		_, err = f.WriteString(newPayload())
	}
	if err == nil {
		_, err = f.Read(make([]byte, 200))
	}
	return err
}

// echoes requires that an open connection is still one to the echo server.
func echoes(t *testing.T, f *os.File, word string) {
	t.Helper()
	buf := make([]byte, len(word))
	if err := f.SetDeadline(time.Now().Add(ready)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(word); err != nil {
		t.Errorf("%s: %v", word, err)
	}
	if _, err := io.ReadFull(f, buf); err != nil || string(buf) != word {
		t.Errorf("%s: %q, %v", word, buf, err)
	}
}

// watched is the elements that nft monitor has printed.
type watched struct {
	lines chan string
	seen  []string
}

func (s *scene) watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{lines: make(chan string, 1000)}
	cmd := s.Command("nft", "-n", "monitor", "elements")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.lines <- lines.Text()
		}
		close(w.lines)
	}()
	for { // the program does not say when it begins to watch
		s.Run(t, "nft", "add element inet patchbay isolated { mark0 }; delete element inet patchbay isolated { mark0 }")
		select {
		case <-w.lines:
			return w
		case <-time.After(nothing):
		}
	}
}

// until reads up to an event about a word.
func (w *watched) until(t *testing.T, words ...string) {
	t.Helper()
	for line := range w.lines {
		w.seen = append(w.seen, line)
		found := true
		for _, word := range words {
			found = found && strings.Contains(line, word)
		}
		if found {
			return
		}
	}
	t.Fatalf("nft monitor ended: %q", w.seen)
}

// TestPortsAdded: a port that `ports add` publishes is reached by every client by which one of ADD is, and no longer after `ports rm`.
// Connections through another port of the attachment stay open, and no transaction has an element of that port.
//
// Claim: A port of `ports add` is reached from outside, from the host, from 127.0.0.1, from neighbours and from the container itself, by TCP
// and UDP, IPv4 and IPv6; open connections through other ports of the attachment continue through `ports add` and `ports rm`
func TestPortsAdded(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		w := &publishingHost{scene: s, calls: calls, near: network{name: "near", n: 81}, far: network{name: "far", n: 82}}
		conf := t.TempDir()
		w.web = s.byCommand(t, "web", conf, w.near, "-p", uplink[0].String()+":9000:9000", "-p", "["+uplink[1].String()+"]:9000:9000") // not on 127.0.0.1
		bare := s.byCommand(t, "bare", conf, w.near)
		w.neighbour, w.afar = s.box(t, "neighbour", w.near), s.box(t, "afar", w.far)
		w.host = slices.Concat(uplink, w.near.gateway(), w.far.gateway(), localhost)
		var open []*os.File
		for _, to := range at(9000, uplink...) {
			f := s.open(t, "tcp", to)
			echoes(t, f, "before")
			open = append(open, f)
		}
		monitor := s.watch(t)
		s.command(t, conf, "ports", "add", w.web.Path(), "8080:80", "8080:80/udp")
		all(t, w.tries(8080, tcpAndUDP()...))
		var flows []*os.File
		for i, f := range open {
			echoes(t, f, "added")
			flow := s.open(t, "udp", netip.AddrPortFrom(uplink[i], 8080))
			flows = append(flows, flow)
			if err := says(flow); err != nil {
				t.Errorf("a UDP flow to %s: %v", uplink[i], err)
			}
		}
		s.command(t, conf, "ports", "rm", w.web.Path(), "8080", "8080/udp")
		monitor.until(t, "delete element", "8080")
		for i, f := range open {
			echoes(t, f, "removed")
			if err := says(flows[i]); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("the UDP flow to %s after rm: %v", uplink[i], err)
			}
		}
		for _, to := range at(8080, uplink...) {
			if _, err := ask(request{from: s.outside.Netns, proto: "tcp", to: to, wait: ready, payload: newPayload()}); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("%s after rm: %v", to, err)
			}
		}
		s.command(t, conf, "ports", "add", bare.Path(), "8082:80") // the first of this attachment: its bridge port may need hairpin mode
		var tries []try
		for _, to := range at(8082, uplink...) {
			tries = append(tries, try{from: bare.Netns, proto: "tcp", to: to, server: "bare"})
		}
		all(t, tries)
		if calls { // as after a kill before the bridge port had that mode
			s.Run(t, "bridge", "link", "set", "dev", bare.hostLink, "hairpin", "off")
			s.command(t, conf, "reload")
			all(t, tries)
		}
		for _, line := range monitor.seen {
			if strings.Contains(line, "9000") {
				t.Errorf("an element of the other port is in a transaction: %s", line)
			}
		}
	})
}
