package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// flannelConf is net-conf.json of flannel: routes between nodes of one LAN, as patchbay-agent has them in the mode direct.
const flannelConf = `{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48", "Backend": {"Type": "host-gw"}}`

// daemon is a program that writes the routes of a node.
type daemon struct {
	name  string
	start func(n *node)
}

// TestBesideFlannel: patchbay-agent, and then flanneld, on the same three hosts with the same API server. The figures of docs/cluster.md are its output;
// what is required is required of patchbay-agent alone.
//
// Claim: On the same hosts as flannel's, patchbay-agent deletes the routes of a node that was deleted while it was down
func TestBesideFlannel(t *testing.T) {
	l := newLab(t, 3)
	for _, n := range l.nodes {
		n.NoOracle("flannel leaves routes, annotations and rules of iptables")
	}
	ours := l.compare(daemon{"patchbay-agent", (*node).startAgent})
	for _, n := range l.nodes {
		n.Run(t, agentProgram(t), "--clean")
	}
	l.prepareFlannel()
	theirs := l.compare(daemon{"flanneld", (*node).startFlannel})
	t.Logf("patchbay-agent:\n%s\nflanneld:\n%s", ours, theirs)
	if ours.stale != 0 {
		t.Errorf("%d routes of a node that was deleted while patchbay-agent was down", ours.stale)
	}
}

// figures are what compare measures.
type figures struct {
	all, created, deleted, lost time.Duration
	resident                    int // kB, of one of three
	stale                       int // routes, 20 s after the start
}

func (f figures) String() string {
	return fmt.Sprintf("all routes %s after the start; new node %s; deleted node %s; lost route back %s; resident %d kB; stale routes %d",
		f.all, f.created, f.deleted, f.lost, f.resident, f.stale)
}

// compare runs a daemon on all hosts.
func (l *lab) compare(d daemon) (f figures) {
	l.t.Helper()
	began := time.Now()
	for _, n := range l.nodes {
		d.start(n)
	}
	for _, n := range l.nodes {
		for _, other := range l.nodes {
			if other != n {
				n.awaitCIDRs(other.object.cidrs, 1)
			}
		}
	}
	f.all = time.Since(began)
	fourth := nodeObject{name: "node-9", cidrs: []string{"10.244.9.0/24", "fd00:10:244:9::/64"}, addresses: []string{"192.0.2.99", "2001:db8:0:1::99"}}
	f.created = l.all(fourth, 1, func() { l.createForBoth(fourth) })
	f.resident = l.nodes[0].usage().resident
	f.deleted = l.all(fourth, 0, func() { l.api.remove(fourth.name) })
	f.lost = l.lost()
	f.stale = l.stale(d, fourth)
	for _, n := range l.nodes {
		n.stopAgent()
	}
	return f
}

// all does something, and returns after which time each host has n routes of each family to the pods of a node.
func (l *lab) all(o nodeObject, n int, do func()) time.Duration {
	l.t.Helper()
	began := time.Now()
	do()
	for _, host := range l.nodes {
		host.awaitCIDRs(o.cidrs, n)
	}
	return time.Since(began)
}

// createForBoth creates a Node object that flannel takes for one of its nodes: with the annotations that flanneld would write.
func (l *lab) createForBoth(o nodeObject) {
	l.api.create(o)
	const prefix = "flannel.alpha.coreos.com/"
	l.api.must("PATCH", "/api/v1/nodes/"+o.name, object{"metadata": object{"annotations": object{
		prefix + "backend-type": "host-gw", prefix + "backend-data": "null", prefix + "backend-v6-data": "null", prefix + "kube-subnet-manager": "true",
		prefix + "public-ip": o.addresses[0], prefix + "public-ipv6": o.addresses[1],
	}}}, nil)
}

// lost deletes a route by hand, and returns after which time it is back.
func (l *lab) lost() time.Duration {
	n, other := l.nodes[0], l.nodes[1]
	n.Run(l.t, "ip", "route", "delete", other.object.cidrs[0])
	began := time.Now()
	n.awaitCIDRs(other.object.cidrs, 1)
	return time.Since(began)
}

// stale deletes a node while the daemon of the first host is down, and returns how many routes to it there are 20 s after its start: flannel compares
// every 10 s.
func (l *lab) stale(d daemon, o nodeObject) int {
	l.all(o, 1, func() { l.createForBoth(o) })
	n := l.nodes[0]
	n.stopAgent()
	l.api.remove(o.name)
	d.start(n)
	time.Sleep(20 * time.Second)
	return n.countRoutes(o.cidrs[0]) + n.countRoutes(o.cidrs[1])
}

// awaitCIDRs waits until the host has n routes to each of some networks.
func (n *node) awaitCIDRs(cidrs []string, want int) {
	n.lab.t.Helper()
	eventually(n.lab.t, "routes of "+n.object.name, func() error {
		for _, cidr := range cidrs {
			if got := n.countRoutes(cidr); got != want {
				return fmt.Errorf("%d routes to %s, want %d", got, cidr, want)
			}
		}
		return nil
	})
}

func (n *node) countRoutes(cidr string) int {
	family := "-4"
	if strings.Contains(cidr, ":") {
		family = "-6"
	}
	return strings.Count(n.Run(n.lab.t, "ip", family, "route", "show", cidr), "\n")
}

// prepareFlannel writes the files that flanneld reads, and gives the Node objects what those of kubelet have: without an annotation flanneld panics.
func (l *lab) prepareFlannel() {
	for _, n := range l.nodes {
		l.api.must("PATCH", "/api/v1/nodes/"+n.object.name, object{"metadata": object{
			"annotations": object{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}, "labels": object{"kubernetes.io/os": "linux"},
		}}, nil)
		n.write("/etc/kube-flannel/net-conf.json", flannelConf)
		n.write("/etc/kube-flannel/kubeconfig", `{"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
			"clusters": [{"name": "c", "cluster": {"server": "`+apiURL+`", "insecure-skip-tls-verify": true}}], "users": [{"name": "u", "user": {"token": "`+apiserver.AdminToken+`"}}]}`)
	}
}

// startFlannel starts flanneld in place of the agent.
func (n *node) startFlannel() {
	n.lab.t.Helper()
	n.startLogged("env", "NODE_NAME="+n.object.name, nettest.Program(n.lab.t, "flanneld"), "--kube-subnet-mgr", "--kubeconfig-file=/etc/kube-flannel/kubeconfig",
		"--net-config-path=/etc/kube-flannel/net-conf.json", "--subnet-file=/run/flannel/subnet.env", "--iface=eth0", "--iptables-forward-rules=false")
}
