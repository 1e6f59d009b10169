package secondary

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cri-o/ocicni/pkg/ocicni"
	"github.com/sirupsen/logrus"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// setting holds the parameters of ocicni.
type setting struct{ Bin, Confs string }

// TestMain also runs this program inside the hosts of the tests, where it calls ocicni.
func TestMain(m *testing.M) {
	logrus.SetLevel(logrus.FatalLevel) // errors are in the answers
	var plugin ocicni.CNIPlugin
	pod := func(input json.RawMessage, call func(ocicni.PodNetwork) error) (any, error) {
		var p ocicni.PodNetwork
		if err := json.Unmarshal(input, &p); err != nil {
			return nil, err
		}
		return nil, call(p)
	}
	inside.Main(m, inside.Calls{
		"load": func(input json.RawMessage) (any, error) {
			var s setting
			err := json.Unmarshal(input, &s)
			if err == nil {
				plugin, err = ocicni.InitCNI("default", s.Confs, s.Bin)
			}
			return nil, err
		},
		"set up": func(input json.RawMessage) (any, error) {
			return pod(input, func(p ocicni.PodNetwork) error { _, err := plugin.SetUpPod(p); return err })
		},
		"tear down": func(input json.RawMessage) (any, error) {
			return pod(input, func(p ocicni.PodNetwork) error { return plugin.TearDownPod(p) })
		},
	})
}

// library is ocicni on a host.
type library struct {
	t   *testing.T
	run *inside.Program
}

func newLibrary(t *testing.T, h *nettest.Node) *library {
	t.Helper()
	confs := t.TempDir()
	for name := range networks() {
		if err := os.WriteFile(filepath.Join(confs, name+".conflist"), list(name).JSON(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &library{t, inside.Start(t, h)}
	if err := l.run.Ask(t, "load", setting{Bin: plugins(t), Confs: confs}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *library) attach(pod *nettest.Container, names []string) error {
	return l.ask("set up", pod, names)
}

func (l *library) detach(pod *nettest.Container, names []string) error {
	return l.ask("tear down", pod, names)
}

func (l *library) ask(call string, pod *nettest.Container, names []string) error {
	l.t.Helper()
	p := ocicni.PodNetwork{Name: pod.Name(), Namespace: "default", ID: pod.ID(), UID: "uid-" + pod.Name(), NetNS: pod.Path()}
	for i, name := range names {
		p.Networks = append(p.Networks, ocicni.NetAttachment{Name: name, Ifname: interfaceName(i)})
	}
	return l.run.Ask(l.t, call, p, nil)
}
