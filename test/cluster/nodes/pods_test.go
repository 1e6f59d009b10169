package nodes

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// pod is a pod as the API has it.
type pod struct {
	name, uid, phase string
	node             *node
	ready            bool
	ips              []netip.Addr
	waiting          string // why a container is not running
	hostNetwork      bool
}

// String returns a text for failure messages.
func (p pod) String() string {
	name := "no node"
	if p.node != nil {
		name = p.node.name
	}
	return fmt.Sprintf("%s on %s: %s, ready %t, %v %s", p.name, name, p.phase, p.ready, p.ips, p.waiting)
}

// podList is what this package reads of a list of pods.
type podList struct {
	Items []struct {
		Metadata struct{ Name, UID, DeletionTimestamp string }
		Spec     struct {
			NodeName    string
			HostNetwork bool
		}
		Status struct {
			Phase             string
			PodIPs            []struct{ IP netip.Addr }
			Conditions        []struct{ Type, Status string }
			ContainerStatuses []struct {
				State map[string]struct{ Reason, Message string }
			}
		}
	}
}

// pods returns the pods of a namespace, "" for all, with a label, "" for any, that are not being deleted.
func (c *cluster) pods(t *testing.T, namespace, label string) (pods []pod) {
	t.Helper()
	path := "/api/v1/pods"
	if namespace != "" {
		path = "/api/v1/namespaces/" + namespace + "/pods"
	}
	var list podList
	if err := c.api.Request("GET", path+"?labelSelector="+url.QueryEscape(label), nil, &list); err != nil {
		t.Error(err)
	}
	for _, item := range list.Items {
		if item.Metadata.DeletionTimestamp != "" {
			continue
		}
		p := pod{name: item.Metadata.Name, uid: item.Metadata.UID, phase: item.Status.Phase, hostNetwork: item.Spec.HostNetwork}
		for _, n := range c.nodes {
			if n.name == item.Spec.NodeName {
				p.node = n
			}
		}
		for _, condition := range item.Status.Conditions {
			p.ready = p.ready || condition.Type == "Ready" && condition.Status == "True"
		}
		for _, status := range item.Status.ContainerStatuses {
			p.waiting += status.State["waiting"].Reason + " " + status.State["waiting"].Message
		}
		for _, ip := range item.Status.PodIPs {
			p.ips = append(p.ips, ip.IP)
		}
		pods = append(pods, p)
	}
	return pods
}

// awaitPods waits until a label has exactly this number of pods, all of which are Ready, and returns them.
func (c *cluster) awaitPods(t *testing.T, namespace, label string, count int) (pods []pod) {
	t.Helper()
	apiserver.Eventually(t, fmt.Sprintf("%d pods of %s are Ready", count, label), func() error {
		pods = c.pods(t, namespace, label)
		for _, p := range pods {
			if !p.ready || p.node == nil || !p.hostNetwork && len(p.ips) != 2 {
				return fmt.Errorf("%s", p)
			}
		}
		if len(pods) != count {
			return fmt.Errorf("there are %d", len(pods))
		}
		return nil
	})
	return pods
}

// netns returns the name of the network namespace of a pod, below /run/netns of its node.
func (p pod) netns(t *testing.T) string {
	t.Helper()
	const script = `for n in $(ls /run/netns); do ip -n $n -o address show dev eth0 2>/dev/null | grep -qF " $0/" && echo $n; done; true`
	name := strings.TrimSpace(p.node.run(t, "sh", "-c", script, p.ips[0].String()))
	if name == "" {
		t.Fatalf("no network namespace has %s", p)
	}
	return name
}

// in runs a program in the network namespace of a pod.
func (p pod) in(t *testing.T, args ...string) string {
	t.Helper()
	return p.node.run(t, append([]string{"ip", "netns", "exec", p.netns(t)}, args...)...)
}
