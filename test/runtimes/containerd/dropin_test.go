package containerd

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// installed returns the conflist that containerd's script/setup/install-cni writes, unmodified.
func installed(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../lists/testdata/containerd.conflist")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDropIn: containerd with the conflist of its own script, and the program under the names that the conflist has. Three pods serve by both
// families, from the host and from one another; one has a host port, which the LAN reaches and a second pod is refused. When the pods have
// been removed nothing is left.
//
// Claim/containerd_of_Debian,containerd_2: containerd, Debian's and version 2, runs pods with its own conflist and the drop-in; a host port is
// reached from the outside, and nothing is left when the pods have been removed
func TestDropIn(t *testing.T) {
	for name, r := range releases() {
		t.Run(name, func(t *testing.T) { dropped(t, nodeWith(t, r(t), dropin.New(t), installed(t))) })
	}
}

func dropped(t *testing.T, n *node) {
	lan := n.LAN(t)
	pods := n.runAll(names(2), 2)
	published, err := n.runPublished("published", 8080)
	if err != nil {
		t.Fatalf("start a pod with a host port: %v\n%s", err, n.said())
	}
	pods = append(pods, n.status(published))
	for i, s := range pods {
		if len(s.addrs) != 2 || !s.addrs[0].Is4() || !s.addrs[1].Is6() {
			t.Fatalf("%s has the addresses %v", s.name, s.addrs)
		}
		n.serves(s)
		n.asks(s, pods[(i+1)%len(pods)])
	}
	if err := serve.Connect(lan.Outside, netip.MustParseAddrPort(nettest.LANHost4+":8080"), 5*time.Second); err != nil {
		t.Errorf("host port, from the outside: %v", err)
	}
	if _, err := n.runPublished("second", 8080); err == nil || !strings.Contains(err.Error(), "host port 8080/tcp is already published") {
		t.Errorf("a second pod with the same host port: %v", err)
	}
	n.removeAll(n.ids(), 3)
	n.alone()
	n.NoLeaks(t)
}

// runPublished starts a sandbox whose port 80 is published on a port of the host.
func (n *node) runPublished(name string, port int32) (string, error) {
	config := n.podConfig(name)
	config.PortMappings = []*runtime.PortMapping{{Protocol: runtime.Protocol_TCP, ContainerPort: 80, HostPort: port}}
	answer, err := n.cri.runtime.RunPodSandbox(n.context(), &runtime.RunPodSandboxRequest{Config: config})
	return answer.GetPodSandboxId(), err
}
