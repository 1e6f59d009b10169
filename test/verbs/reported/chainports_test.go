package reported

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

const ofPorts = "each mapping is published once; only a conflict is refused"

// portCase is a network, the mappings of its container, and the published ports.
type portCase struct {
	conf     cni.Conf   // added to an IPv4 network
	mappings []cni.Conf // portMappings
	reached  []string
	closed   []string
	ports    string   // PORT column of `patchbay ports`, with HOST where it is one address
	stderr   []string // expected texts; none means that stderr is empty
}

func mapping(hostPort, containerPort int, more ...cni.Conf) cni.Conf {
	return cni.Conf{"hostPort": hostPort, "containerPort": containerPort, "protocol": "tcp"}.With(more...)
}

func hostIP(address string) cni.Conf { return cni.Conf{"hostIP": address} }

func ports() []row {
	v6 := cni.Conf{"ipam": cni.Conf{"type": "patchbay", "subnet": "fd00:1::/64"}}
	rows := []row{
		{"24.9", "one host port for two ports of the container: refused", ofPorts, twoTargets},
		{"24.10", "one port for any address, which another container publishes on 127.0.0.1: refused", ofPorts, anothersPort},
		{"24.11", "-p with an unreachable address: refused, and the flag named", ofPorts, pointlessFlags},
		{"24.12", "ports for a network without addresses: a warning", ofPorts, portsWithoutAddresses},
	}
	for number, c := range map[string]struct {
		name string
		portCase
	}{
		"24": {"one port for 0.0.0.0 and for ::, network of one family", portCase{
			mappings: []cni.Conf{mapping(8080, 80, hostIP("0.0.0.0")), mapping(8080, 80, hostIP("::"))},
			reached:  []string{"127.0.0.1:8080", "10.1.0.1:8080"}, ports: "* 8080/tcp",
		}},
		"24.1": {"one mapping twice, in another case and without a protocol", portCase{
			mappings: []cni.Conf{mapping(8080, 80, cni.Conf{"protocol": "TCP"}), mapping(8080, 80, cni.Conf{"protocol": ""}), {"hostPort": 8080, "containerPort": 80, "hostIP": ""}},
			reached:  []string{"127.0.0.1:8080"}, ports: "* 8080/tcp",
		}},
		"24.2": {"any and 127.0.0.1 for one port of the container", portCase{
			mappings: []cni.Conf{mapping(8080, 80, hostIP("127.0.0.1")), mapping(8080, 80)},
			reached:  []string{"127.0.0.1:8080", "10.1.0.1:8080"}, ports: "* 8080/tcp",
		}},
		"24.3": {"ranges that overlap and lead to the same ports", portCase{
			mappings: []cni.Conf{mapping(9000, 79, cni.Conf{"range": 3}), mapping(9001, 80, cni.Conf{"range": 3})},
			reached:  []string{"127.0.0.1:9001"}, ports: "* 9000-9002/tcp * 9003/tcp",
		}},
		"24.4": {"hostIP of a family that the container lacks, beside others", portCase{
			mappings: []cni.Conf{mapping(8081, 80, hostIP("2001:db8::7")), mapping(8080, 80)},
			reached:  []string{"127.0.0.1:8080"}, closed: []string{"127.0.0.1:8081"}, ports: "* 8080/tcp",
			stderr: []string{"port 8081/tcp of 2001:db8::7 is not published: network net has no addresses of that family", "a range of that family"},
		}},
		"24.5": {"nothing but hostIPs of a family that the container lacks", portCase{
			conf: v6, mappings: []cni.Conf{mapping(8080, 80, hostIP("192.0.2.7"))}, closed: []string{"127.0.0.1:8080"},
			stderr: []string{"port 8080/tcp of 192.0.2.7 is not published"},
		}},
		"24.6": {"hostPort 0 or none: the container's port is only named", portCase{
			mappings: []cni.Conf{mapping(0, 80), {"containerPort": 81}, mapping(8080, 80)}, reached: []string{"127.0.0.1:8080"}, ports: "* 8080/tcp",
		}},
		"24.7": {"127.0.0.1 and ::1, as \"localhost\" is written", portCase{
			mappings: []cni.Conf{mapping(8080, 80, hostIP("127.0.0.1")), mapping(8080, 80, hostIP("::1"))},
			reached:  []string{"127.0.0.1:8080"}, closed: []string{"10.1.0.1:8080"}, ports: "127.0.0.1 8080/tcp",
			stderr: []string{"port 8080/tcp of ::1 is not published: the kernel delivers no reply", "use 127.0.0.1"},
		}},
		"24.8": {"both families requested, and another IPAM plugin returns one", portCase{
			conf:     cni.Conf{"ipam": cni.Conf{"type": "host-local", "subnet": "10.1.0.0/24"}},
			mappings: []cni.Conf{mapping(8080, 80), mapping(8081, 80, hostIP("2001:db8::7"))},
			reached:  []string{"10.1.0.1:8080"}, closed: []string{"10.1.0.1:8081"}, ports: "* 8080/tcp",
			stderr: []string{"port 8081/tcp of 2001:db8::7 is not published: the container has no address of that family"},
		}},
	} {
		rows = append(rows, row{number, c.name, ofPorts, c.run})
	}
	return rows
}

// published returns an IPv4 network with mappings.
func published(more cni.Conf, mappings ...cni.Conf) cni.Conf {
	return routed(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "subnet": "10.1.0.0/24"}}, more, cni.Conf{"runtimeConfig": cni.Conf{"portMappings": mappings}})
}

func (p portCase) run(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("c"), conf: published(p.conf, p.mappings...), path: pluginDir(t, "host-local")}
	h.Allow("file /var/lib/cni/networks/") // host-local leaves its lock and cursor
	answer := a.run(t, "ADD").OK(t)
	a.prev = answer.Stdout
	expect.Contains(t, string(answer.Stderr), p.stderr...)
	if len(p.stderr) == 0 {
		expect.Equal(t, "stderr", string(answer.Stderr), "")
	}
	serve.TCP(t, a.c.Netns, ":80", nil)
	for _, address := range p.reached {
		expect.Equal(t, "connect to "+address, connect(h, address), nil)
	}
	for _, address := range p.closed {
		expect.Equal(t, address+" is closed", connect(h, address) != nil, true)
	}
	expect.Equal(t, "patchbay ports", listedPorts(t, h), p.ports)
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

// listedPorts returns HOST and PORT of `patchbay ports`.
func listedPorts(t *testing.T, h *nettest.Node) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(h.Run(t, nettest.Patchbay(t), "ports")) {
		if columns := strings.Fields(line); len(columns) > 2 && columns[0] != "HOST" && strings.Contains(columns[1], "/") {
			all = append(all, columns[0], columns[1])
		}
	}
	return strings.Join(all, " ")
}

// connect connects from the host by TCP.
func connect(h *nettest.Node, address string) (err error) {
	h.Do(func() {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", address, 2*time.Second); err == nil {
			conn.Close()
		}
	})
	return err
}

func twoTargets(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("c"), conf: published(nil, mapping(8080, 80), mapping(8080, 81, hostIP("127.0.0.1")))}
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, "8080/tcp -> 80 and 8080/tcp of 127.0.0.1 -> 81 both publish 8080/tcp")
	h.NoLeaks(t)
}

func anothersPort(t *testing.T) {
	h := nettest.Host(t)
	other := &called{h: h, c: h.Container("other"), conf: published(nil, mapping(8080, 80, hostIP("127.0.0.1")))}
	other.add(t)
	before := h.Snapshot().String()
	a := &called{h: h, c: h.Container("c"), conf: published(nil, mapping(8080, 80), mapping(8080, 80, hostIP("127.0.0.1")))}
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "code", e.Code, 102)
	expect.Contains(t, e.Msg, "8080/tcp", other.c.ID()[:8])
	expect.Equal(t, "host", h.Snapshot().String(), before)
	other.run(t, "CHECK").OK(t)
	other.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

func pointlessFlags(t *testing.T) {
	h := nettest.Host(t)
	for flags, want := range map[string]string{
		"-p [2001:db8::7]:80:80":         "--publish [2001:db8::7]:80:80 is not published: network patchbay has no addresses of that family",
		"-p 80 -p [::]:81:80":            "--publish [::]:81:80 is not published",
		"-p [::1]:80:80":                 "--publish [::1]:80:80 is not published: the kernel delivers no reply",
		"-p 80 -p 80":                    "--publish 80 is also published by 80/tcp -> 80",
		"-p 9000-9009 -p 9005-9012/tcp":  "--publish 9005-9012/tcp is also published by 9000-9009/tcp -> 9000",
		"-p 8080:80 -p 127.0.0.1:8080:8": "--publish: 8080/tcp -> 80 and 8080/tcp of 127.0.0.1 -> 8 both publish 8080/tcp",
	} {
		cmd := h.Command(nettest.Patchbay(t), append([]string{"up", "web"}, words(flags)...)...)
		out, err := cmd.CombinedOutput()
		expect.Equal(t, flags+" is refused", err != nil, true)
		expect.Contains(t, string(out), want)
	}
	h.NoLeaks(t)
}

func portsWithoutAddresses(t *testing.T) {
	h := nettest.Host(t)
	conf := cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "runtimeConfig": cni.Conf{"portMappings": []cni.Conf{mapping(8080, 80)}}}
	a := &called{h: h, c: h.Container("c"), conf: conf}
	answer := a.run(t, "ADD").OK(t)
	a.prev = answer.Stdout
	expect.Contains(t, string(answer.Stderr), "port 8080/tcp is not published: network net has no addresses to map ports to")
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}
