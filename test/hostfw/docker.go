package hostfw

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Docker is a dockerd that runs on a host, with its docker0 and no container.
type Docker struct {
	*Firewall
	daemon *daemon
}

// StartDocker starts dockerd on a host that did not forward before, so that Docker is who switches forwarding on (of IPv4 alone)
// and makes DROP the policy of FORWARD. When it returns, its rules are there.
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

// Restart ends dockerd as its service manager would, and starts it again. It makes anew those of its rules that it misses.
func (d *Docker) Restart(t testing.TB) {
	t.Helper()
	d.daemon.stop(t)
	d.daemon.again(t, dockerReady)
}
