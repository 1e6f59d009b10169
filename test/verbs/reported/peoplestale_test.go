package reported

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// fix runs the commands that doctor prints, as one shell script.
func (p *person) fix() {
	p.t.Helper()
	var report struct{ Findings []struct{ Fix []string } }
	if err := json.Unmarshal([]byte(p.run("doctor", "-o", "json").out), &report); err != nil || len(report.Findings) == 0 {
		p.t.Fatalf("doctor: %v, %+v", err, report)
	}
	p.sh("PATH=" + filepath.Dir(nettest.Patchbay(p.t)) + ":$PATH\n" + strings.Join(report.Findings[0].Fix, "\n"))
}

// hostLink returns the host interface of an attachment from ls.
func (p *person) hostLink(name string) string {
	p.t.Helper()
	var all []struct{ Name, HostLink string }
	if err := json.Unmarshal([]byte(p.ok("ls", "-o", "json")), &all); err != nil {
		p.t.Fatal(err)
	}
	for _, a := range all {
		if a.Name == name && a.HostLink != "" {
			return a.HostLink
		}
	}
	p.t.Fatalf("ls does not list the host interface of %s: %+v", name, all)
	return ""
}

// call calls a verb as a runtime, for a network with these keys; by default it has a range of its own.
func (p *person) call(verb string, c *nettest.Container, ipam string) nettest.Answer {
	p.t.Helper()
	if ipam == "" {
		ipam = `"ipam": {"type": "patchbay", "dataDir": "/run/addresses", "ranges": [[{"subnet": "10.8.0.0/24"}]]}`
	}
	conf := `{"cniVersion": "1.0.0", "name": "pods", "type": "patchbay", "bridge": "pods0", "isGateway": true, ` + ipam + `}`
	a := p.CNI(p.t, nettest.Call{
		Command: verb, ContainerID: c.Name(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf), Path: filepath.Dir(nettest.Program(p.t, "static")),
	})
	a.OK(p.t)
	return a
}

// healthy requires that doctor finds nothing.
func (p *person) healthy() {
	p.t.Helper()
	expect.Contains(p.t, p.ok("doctor"), "no problems found; examined ")
}

func lostInterface(t *testing.T) {
	p := newPerson(t)
	p.ok("up", "s5")
	p.healthy()
	l := p.hostLink("s5")
	p.sh("ip link del " + l)
	p.sick("s5 of network patchbay no longer has its host interface: the container is unreachable on this network, and still holds 10.77.0.2",
		"no interface "+l+"; network namespace /run/netns/s5 exists", "fix:  patchbay detach s5 --network patchbay", "# then attach it again", "patchbay attach s5 --network patchbay")
	p.fix()
	p.ok("attach", "s5", "--network", "patchbay")
	p.healthy()
	p.ok("down", "s5")
}

func lostSecond(t *testing.T) {
	p := newPerson(t)
	p.network("lab", "lab0", "10.9.0.0/24")
	p.sh("ip netns add s5")
	p.ok("attach", "s5", "--network", "lab", "--interface", "lan1")
	p.sh("ip -n s5 link del lan1")
	p.sick("s5 of network lab no longer has its host interface", "fix:  patchbay detach s5 --network lab --interface lan1")
	p.fix()
	p.healthy()
	p.sh("ip netns del s5")
}

func lostByRuntime(t *testing.T) {
	p := newPerson(t)
	c := p.Container("c1")
	p.call("ADD", c, "")
	p.healthy()
	p.sh("ip link del " + p.hostLink("c1"))
	p.sick("c1 of network pods no longer has its host interface", "fix:  # delete the container with its runtime")
	if out := p.run("doctor").out; strings.Contains(out, "detach") || strings.Contains(out, "gc") {
		t.Errorf("doctor names a command that keeps it: %s", out)
	}
	p.call("DEL", c, "")
	p.healthy()
}

// staleOfRuntime: an attachment whose namespace no longer exists, and the findings of doctor.
func staleOfRuntime(ipam string, parts ...string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		c := p.Container("c1")
		p.call("ADD", c, ipam)
		c.Delete()
		p.until(t, "c1", "stale")
		p.sick(append(parts, "c1 of network pods no longer has a network namespace, and its record remains")...)
		p.fix()
		if ipam != "" {
			p.sick(parts...) // the remedy is only a comment
			p.call("DEL", c, ipam)
		}
		p.healthy()
	}
}

// releasedAddress: the reference's DEL has deleted the interface, and host-local the address file; the namespace still
// exists.
func releasedAddress(t *testing.T) {
	p := newPerson(t)
	c := p.Container("c1")
	p.call("ADD", c, "")
	p.sh("ip link del " + p.hostLink("c1") + "; rm /run/addresses/pods/10.8.0.2")
	p.sick("the record of c1 of network pods remains, though its addresses are released", "host-local has no file of this attachment", "fix:  patchbay gc")
	p.fix()
	p.healthy()
}

func unrecordedOfRuntime(t *testing.T) {
	p := newPerson(t)
	c := p.Container("c1")
	p.call("ADD", c, "")
	p.sh("rm /run/patchbay/pods/c1@eth0.json")
	p.sick("the record of c1 on network pods (eth0) is missing", "fix:  # delete the container with its runtime")
	if out := p.run("doctor").out; strings.Contains(out, "detach") {
		t.Errorf("doctor names detach, which does not detach it: %s", out)
	}
	p.call("DEL", c, "")
	p.healthy()
}

func manyStale(t *testing.T) {
	p := newPerson(t)
	var links []string
	for i := range 13 {
		name := fmt.Sprintf("s%d", i)
		p.ok("up", name)
		links = append(links, "ip link del "+p.hostLink(name))
	}
	p.sh(strings.Join(links, "\n"))
	out := p.run("doctor").out
	expect.Contains(t, out, "11 problems found; examined ", " (and 2 more)")
	for i := range 13 {
		p.run("down", fmt.Sprintf("s%d", i))
	}
	p.healthy()
}

// added adds an address in one of two namespaces, s2 with 10.77.0.3 and s3 with 10.77.0.4, and another one that is not
// assigned.
func added(name, address string, parts ...string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		for _, s := range []string{"s1", "s2", "s3"} {
			p.ok("up", s)
		}
		p.ok("down", "s1")
		p.healthy()
		p.sh("ip -n " + name + " address add " + address + " dev eth0; ip -n " + name + " address add 10.77.0.2/24 dev eth0") // the second is not assigned
		p.sick(append(parts, "which is not in its record")...)
		p.fix()
		p.healthy()
		p.ok("down", "s2")
		p.ok("down", "s3")
	}
}

func addedIPv6(t *testing.T) {
	p := newPerson(t)
	p.ok("up", "s2")
	p.ok("up", "s3")
	for _, name := range []string{"s2", "s3"} {
		p.sh("ip -n " + name + " address add 2001:db8::9/64 dev eth0 nodad")
	}
	p.sick("duplicate address 2001:db8::9: the address of s2 of network patchbay, and also of interface eth0 of s3 of network patchbay", "fix:  ip -n s3 address del 2001:db8::9/64 dev eth0")
	p.fix()
	p.healthy()
	p.ok("down", "s2")
	p.ok("down", "s3")
}

// addedWithoutName: the namespace is mounted where `ip netns` does not look.
func addedWithoutName(t *testing.T) {
	p := newPerson(t)
	c := p.Container("c1")
	p.call("ADD", c, "")
	p.sh("mkdir /run/pins; touch /run/pins/c2; unshare --net=/run/pins/c2 true")
	p.network("pods", "pods0", "10.8.1.0/24")
	p.ok("attach", "/run/pins/c2", "--network", "pods")
	p.healthy()
	p.sh("nsenter --net=/run/pins/c2 ip address add 10.8.0.2/24 dev eth0")
	p.sick("duplicate address 10.8.0.2: the address of c1 of network pods, and also of interface eth0 of ", " of network pods", "fix:  nsenter --net=/run/pins/c2 ip address del 10.8.0.2/24 dev eth0")
	p.fix()
	p.healthy()
	p.sh("nsenter --net=/run/pins/c2 ip link del eth0")
	p.sick("network namespace /run/pins/c2 exists", "fix:  patchbay detach path-", "patchbay attach /run/pins/c2 --network pods")
	p.fix()
	p.healthy()
	p.call("DEL", c, "")
	p.sh("umount /run/pins/c2; rm -r /run/pins")
}

// notEntered: without CAP_SYS_ADMIN doctor compares the records, and reports that it could not look into namespaces.
func notEntered(t *testing.T) {
	p := newPerson(t)
	for _, name := range []string{"s1", "s2", "s3"} {
		p.ok("up", name)
	}
	out, err := p.Command("setpriv", "--bounding-set=-sys_admin", nettest.Patchbay(t), "doctor", "--conf-dir", p.conf).CombinedOutput()
	if err == nil {
		t.Error("doctor exits with 0")
	}
	expect.Contains(t, string(out), "no problems found, but not everything could be checked; examined 3 attachments of 1 network", "check addresses: read addresses of s3 of network patchbay: inaccessible network namespace", "(and 2 more)")
	for _, name := range []string{"s1", "s2", "s3"} {
		p.ok("down", name)
	}
}

// releasedOfAnother: the record has no host interface of its own, and gc removes it once its addresses are released.
func releasedOfAnother(t *testing.T) {
	p := newPerson(t)
	c := p.Container("c1")
	call := nettest.Call{
		Command: "ADD", ContainerID: c.Name(), Netns: c.Path(), IfName: "net1", Path: filepath.Dir(nettest.Program(t, "macvlan")),
		Config: []byte(`{"cniVersion": "1.0.0", "name": "lan", "type": "macvlan", "ipam": {"type": "patchbay", "dataDir": "/run/addresses", "ranges": [[{"subnet": "10.8.0.0/24"}]]}}`),
	}
	p.CNI(t, call).OK(t)
	p.healthy()
	p.sh("rm /run/addresses/lan/10.8.0.2")
	p.sick("the record of c1 of network lan remains, though its addresses are released", "seen: network namespace "+c.Path()+" exists; host-local", "fix:  patchbay gc")
	expect.Contains(t, p.ok("gc", "--dry-run"), "would remove lan/c1/net1 with 10.8.0.2, whose addresses another plugin has released")
	p.fix()
	p.healthy()
}
