package containerd

import (
	"strings"
	"testing"
)

// TestCtr: `ctr run --cni` calls ADD with the path of a process's namespace, and DEL without a path, after the process
// has ended. The same name is used three times; a pod sandbox of the same network is reached from inside.
//
// Claim: With `ctr run --cni`, and with nerdctl's removal before each ADD, a DEL without a namespace removes everything
// Claim: containerd's default conflist and CRI-O's work with the words "bridge" and "host-local" replaced and the reference portmap in the
// chain
func TestCtr(t *testing.T) {
	n := newNode(t, debian(t), defaultConflist)
	server := n.runAll(names(1), 1)[0]
	n.serves(server)
	const script = `ip -o addr show dev eth0; wget -q -O - "http://$0/index.html"; wget -q -O - "http://[$1]/index.html"`
	for range 3 {
		said := n.run("ctr", "-n", "k8s.io", "run", "--rm", "--cni", webImage, "client", "/bin/sh", "-c", script, server.addrs[0].String(), server.addrs[1].String())
		if strings.Count(said, server.name) != 2 {
			t.Errorf("inside the container:\n%s", said)
		}
		if records := n.records(); len(records) != 1 {
			t.Errorf("%d records after ctr's DEL: %v", len(records), records)
		}
	}
	n.removeAll(n.ids(), 1)
	n.alone()
	n.NoLeaks(t)
}
