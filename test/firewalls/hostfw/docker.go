package hostfw

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Docker is a dockerd on a host, with docker0 and no container.
type Docker struct {
	*Firewall
	daemon *daemon
}

// StartDocker starts dockerd on a host with forwarding disabled: then Docker enables it (for IPv4 only) and sets the policy of FORWARD to DROP. When
// it returns, Docker's rules exist.
func StartDocker(t testing.TB, h *nettest.Node) *Docker {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"))
	r := open(t, h, "containerd/usr/bin/containerd", "docker/usr/sbin/dockerd")
	h.SetSysctl("net/ipv4/ip_forward", "0")
	d := &Docker{Firewall: &Firewall{h, r}}
	d.daemon = r.start(t, "dockerd", "dockerd --log-level warn --pidfile /run/docker.pid", dockerReady)
	h.Baseline()
	return d
}

const dockerReady = "docker version"

// Restart stops dockerd as its service manager would, and starts it again. It restores missing rules of its own.
func (d *Docker) Restart(t testing.TB) {
	t.Helper()
	d.daemon.stop(t)
	d.daemon.again(t, dockerReady)
}
