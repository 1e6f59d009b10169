package reported

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// doctors returns the rows of case 44.
func doctors() []row {
	const kind = "doctor reports each problem, and none only if it could read everything"
	const record = "/run/patchbay/patchbay/web@eth0.json"
	// found damages a host on which web publishes a port, requires these findings of doctor, and repairs it.
	found := func(script string, parts ...string) func(t *testing.T) {
		return func(t *testing.T) {
			p := newPerson(t)
			p.ok("up", "web", "-p", "8080:80")
			expect.Contains(t, p.ok("doctor"), "no problems found; examined 1 attachment of 1 network; checked: ")
			p.sh("cp -p " + record + " /run/whole")
			p.sh(script)
			p.sick(parts...)
			p.sh("rm -rf " + record + "; cp -p /run/whole " + record)
			p.run("down", "web")
		}
	}
	return []row{
		{"44", "a record that cannot be read", kind, found("echo '{\"version\": 1, ' >"+record, "the record of web on network patchbay (eth0) cannot be read", record, "patchbay detach web --network patchbay")},
		{"44.1", "an empty record of an existing host interface", kind, found(": >"+record, "the record of web on network patchbay (eth0) is missing", "patchbay detach web --network patchbay")},
		{"44.2", "a record that is a FIFO", kind, found("rm "+record+"; mkfifo "+record, "the record of web on network patchbay (eth0) cannot be read")},
		{"44.3", "a record of a newer version", kind, found("sed -i 's/\"version\": [0-9]*/\"version\": 99/' "+record, "the record of web", "install the newer version")},
		{"44.11", "the record of an existing host interface is lost", kind, found("rm "+record, "the record of web on network patchbay (eth0) is missing")},
		{"44.4", "an attachment without its host interface holds a port, its namespace exists", kind, found("ip netns exec web ip link del eth0", "web of network patchbay no longer has its host interface: the container is unreachable on this network, and still holds 10.77.0.2, port 8080/tcp", "fix:  patchbay detach web --network patchbay")},
		{"44.5", "an attachment without its host interface holds a port, its namespace does not exist", kind, staleWithAPort},
		{"44.6", "a conflist that is not JSON", kind, withNetworkFiles(map[string]string{"10-torn.conflist": `{"name": "torn", `}, "10-torn.conflist cannot be read", "fix it")},
		{"44.7", "an empty conflist of another plugin", kind, withNetworkFiles(map[string]string{"99-loopback.conf": ""}, "99-loopback.conf cannot be read")},
		{"44.8", "a network that every ADD refuses", kind, withNetworkFiles(map[string]string{"10-lab.conflist": `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab0", "mtu": "big"}]}`}, "network lab is invalid: every ADD fails", "mtu")},
		{"44.9", "two networks of one name", kind, withNetworkFiles(map[string]string{
			"10-lab.conflist": `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab0"}]}`,
			"20-lab.conflist": `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab1"}]}`,
		}, "two files configure network lab", "10-lab.conflist", "20-lab.conflist")},
		{"44.28", "a misspelt key of a network", kind, withNetworkFiles(map[string]string{
			"10-lab.conflist": `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab0", "isDefaultGatway": true, "vendor": {"mtuu": 1}}]}`,
		}, "network lab has the key isDefaultGatway, which is not known: every ADD ignores it", "10-lab.conflist", "did you mean isDefaultGateway?")},
		{"44.29", "a network whose ready file does not exist", kind, withNetworkFiles(map[string]string{
			"10-lab.conflist": `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab0", "readyFile": "/run/lab/ready"}]}`,
		}, "network lab is not ready: every ADD fails until the program that sets up the network of this host creates /run/lab/ready", "10-lab.conflist has the key readyFile", "start that program")},
		{"44.12", "an attachment of a command has lost its host interface", kind, lostInterface},
		{"44.13", "a container of a runtime has lost its host interface", kind, lostByRuntime},
		{"44.14", "a namespace of a runtime no longer exists", kind, staleOfRuntime("", "fix:  patchbay gc", "still holds 10.8.0.2")},
		{"44.15", "host-local has released the address of a container that exists", kind, releasedAddress},
		{"44.16", "a namespace no longer exists, and its IPAM plugin has not been called", kind, staleOfRuntime(`"ipam": {"type": "static", "addresses": [{"address": "10.8.0.2/24"}]}`, "fix:  # delete the container with its runtime")},
		{"44.17", "the record of a container of a runtime is missing", kind, unrecordedOfRuntime},
		{"44.18", "a second interface of a namespace is lost", kind, lostSecond},
		{"44.19", "many stale attachments are summarized", kind, manyStale},
		{"44.20", "the address of another container is added with ip(8)", kind, added("s3", "10.77.0.3/24", "duplicate address 10.77.0.3: the address of s2 of network patchbay, and also of interface eth0 of s3 of network patchbay", "fix:  ip -n s3 address del 10.77.0.3/24 dev eth0")},
		{"44.21", "the address of the bridge is added with ip(8)", kind, added("s2", "10.77.0.1/32", "duplicate address 10.77.0.1: an address of bridge patchbay0, and also of interface eth0 of s2", "fix:  ip -n s2 address del 10.77.0.1/32 dev eth0")},
		{"44.22", "an IPv6 address that no record has is added twice", kind, addedIPv6},
		{"44.23", "an address is added in a namespace without a name", kind, addedWithoutName},
		{"44.24", "the host has no IPv4 default route", kind, noWayOut(`"isDefaultGateway": true`, "-4", "10.8.0.0/24", "192.0.2.9/24")},
		{"44.25", "the host has no IPv6 default route, and masquerades", kind, noWayOut(`"isGateway": true, "ipMasq": true`, "-6", "2001:db8:8::/64", "2001:db8:1::9/64")},
		{"44.26", "doctor may not enter the namespaces", kind, notEntered},
		{"44.27", "host-local has released the address of another plugin's interface", kind, releasedOfAnother},
		{"44.10", "the directory of networks cannot be read", kind, notLookedAt},
	}
}

// withNetworkFiles writes files of networks; doctor must report these findings.
func withNetworkFiles(files map[string]string, parts ...string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		for name, text := range files {
			p.file(name, text)
		}
		p.sick(parts...)
		for name := range files {
			if err := os.Remove(p.conf + "/" + name); err != nil {
				t.Fatal(err)
			}
		}
		expect.Contains(t, p.ok("doctor"), "no problems found")
	}
}

// sick requires that doctor exits with 1, with these findings, also as JSON.
func (p *person) sick(parts ...string) {
	p.t.Helper()
	s := p.run("doctor")
	if s.exit != 1 || strings.Contains(s.out, "no problems found;") {
		p.t.Errorf("doctor: exit %d\n%s%s", s.exit, s.out, s.errors)
	}
	expect.Contains(p.t, s.out, append(parts, "problem found; examined ", "; checked: ")...)
	var report struct {
		Findings []struct{ About, Says, Seen string }
	}
	asJSON := p.run("doctor", "--json")
	if err := json.Unmarshal([]byte(asJSON.out), &report); err != nil || asJSON.exit != 1 || len(report.Findings) != 1 {
		p.t.Errorf("doctor --json: %v, exit %d, %+v", err, asJSON.exit, report)
	}
}

// staleWithAPort: gc removes the attachment, as doctor suggests.
func staleWithAPort(t *testing.T) {
	p := newPerson(t)
	p.ok("up", "web", "-p", "8080:80", "-p", "9000-9009")
	p.sh("ip netns del web")
	p.until(t, "web", "stale")
	p.sick("web of network patchbay no longer has a network namespace, and its record remains, and still holds 10.77.0.2, ports 8080/tcp, 9000-9009/tcp", "/run/netns/web no longer exists", "fix:  patchbay gc")
	expect.Contains(t, p.ok("gc"), "web")
	expect.Contains(t, p.ok("doctor"), "no problems found; examined 0 attachments of 0 networks")
	p.ok("gc")
}

// until waits until ls prints a state of an attachment; it looks again at each link event.
func (p *person) until(t *testing.T, name, state string) {
	t.Helper()
	monitor := p.Command("ip", "monitor", "link")
	out, err := monitor.StdoutPipe()
	if err == nil {
		err = monitor.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = monitor.Process.Kill()
		_ = monitor.Wait()
	}()
	for line := make([]byte, 4096); ; {
		for _, words := range strings.Split(p.ok("ls"), "\n") {
			if strings.HasPrefix(words, name+" ") && strings.Contains(words, state) {
				return
			}
		}
		if _, err := out.Read(line); err != nil {
			t.Fatal(err)
		}
	}
}

// notLookedAt: the directory of networks is not a directory.
func notLookedAt(t *testing.T) {
	p := newPerson(t)
	s := p.run("doctor", "--conf-dir", nettest.Patchbay(t))
	if s.exit != 1 || strings.Contains(s.out, "no problems found;") {
		t.Errorf("doctor: exit %d\n%s%s", s.exit, s.out, s.errors)
	}
	expect.Contains(t, s.out, "no problems found, but not everything could be checked; examined ")
	expect.Contains(t, s.errors, "check networks: ")
	var report struct{ Unchecked, Looked []string }
	if err := json.Unmarshal([]byte(p.run("doctor", "--json", "--conf-dir", nettest.Patchbay(t)).out), &report); err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, strings.Join(report.Unchecked, "\n"), "networks: ")
}
