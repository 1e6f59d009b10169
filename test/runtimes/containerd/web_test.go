package containerd

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// defaultConflist is the default of containerd (script/setup/install-cni writes it), with only the words "bridge" and
// "host-local" replaced. The portmap in its chain is the reference's.
const defaultConflist = `{
  "cniVersion": "1.0.0",
  "name": "containerd-net",
  "plugins": [
    {
      "type": "patchbay",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "promiscMode": true,
      "ipam": {
        "type": "patchbay",
        "ranges": [
          [{"subnet": "10.88.0.0/16"}],
          [{"subnet": "2001:4860:4860::/64"}]
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}`

// recordDir is the directory of our records of the network of defaultConflist.
const recordDir = "/run/patchbay/containerd-net"

// record is the part of a record that these tests read.
type record struct {
	ContainerID string
	Addresses   []struct{ Address netip.Prefix }
	Pod         pod
}

type pod struct{ Namespace, Name, UID string }

// records returns the records of the network by container ID.
func (n *node) records() map[string]record {
	n.t.Helper()
	out := map[string]record{}
	for _, name := range n.files(recordDir) {
		var r record
		var text []byte
		var err error
		n.Do(func() { text, err = os.ReadFile(path.Join(recordDir, name)) })
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			n.t.Fatalf("record %s: %v", name, err)
		}
		out[r.ContainerID] = r
	}
	return out
}

// TestSandboxes: twenty pods with a web server each, reached by both families, from the host and from one another.
// Their records name the pods; when the pods have been removed nothing of them is left.
//
// Claim/containerd_of_Debian,containerd_2: containerd, Debian's and version 2, runs twenty pods with a web server each, reachable by IPv4
// and IPv6, from the host and from one another; their records name the pods
// Claim/containerd_of_Debian: containerd's default conflist and CRI-O's work with the words "bridge" and "host-local" replaced and the
// reference portmap in the chain
func TestSandboxes(t *testing.T) {
	for name, r := range releases() {
		t.Run(name, func(t *testing.T) { twenty(t, newNode(t, r(t), defaultConflist)) })
	}
}

func twenty(t *testing.T, n *node) {
	sandboxes := n.runAll(names(20), 4)
	records := n.records()
	for _, s := range sandboxes {
		if len(s.addrs) != 2 || !s.addrs[0].Is4() || !s.addrs[1].Is6() {
			t.Fatalf("%s has the addresses %v", s.name, s.addrs)
		}
		n.serves(s)
		r := records[s.id]
		want := pod{Namespace: "default", Name: s.name, UID: "uid-" + s.name}
		if diff := cmp.Diff(want, r.Pod); diff != "" {
			t.Errorf("pod of the record of %s (-want +got):\n%s", s.name, diff)
		}
		var recorded []netip.Addr
		for _, a := range r.Addresses {
			recorded = append(recorded, a.Address.Addr())
		}
		if !slices.Equal(recorded, s.addrs) {
			t.Errorf("record of %s has the addresses %v, containerd %v", s.name, recorded, s.addrs)
		}
	}
	n.asks(sandboxes[0], sandboxes[19])
	n.asks(sandboxes[19], sandboxes[7])
	n.removeAll(n.ids(), 4)
	n.alone()
	n.NoLeaks(t)
}

// files returns the names in a directory of the host, none if it does not exist.
func (n *node) files(dir string) []string {
	n.t.Helper()
	var out []string
	var entries []os.DirEntry
	var err error
	n.Do(func() { entries, err = os.ReadDir(dir) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
