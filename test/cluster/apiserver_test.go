package cluster

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// accountToken is that of the service account of conf/kubernetes/agent.yaml.
const (
	accountToken = "account-of-tests"
	apiAddress   = "192.0.2.100"
	apiURL       = "https://" + apiAddress + ":6443"
)

// apiServer is etcd and kube-apiserver in a namespace on the LAN.
type apiServer struct {
	*apiserver.Server
	t     testing.TB
	netns *nettest.Netns
}

// startAPIServer starts both, kube-apiserver with more options, and returns when requests are answered.
func startAPIServer(t testing.TB, lan *nettest.LAN, args []string) *apiServer {
	t.Helper()
	s := &apiServer{t: t, netns: lan.Neighbour("api", apiAddress+"/24", "2001:db8:0:1::100/64")}
	s.Server = apiserver.Start(t, apiserver.Options{
		Netns: s.netns, Address: apiAddress,
		Tokens: accountToken + ",system:serviceaccount:kube-system:patchbay-agent,2,system:serviceaccounts\n",
		Args:   append(args, "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount"),
	})
	if err := os.WriteFile(s.path("token"), []byte(accountToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *apiServer) path(name string) string { return s.Path(name) }

// must ends the test if a request failed.
func (s *apiServer) must(method, path string, in, out any) {
	s.t.Helper()
	if err := s.Request(method, path, in, out); err != nil {
		s.t.Fatal(err)
	}
}

// nodeObject is a Node object to create.
type nodeObject struct {
	name      string
	cidrs     []string
	addresses []string
	images    int // number of image names in the status
}

type object = apiserver.Object

// create creates a Node object with its status.
func (s *apiServer) create(n nodeObject) {
	s.t.Helper()
	spec := object{}
	if len(n.cidrs) > 0 {
		spec["podCIDR"], spec["podCIDRs"] = n.cidrs[0], n.cidrs
	}
	s.must("POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": n.name}, "spec": spec, "status": n.status()}, nil)
}

// setAddresses writes the status, as kubelet does.
func (s *apiServer) setAddresses(n nodeObject) {
	s.t.Helper()
	s.must("PATCH", "/api/v1/nodes/"+n.name+"/status", object{"status": n.status()}, nil)
}

// status returns the status of the object.
func (n nodeObject) status() object {
	addresses := []object{{"type": "Hostname", "address": n.name}}
	for _, a := range n.addresses {
		addresses = append(addresses, object{"type": "InternalIP", "address": a})
	}
	status := object{"addresses": addresses}
	if n.images > 0 {
		var images []object
		for i := range n.images {
			images = append(images, object{"sizeBytes": 1e8 + i, "names": []string{
				fmt.Sprintf("registry.example.com/team/application-%d@sha256:%064x", i, i), fmt.Sprintf("registry.example.com/team/application-%d:v1.%d.0-build.7", i, i),
			}})
		}
		status["images"] = images
	}
	return status
}

func (s *apiServer) remove(name string) {
	s.t.Helper()
	s.must("DELETE", "/api/v1/nodes/"+name, nil, nil)
}

// awaitLaterThan returns when new Node objects are younger than this one: creationTimestamp has whole seconds.
func (s *apiServer) awaitLaterThan(name string) {
	s.t.Helper()
	var old, clock struct {
		Metadata struct{ CreationTimestamp time.Time }
	}
	s.must("GET", "/api/v1/nodes/"+name, nil, &old)
	eventually(s.t, "a later second", func() error {
		s.must("POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": "clock"}}, &clock)
		s.remove("clock")
		if !clock.Metadata.CreationTimestamp.After(old.Metadata.CreationTimestamp) {
			return fmt.Errorf("it is %s", clock.Metadata.CreationTimestamp)
		}
		return nil
	})
}

// eventually waits until check returns nil.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	apiserver.Eventually(t, what, check)
}
