package reported

import (
	"os"
	"testing"
)

const stickyPool = `"sticky": true, "ranges": [[{"subnet": "192.0.2.0/24"}]]`

func podArgs(namespace, name, uid string) string {
	return "K8S_POD_NAMESPACE=" + namespace + ";K8S_POD_NAME=" + name + ";K8S_POD_UID=" + uid
}

// returns requires that owners, each a container name and a CNI_ARGS, get an address each, and the same one again in
// whatever order they are attached again.
func (n *addrNode) returns(t *testing.T, conf string, owners [][2]string) {
	t.Helper()
	had := map[string]string{}
	for _, o := range owners {
		had[o[0]] = n.someAddress(t, o[0], conf, o[1])
	}
	seen := map[string]string{}
	for name, address := range had {
		if other, twice := seen[address]; twice {
			t.Fatalf("%s and %s have the same address, %s", name, other, address)
		}
		seen[address] = name
		n.del(t, name, conf)
	}
	for i := range owners {
		o := owners[len(owners)-1-i]
		n.getsAs(t, o[0], conf, o[1], had[o[0]])
	}
	for _, o := range owners {
		n.del(t, o[0], conf)
	}
}

func stickyOwnersWithSlash(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	n.returns(t, addrAdopting(stickyPool), [][2]string{
		{"one", podArgs("a/b", "c", "1")}, {"two", podArgs("a", "b/c", "2")}, {"three", podArgs("", "a/b/c", "3")}, {"four", podArgs("a", "b", "4")},
	})
}

// stickyOwnerTwice: the new pod gets another address, and the next one gets a free one.
func stickyOwnerTwice(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	conf := addrAdopting(stickyPool)
	n.getsAs(t, "old", conf, podArgs("default", "db-0", "1"), "192.0.2.2/24")
	n.getsAs(t, "new", conf, podArgs("default", "db-0", "2"), "192.0.2.3/24")
	n.getsAs(t, "newer", conf, podArgs("default", "db-0", "3"), "192.0.2.4/24")
	n.del(t, "new", conf)
	n.del(t, "newer", conf)
	n.getsAs(t, "new", conf, podArgs("default", "db-0", "4"), "192.0.2.4/24")
	n.del(t, "new", conf)
	n.del(t, "old", conf)
}

func stickyOwnerInterfaces(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	conf, args := addrAdopting(stickyPool), podArgs("default", "db-0", "1")
	other := addrWith(conf, `"name": "other"`)
	n.getsAs(t, "db", conf, args, "192.0.2.2/24")
	second := n.call(t, "ADD", "db", conf)
	second.Args, second.IfName = args, "eth1"
	n.CNI(t, second).OK(t)
	third := n.call(t, "ADD", "db", other)
	third.Args, third.IfName = args, "eth2"
	n.CNI(t, third).OK(t)
	show := n.container("db").Run(t, "ip", "-4", "-brief", "address", "show", "scope", "global")
	if !hasAll(show, "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24") {
		t.Errorf("the addresses of three interfaces on one bridge are not three:\n%s", show)
	}
	for _, call := range []struct{ conf, ifName string }{{conf, "eth0"}, {conf, "eth1"}, {other, "eth2"}} {
		del := n.call(t, "DEL", "db", call.conf)
		del.IfName = call.ifName
		n.CNI(t, del).OK(t)
	}
}

func stickyOwnersThatLookAlike(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	n.returns(t, addrAdopting(stickyPool), [][2]string{
		{"one", podArgs("a/b", "c", "1")},
		{"two", podArgs("a+b", "c", "2")},
		{"three", podArgs("a", "c@eth0", "3")},
		{"four", podArgs("a", "c", "4")},
		{"five", podArgs("a", "\"c\"", "5")},
		{"six", podArgs("\"a\"", "c", "6")},
		{"c", ""},
		{"seven", podArgs("", "c", "7")},
	})
}

// stickyMemoryOfBefore: files of names that Kubernetes allows keep their form.
func stickyMemoryOfBefore(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	const dir = "/var/lib/patchbay/sticky/net/"
	n.Do(func() {
		for path, text := range map[string]string{"owner-default+db-0@eth0": "192.0.2.77\n", "ip-192.0.2.77": "default/db-0@eth0"} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(dir+path, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	conf := addrAdopting(stickyPool)
	n.getsAs(t, "db", conf, podArgs("default", "db-0", "1"), "192.0.2.77/24")
	n.has(t, "/var/lib/patchbay/sticky/net", "ip-192.0.2.77 owner-default+db-0@eth0")
	n.del(t, "db", conf)
}
