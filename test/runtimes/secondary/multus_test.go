package secondary

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// multus is the plugin Multus on a host.
type multus struct {
	t             *testing.T
	h             *nettest.Node
	program, path string
}

func newMultus(t *testing.T, h *nettest.Node) *multus {
	t.Helper()
	program := filepath.Join(os.Getenv("PATCHBAY_CACHE_BIN"), "multus")
	if _, err := os.Stat(program); err != nil {
		t.Skip("needs the program multus in .cache/bin: the Go module proxy does not have its module")
	}
	return &multus{t, h, program, plugins(t)}
}

func (m *multus) attach(pod *nettest.Container, names []string) error {
	return m.call("ADD", pod, names)
}

func (m *multus) detach(pod *nettest.Container, names []string) error {
	return m.call("DEL", pod, names)
}

// call calls Multus as a runtime does: its delegates are in its configuration, which needs no API server.
func (m *multus) call(verb string, pod *nettest.Container, names []string) error {
	m.t.Helper()
	var delegates []cni.Conf
	for _, name := range names {
		delegates = append(delegates, list(name))
	}
	config := cni.Conf{"cniVersion": "1.0.0", "name": "multus", "type": "multus", "binDir": m.path, "delegates": delegates}
	answer := m.h.CNI(m.t, nettest.Call{
		Command: verb, ContainerID: pod.ID(), Netns: pod.Path(), IfName: "eth0", Config: config.JSON(m.t), Plugin: m.program, Path: m.path,
		Args: "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + pod.Name() + ";K8S_POD_UID=uid-" + pod.Name(),
	})
	if answer.Exit != 0 {
		return errors.New(answer.String())
	}
	return nil
}
