package nettest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// DHCPServer starts dnsmasq as DHCP server on the LAN's router, with leases from 192.0.2.100 to
// 192.0.2.150. It is ready when DHCPServer returns, and ends with the test.
func (l *LAN) DHCPServer(t testing.TB) {
	t.Helper()
	cmd := l.Router.Command(Program(t, "dnsmasq"), "--keep-in-foreground", "--log-facility=-", "--user=root",
		"--conf-file=/dev/null", "--pid-file=", "--port=0", "--interface=lan", "--bind-interfaces", "--no-ping", "--leasefile-ro",
		"--dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,1h", "--dhcp-option=option:router,"+LANRouter4)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.Router.host.serve(t, cmd)
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "IP range 192.0.2.100") {
			go drain(lines)
			return
		}
	}
	t.Fatalf("dnsmasq does not serve: %v", lines.Err())
}

// drain reads and discards, so that the writer never waits.
func drain(lines *bufio.Scanner) {
	for lines.Scan() {
		_ = lines.Text()
	}
}

// DHCPDaemon starts the daemon of the reference IPAM plugin dhcp on the host, with further flags; it
// ends with the test. The socket is created here and passed to the daemon, as systemd does, so a call
// before the daemon is ready waits in its backlog.
func (h *Node) DHCPDaemon(t testing.TB, socket, flags string) {
	t.Helper()
	file, err := h.listen(socket)
	if err != nil {
		t.Fatalf("make the socket of the DHCP daemon: %v", err)
	}
	defer file.Close()
	cmd := h.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" daemon `+flags, Program(t, "dhcp"))
	cmd.ExtraFiles = []*os.File{file}
	h.serve(t, cmd)
}

// listen creates a listening socket, whose file remains when the listener is closed.
func (h *Node) listen(socket string) (file *os.File, err error) {
	h.Do(func() {
		if err = os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
			return
		}
		var l *net.UnixListener
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"}); err != nil {
			return
		}
		l.SetUnlinkOnClose(false)
		file, err = l.File()
		err = errors.Join(err, l.Close())
	})
	return file, err
}

// serve starts a program that is killed by its process ID when the test ends. The leak check ignores it.
func (h *Node) serve(t testing.TB, cmd *Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.Allow(fmt.Sprintf("process %d: ", cmd.Process.Pid))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
