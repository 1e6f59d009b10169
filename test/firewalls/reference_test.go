package firewalls

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/firewalls/hostfw"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

const referencePort = 9090

// TestReferenceBeside: a container of the reference plugins bridge, portmap and firewall keeps its port and outbound traffic while Patchbay attaches
// and detaches containers; also with Docker, whose chain accepts the reference's bridge.
//
// Claim: A container of the reference bridge, portmap and firewall beside Patchbay's keeps its port and its outbound traffic, whatever
// Patchbay's containers do
func TestReferenceBeside(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		referenceBeside(t, newSite(t, nil))
	})
	t.Run("with docker", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, nil)
		docker := hostfw.StartDocker(t, s.Node)
		s.fw = docker.Firewall
		s.fw.Shell(t, "iptables -I DOCKER-USER -o ref0 -j ACCEPT")
		theirs := referenceBeside(t, s)
		docker.Restart(t)
		theirs("after a restart of docker")
		expect.Equal(t, "DOCKER-USER", s.userChain(t), "-N DOCKER-USER\n-A DOCKER-USER -o ref0 -j ACCEPT\n-A DOCKER-USER -j RETURN\n")
	})
}

func referenceBeside(t *testing.T, s *site) (theirs func(when string)) {
	t.Helper()
	ref := s.Container("ref")
	serve.TCP(t, ref.Netns, ":80", nil)
	s.reference(t, "add", ref)
	s.NoOracle("the reference plugins leave their state")
	theirs = func(when string) {
		t.Helper()
		for _, w := range []path{{"outside -> port of the reference", s.outside, hostAddrs[0], referencePort}, {"reference -> outside", ref, outsideAddrs[0], 80}} {
			if err := dial(w.from.Netns, w.to, w.port, patient); err != nil {
				t.Errorf("%s, %s: %v", when, w.what, err)
			}
		}
	}
	theirs("before")
	open := everything()
	if s.fw != nil {
		open = everything(shut)
	}
	auto := network(cni.Conf{"firewall": "auto"})
	s.populate(t, auto)
	theirs("beside ours")
	s.connects(t, "ours", 0, open...)
	s.healthy(t, "with the reference plugins")
	before := s.rulesOfOthers(t)
	s.Run(t, "sh", "-ec", "nft delete table inet patchbay")
	s.shell(t, "patchbay reload")
	expect.Equal(t, "rules of others after reload", s.rulesOfOthers(t), before)
	theirs("after reload")
	s.connects(t, "ours after reload", 0, open...)
	s.leave(t, auto)
	theirs("after DEL")
	s.collect(t)
	theirs("after gc")
	return theirs
}

// reference calls cnitool for a network of the reference plugins.
func (s *site) reference(t *testing.T, verb string, c *nettest.Container) {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"))
	list, err := json.Marshal(cni.Conf{"cniVersion": "1.0.0", "name": "ref", "plugins": []cni.Conf{
		{
			"type": "bridge", "bridge": "ref0", "isDefaultGateway": true, "ipMasq": true,
			"ipam": cni.Conf{"type": "host-local", "ranges": [][]cni.Conf{{{"subnet": "10.99.0.0/16"}}}},
		},
		{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": "iptables"},
		{"type": "firewall", "backend": "iptables"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ref.conflist"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	nettest.Program(t, "firewall")
	cmd := s.Command(nettest.Program(t, "cnitool"), verb, "ref", c.Path())
	cmd.Env = append(
		os.Environ(), "NETCONFPATH="+dir, "CNI_PATH="+filepath.Dir(nettest.Program(t, "bridge")),
		`CAP_ARGS={"portMappings": [{"hostPort": 9090, "containerPort": 80, "protocol": "tcp"}]}`,
	)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
