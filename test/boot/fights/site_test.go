package fights

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
	"github.com/patchbay-cni/patchbay/test/kit/vm"
)

// patience is how long a test waits for a state that an emulated machine usually reaches in some seconds.
const patience = 60 * time.Second

// conf is the directory of units and snippets.
const conf = "../../../conf"

//go:embed testdata/server.py
var server []byte

// site is a machine with two named namespaces, web with a published port and db, whose eth0 leads to a router. The server in web answers with
// what works: "in" (the published port), "out" (masquerade), "peer" (db on the same bridge).
type site struct {
	*vm.Machine
	router *nettest.Container
}

// works is the answer of the server if nothing is broken.
const works = "in out peer"

// newSite boots a machine, and installs the binary and the units as packages do. No unit is enabled.
func newSite(t *testing.T) *site {
	t.Helper()
	h := nettest.Host(t)
	s := &site{router: h.Container("router")}
	t.Cleanup(func() {
		s.router.Run(t, "ip", "link", "delete", "tap0")
		s.router.Run(t, "ip", "address", "delete", "198.51.100.1/32", "dev", "lo")
	})
	s.Machine = vm.Start(t, s.router.Netns, "tap0")
	for _, line := range []string{"address add 192.0.2.1/24 dev tap0", "address add 198.51.100.1/32 dev lo", "link set tap0 up"} {
		s.router.Run(t, "ip", strings.Fields(line)...)
	}
	serve.TCP(t, s.router.Netns, "198.51.100.1:80", nil) // as the outside of containers
	s.copyFile(t, nettest.Patchbay(t), "/opt/cni/bin/patchbay", "0755")
	units, err := filepath.Glob(filepath.Join(conf, "systemd", "*"))
	if err != nil || len(units) == 0 {
		t.Fatalf("units: %v, %v", units, err)
	}
	for _, unit := range units {
		s.copyFile(t, unit, "/etc/systemd/system/"+filepath.Base(unit), "0644")
	}
	s.Write(t, "/root/server.py", "0644", server)
	s.Shell(t, "ln -s /opt/cni/bin/patchbay /usr/bin/patchbay; systemctl daemon-reload")
	return s
}

// attach gives the host its address, and attaches both namespaces, with options of up.
func (s *site) attach(t *testing.T, options ...string) {
	t.Helper()
	s.Shell(t, `ip -4 -o address show eth0 | grep -q 192.0.2.10 || ip address add 192.0.2.10/24 dev eth0
		ip link set eth0 up
		ip route show default | grep -q via || ip route add default via 192.0.2.1`)
	s.up(t, strings.Join(options, " "))
	s.await(t, works)
}

// up attaches both namespaces and starts their servers.
func (s *site) up(t *testing.T, options string) {
	t.Helper()
	s.Shell(t, "patchbay up web -p 8080:80 -p 8081:81 "+options+"; patchbay up db "+options+`
		web=$(ip netns exec web hostname -I) db=$(ip netns exec db hostname -I)
		systemd-run -q --unit=web ip netns exec web python3 /root/server.py out=198.51.100.1 peer="${db%% *}"
		systemd-run -q --unit=db ip netns exec db python3 /root/server.py`)
}

func (s *site) copyFile(t *testing.T, from, to, mode string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, to, mode, content)
}

// doctor returns what doctor prints.
func (s *site) doctor(t *testing.T) string {
	t.Helper()
	r := s.Try(t, "patchbay", "doctor")
	if r.Exit > 1 || r.Stderr != "" {
		t.Fatalf("doctor: exit %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// await waits until the server's answer is want.
func (s *site) await(t *testing.T, want string) {
	t.Helper()
	answer := ""
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(100 * time.Millisecond) {
		if answer = s.ask(t, 3*time.Second); answer == want {
			return
		}
	}
	t.Fatalf("of the published port, the outside and the peer works %q, want %q\n%s", answer, want, s.state(t))
}

// state returns what may explain it.
func (s *site) state(t *testing.T) string {
	t.Helper()
	return s.Try(t, "sh", "-c", `ip -br link; ip -br address; ip route; bridge link; nft list tables; sysctl net.ipv4.ip_forward; patchbay doctor
		systemctl --failed --no-legend; journalctl -u patchbay-reload -u web -u db --no-pager -n 30 -o short-precise`).Stdout
}
