package containerd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/patchbay-cni/patchbay/test/kit/image"
)

// sandbox is a pod sandbox that containerd reports as ready.
type sandbox struct {
	id    string
	name  string
	addrs []netip.Addr
	netns string
}

// podConfig returns the pod configuration that a kubelet sends.
func (n *node) podConfig(name string) *runtime.PodSandboxConfig {
	return &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "default"},
		Hostname: name,
		Linux:    &runtime.LinuxPodSandboxConfig{CgroupParent: n.cgroups},
	}
}

// runSandbox calls RunPodSandbox.
func (n *node) runSandbox(name string) (string, error) {
	answer, err := n.cri.runtime.RunPodSandbox(n.context(), &runtime.RunPodSandboxRequest{Config: n.podConfig(name)})
	return answer.GetPodSandboxId(), err
}

// removeSandbox calls StopPodSandbox and RemovePodSandbox, as a kubelet does.
func (n *node) removeSandbox(id string) error {
	if _, err := n.cri.runtime.StopPodSandbox(n.context(), &runtime.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", id, err)
	}
	if _, err := n.cri.runtime.RemovePodSandbox(n.context(), &runtime.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", id, err)
	}
	return nil
}

// status returns the state of a sandbox in containerd.
func (n *node) status(id string) sandbox {
	n.t.Helper()
	answer, err := n.cri.runtime.PodSandboxStatus(n.context(), &runtime.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		n.t.Fatalf("status of sandbox %s: %v", id, err)
	}
	s := sandbox{id: id, name: answer.GetStatus().GetMetadata().GetName()}
	network := answer.GetStatus().GetNetwork()
	all := []string{network.GetIp()}
	for _, more := range network.GetAdditionalIps() {
		all = append(all, more.GetIp())
	}
	for _, text := range all {
		if a, err := netip.ParseAddr(text); err == nil {
			s.addrs = append(s.addrs, a)
		}
	}
	s.netns = n.netnsOf(id, answer.GetInfo()["info"])
	return s
}

// netnsOf returns the path of a sandbox's network namespace, as containerd sees it, from the specification for runc.
func (n *node) netnsOf(id, text string) string {
	n.t.Helper()
	var info struct {
		RuntimeSpec struct {
			Linux struct{ Namespaces []struct{ Type, Path string } }
		}
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		n.t.Fatalf("information of sandbox %s: %v", id, err)
	}
	for _, space := range info.RuntimeSpec.Linux.Namespaces {
		if space.Type == "network" {
			return space.Path
		}
	}
	n.t.Fatalf("sandbox %s has no network namespace: %s", id, text)
	return ""
}

// ids returns the sandboxes that containerd knows, in any state.
func (n *node) ids() []string {
	n.t.Helper()
	answer, err := n.cri.runtime.ListPodSandbox(n.context(), &runtime.ListPodSandboxRequest{})
	if err != nil {
		n.t.Fatalf("list sandboxes: %v", err)
	}
	var ids []string
	for _, s := range answer.GetItems() {
		ids = append(ids, s.GetId())
	}
	return ids
}

// names returns n names of pods.
func names(count int) []string {
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprintf("web%03d", i)
	}
	return out
}

// each calls a function for each name, a limited number at a time, and returns results and errors in the order of the
// names.
func each(all []string, atOnce int, do func(string) (string, error)) ([]string, []error) {
	answers, errs := make([]string, len(all)), make([]error, len(all))
	free := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, one := range all {
		free <- struct{}{}
		wg.Go(func() {
			answers[i], errs[i] = do(one)
			<-free
		})
	}
	wg.Wait()
	return answers, errs
}

// runAll starts sandboxes, a limited number at a time; all must start.
func (n *node) runAll(all []string, atOnce int) []sandbox {
	n.t.Helper()
	ids, errs := each(all, atOnce, n.runSandbox)
	n.succeeded("start", errs)
	out := make([]sandbox, len(ids))
	for i, id := range ids {
		out[i] = n.status(id)
	}
	return out
}

// removeAll removes sandboxes, a limited number at a time; all must be removed.
func (n *node) removeAll(ids []string, atOnce int) {
	n.t.Helper()
	_, errs := each(ids, atOnce, func(id string) (string, error) { return "", n.removeSandbox(id) })
	n.succeeded("remove", errs)
}

func (n *node) succeeded(what string, errs []error) {
	n.t.Helper()
	for i, err := range errs {
		if err != nil {
			n.t.Fatalf("%s %d of %d: %v\n%s", what, i+1, len(errs), err, n.said())
		}
	}
}

// get sends a request to the web server at an address, from the host. One try is enough only if the server listens
// already.
func (n *node) get(addr netip.Addr) (string, error) {
	var conn net.Conn
	var err error
	n.Do(func() { conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(addr, 80).String(), 5*time.Second) })
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /index.html HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	return strings.TrimSpace(line), err
}

// serves requires that a sandbox answers at each of its addresses with its own name.
func (n *node) serves(s sandbox) {
	n.t.Helper()
	for _, addr := range s.addrs {
		var said string
		n.await(fmt.Sprintf("serving %s at %s", s.name, addr), func() (ok bool, err error) {
			said, err = n.get(addr) // refused until the server listens, for which there is no event
			return err == nil, err
		})
		if said != s.name {
			n.t.Errorf("%s answers %q, want %q", addr, said, s.name)
		}
	}
}

// asks sends a request to the web server of one sandbox from inside another.
func (n *node) asks(from, to sandbox) {
	n.t.Helper()
	for _, addr := range to.addrs {
		url := fmt.Sprintf("http://%s/index.html", netip.AddrPortFrom(addr, 80))
		said := n.run("nsenter", "--net="+from.netns, image.Busybox(n.t), "wget", "-q", "-O", "-", url)
		if strings.TrimSpace(said) != to.name {
			n.t.Errorf("from %s, %s answers %q, want %q", from.name, addr, said, to.name)
		}
	}
}
