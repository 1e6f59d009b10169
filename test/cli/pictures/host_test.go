package pictures

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/topo"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 4) }

// scene is a host with attachments that the end of the test removes.
type scene struct {
	*nettest.Node
	t     *testing.T
	calls []nettest.Call
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Node: nettest.Host(t), t: t}
	t.Cleanup(s.detach)
	return s
}

// detach removes all attachments, the last one first.
func (s *scene) detach() {
	for i := len(s.calls) - 1; i >= 0; i-- {
		s.calls[i].Command = "DEL"
		s.CNI(s.t, s.calls[i]).OK(s.t)
	}
	s.calls = nil
}

// attach adds an interface of a container, with CNI_ARGS.
func (s *scene) attach(c *nettest.Container, ifname, args string, conf cni.Conf) {
	s.t.Helper()
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: ifname, Args: args, Config: conf.JSON(s.t)}
	s.CNI(s.t, call).OK(s.t)
	s.calls = append(s.calls, call)
}

func podArgs(namespace, name string) string {
	return fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s", namespace, name)
}

// answer is the output of a command and its exit code.
type answer struct {
	exit           int
	stdout, stderr string
}

func (s *scene) command(args ...string) *nettest.Cmd {
	s.t.Helper()
	cmd := s.Command(nettest.Patchbay(s.t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	return cmd
}

// run runs the program and waits for its end.
func (s *scene) run(args ...string) answer {
	s.t.Helper()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// show requires success, and returns the picture.
func (s *scene) show(args ...string) string {
	s.t.Helper()
	a := s.run(append([]string{"show"}, args...)...)
	if a.exit != 0 || a.stderr != "" {
		s.t.Fatalf("patchbay show %s: exit %d\n%s%s", strings.Join(args, " "), a.exit, a.stdout, a.stderr)
	}
	return a.stdout
}

// view returns the View of the host as `show -o json` prints it.
func (s *scene) view() *topo.View {
	s.t.Helper()
	v := &topo.View{}
	if err := json.Unmarshal([]byte(s.show("-o", "json")), v); err != nil {
		s.t.Fatal(err)
	}
	return v
}
