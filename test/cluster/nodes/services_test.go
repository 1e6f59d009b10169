package nodes

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// services are one of the pods of web, and one of a single pod that keeps the address of clients from outside.
const services = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: single}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  ipFamilyPolicy: RequireDualStack
  selector: {app: single}
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: single}
spec:
  replicas: 1
  selector: {matchLabels: {app: single}}
  template:
    metadata: {labels: {app: single}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      containers:
        - {name: server, image: "` + serverImage + `", imagePullPolicy: Never}
`

// service is the addresses and the port of the nodes of a Service.
type service struct {
	ips  []netip.Addr
	port int
}

func (c *cluster) service(t *testing.T, name string) service {
	t.Helper()
	var o struct {
		Spec struct {
			ClusterIPs []netip.Addr
			Ports      []struct{ NodePort int }
		}
	}
	if err := c.api.Request("GET", "/api/v1/namespaces/default/services/"+name, nil, &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Spec.ClusterIPs) != 2 || len(o.Spec.Ports) != 1 {
		t.Fatalf("Service %s: %+v", name, o.Spec)
	}
	return service{o.Spec.ClusterIPs, o.Spec.Ports[0].NodePort}
}

// testServices: kube-proxy in mode nftables beside the ruleset of the plugin.
func (c *cluster) testServices(t *testing.T) {
	c.apply(t, services)
	pods := c.awaitPods(t, "default", "app=web", 12)
	single := c.awaitPods(t, "default", "app=single", 1)[0]
	c.awaitService(t, pods, "web")
	c.awaitService(t, []pod{single}, "single")
	t.Run("ClusterIP", func(t *testing.T) { c.testClusterIP(t, pods) })
	t.Run("Hairpin", func(t *testing.T) { c.testHairpin(t, single) })
	t.Run("NodePort", func(t *testing.T) { c.testNodePort(t, pods) })
	t.Run("Local", func(t *testing.T) { c.testLocal(t, single) })
	t.Run("Outside", func(t *testing.T) { c.testOutside(t, pods) })
	c.api.Must(t, "DELETE", "/apis/apps/v1/namespaces/default/deployments/single", object{"propagationPolicy": "Background"})
	c.awaitPods(t, "default", "app=single", 0)
}

// awaitService waits until each node forwards its own requests to both addresses of a Service.
func (c *cluster) awaitService(t *testing.T, pods []pod, name string) {
	t.Helper()
	for _, n := range c.nodes {
		for _, ip := range c.service(t, name).ips {
			apiserver.Eventually(t, "Service "+name+" on "+n.name, func() error {
				if answer := n.ask(t, hostOf(ip))[0]; !slices.Contains(names(pods), strings.Fields(answer)[0]) {
					return fmt.Errorf("%s: %s", ip, answer)
				}
				return nil
			})
		}
	}
}

// names returns the names of the pods.
func names(pods []pod) (all []string) {
	for _, p := range pods {
		all = append(all, p.name)
	}
	return all
}

// answered requires that each answer is that of one of the pods, and sees an address of from; nil is any.
func answered(t *testing.T, what string, answers []string, pods []pod, from func(server string) []netip.Addr) {
	t.Helper()
	for _, answer := range answers {
		server, client, _ := strings.Cut(answer, " ")
		if !slices.Contains(names(pods), server) {
			t.Errorf("%s: %q is the answer of no pod", what, answer)
			continue
		}
		ip, err := netip.ParseAddr(client)
		if want := from(server); err != nil || !slices.Contains(want, ip) {
			t.Errorf("%s: %s sees %s, want one of %s", what, server, client, want)
		}
	}
}

// addressesOf returns the addresses of a node: those of its bridge too.
func (n *node) addressesOf(t *testing.T) (all []netip.Addr) {
	t.Helper()
	for _, field := range strings.Fields(n.run(t, "sh", "-c", "ip -o address show scope global | awk '{ print $4 }'")) {
		all = append(all, netip.MustParsePrefix(field).Addr())
	}
	return all
}

// repeated returns hosts for ten requests to each address.
func repeated(ips []netip.Addr, port int) (hosts []string) {
	for _, ip := range ips {
		hosts = append(hosts, slices.Repeat([]string{fmt.Sprintf("%s:%d", hostOf(ip), port)}, 10)...)
	}
	return hosts
}

// testClusterIP: the server sees the address of the pod that asks, unless it is that pod; of a node that asks it sees an address of the node.
func (c *cluster) testClusterIP(t *testing.T, pods []pod) {
	hosts := repeated(c.service(t, "web").ips, 80)
	for _, n := range c.nodes {
		ours := n.addressesOf(t)
		client := pods[slices.IndexFunc(pods, func(p pod) bool { return p.node == n })]
		answered(t, "from "+client.name, client.ask(t, hosts...), pods, func(server string) []netip.Addr {
			if server == client.name {
				return ours
			}
			return client.ips
		})
		answered(t, "from "+n.name, n.ask(t, hosts...), pods, func(string) []netip.Addr { return ours })
	}
}

// testHairpin: a pod that is the only one of a Service asks the Service.
func (c *cluster) testHairpin(t *testing.T, single pod) {
	ours := single.node.addressesOf(t)
	answers := single.ask(t, repeated(c.service(t, "single").ips, 80)...)
	answered(t, "from "+single.name, answers, []pod{single}, func(string) []netip.Addr { return ours })
}

// nodeAddresses returns both addresses of a node on the LAN.
func (n *node) nodeAddresses() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr(n.addresses[0]), netip.MustParseAddr(n.addresses[1])}
}

// testNodePort: a request from outside to any node, at both addresses, is answered by a pod of any node, which sees an address of the node.
func (c *cluster) testNodePort(t *testing.T, pods []pod) {
	for _, n := range c.nodes {
		ours := n.addressesOf(t)
		answers := c.askOutside(t, repeated(n.nodeAddresses(), c.service(t, "web").port)...)
		answered(t, "outside by "+n.name, answers, pods, func(string) []netip.Addr { return ours })
	}
}

// testLocal: with externalTrafficPolicy Local the pod sees the address of the client, and a node without the pod does not answer.
func (c *cluster) testLocal(t *testing.T, single pod) {
	outside := []netip.Addr{netip.MustParseAddr(nettest.LANOutside4), netip.MustParseAddr(nettest.LANOutside6)}
	port := c.service(t, "single").port
	answers := c.askOutside(t, repeated(single.node.nodeAddresses(), port)...)
	answered(t, "outside by "+single.node.name, answers, []pod{single}, func(string) []netip.Addr { return outside })
	var wait sync.WaitGroup
	for _, n := range c.nodes {
		for _, ip := range n.nodeAddresses() {
			if n == single.node {
				continue
			}
			wait.Go(func() {
				if answer := c.askOutside(t, fmt.Sprintf("%s:%d", hostOf(ip), port))[0]; !strings.Contains(answer, "Client.Timeout") {
					t.Errorf("%s has no pod of the Service, and its answer is %q", n.name, answer)
				}
			})
		}
	}
	wait.Wait()
}

// testOutside: a server outside, which has no route to pods, sees the address of the node.
func (c *cluster) testOutside(t *testing.T, pods []pod) {
	listeners := make([]net.Listener, 2)
	hosts := []string{nettest.LANOutside4, "[" + nettest.LANOutside6 + "]"}
	for i, host := range hosts {
		var err error
		c.lan.Outside.Do(func() { listeners[i], err = net.Listen("tcp", host+":80") })
		if err != nil {
			t.Fatal(err)
		}
		//nolint:gosec // a server of a test
		go func() { _ = http.Serve(listeners[i], http.HandlerFunc(client)) }()
		defer listeners[i].Close()
	}
	for _, p := range pods {
		want := []string{"outside " + p.node.addresses[0], "outside " + p.node.addresses[1]}
		if answers := p.ask(t, hosts...); !slices.Equal(answers, want) {
			t.Errorf("from %s: %q, want %q", p, answers, want)
		}
	}
}

// client answers with the address of the client.
func client(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Fprintln(w, "outside", host)
}
