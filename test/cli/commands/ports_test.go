package commands

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// publication is an object of `ports -o json`.
type publication struct {
	HostIP, Protocol, Address, Name, Network, ContainerID, IfName, Owner, State string
	HostPort, Count, ContainerPort                                              int
	Problems                                                                    []string
}

func (l *laptop) ports(t testing.TB, args ...string) []publication {
	t.Helper()
	var all []publication
	if err := json.Unmarshal([]byte(l.ok(t, append([]string{"ports", "-o", "json"}, args...)...)), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// lines returns the words of a table's lines, without the header.
func lines(table string) [][]string {
	var all [][]string
	for line := range strings.Lines(table) {
		all = append(all, strings.Fields(line))
	}
	return all[1:]
}

// answerTo connects by TCP to a port of the host, from the host, and returns the reply of a server in a namespace.
func (l *laptop) answerTo(t testing.TB, from, target string) string {
	t.Helper()
	return l.Run(t, "ip", "netns", "exec", from, "timeout", "10", "bash", "-c", "exec 3<>/dev/tcp/"+target+"; cat <&3")
}

// TestPublish: every command that lists ports shows the mappings of -p, and down removes them with the namespace.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "an empty host", l.ok(t, "ports"), "no published ports\n")
	expect.Equal(t, "an empty host, as JSON", l.ok(t, "ports", "--json"), "[]\n")
	expect.Equal(t, "what up says", l.ok(t, "up", "web", "-p", "8080:80", "--publish", "127.0.0.1:53:5353/udp", "-p", "8000-8009:9000-9009"),
		"web: eth0 10.77.0.2/24, bridge patchbay0, network patchbay, publishes 8080/tcp -> 80, 127.0.0.1:53/udp -> 5353, 8000-8009/tcp -> 9000-9009\n")
	l.Run(t, "ip", "netns", "add", "mine")
	expect.Contains(t, l.ok(t, "attach", "mine", "-p", "9", "-p=10/SCTP", "-p", "11", "-p", "12"), "publishes 9/tcp -> 9, 10/sctp -> 10, 11/tcp -> 11, and 1 more (patchbay ports)")
	expect.Equal(t, "ports", lines(l.ok(t, "ports")), [][]string{
		{"*", "9/tcp", "10.77.0.3:9", "mine", "patchbay", "ok"},
		{"*", "10/sctp", "10.77.0.3:10", "mine", "patchbay", "ok"},
		{"*", "11/tcp", "10.77.0.3:11", "mine", "patchbay", "ok"},
		{"*", "12/tcp", "10.77.0.3:12", "mine", "patchbay", "ok"},
		{"127.0.0.1", "53/udp", "10.77.0.2:5353", "web", "patchbay", "ok"},
		{"*", "8000-8009/tcp", "10.77.0.2:9000-9009", "web", "patchbay", "ok"},
		{"*", "8080/tcp", "10.77.0.2:80", "web", "patchbay", "ok"},
	})
	for word, want := range map[string]string{
		"8005": "8000-8009/tcp", "8080/TCP": "8080/tcp", "53/udp": "53/udp",
	} {
		var got []string
		for _, fields := range lines("\n" + strings.TrimPrefix(l.ok(t, "ports", word), "HOST")) {
			if fields[0] != "PORT" {
				got = append(got, fields[1])
			}
		}
		expect.Equal(t, "port "+word, strings.Join(got, " "), want)
	}
	for _, word := range []string{"53/tcp", "8010"} {
		l.refused(t, []string{"port " + word + " is not published"}, "ports", word)
	}
	expect.Contains(t, l.ok(t, "ls"), " PORTS", " 8080/tcp 127.0.0.1:53/udp 8000-8009/tcp\n", " 9/tcp 10/sctp 11/tcp +1\n")
	expect.Contains(t, l.ok(t, "show"), "ports of the host:", "8080/tcp -> 80", "127.0.0.1:53/udp -> 5353", "8000-8009/tcp -> 9000-9009")
	l.ok(t, "down", "web")
	l.ok(t, "detach", "mine")
	l.Run(t, "ip", "netns", "del", "mine")
	expect.Equal(t, "an empty host again", l.ok(t, "ports"), "no published ports\n")
}

// TestPublishedPortIsReached: by TCP from the host, with one of its addresses and with 127.0.0.1, and from another
// container.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishedPortIsReached(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "8080:80")
	l.ok(t, "up", "db")
	serve := l.Command("ip", "netns", "exec", "web", "python3", "-c", `
import socket
s = socket.create_server(("10.77.0.2", 80))
print(flush=True)
while True:
    c, peer = s.accept()
    c.sendall(b"here")
    c.close()
`)
	_, out := pipes(t, serve)
	if !out.Scan() {
		t.Fatal("nobody serves")
	}
	const ask = `exec 3<>/dev/tcp/%s/8080; cat <&3`
	for _, address := range []string{"10.77.0.1", "127.0.0.1"} {
		expect.Equal(t, "from the host by "+address, l.Run(t, "timeout", "10", "bash", "-c", fmt.Sprintf(ask, address)), "here")
	}
	expect.Equal(t, "from another container", l.answerTo(t, "db", "10.77.0.1/8080"), "here")
	expect.Equal(t, "from itself", l.answerTo(t, "web", "10.77.0.1/8080"), "here")
	_ = serve.Process.Kill()
	_ = serve.Wait() // it was killed
	l.ok(t, "down", "web")
	l.ok(t, "down", "db")
}

// TestPublishIsRefused: the error names the argument, and nothing is created.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishIsRefused(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "8080:80")
	for word, parts := range map[string][]string{
		"0:80":              {`--publish: invalid value "0:80"`, `host port "0" is not a number from 1 to 65535`},
		"80:70000":          {`container port "70000" is not a number`},
		"8080:80/tpc":       {`protocol "tpc" is not tcp, udp or sctp`},
		"8000-8009:80":      {"10 host ports and 1 container ports"},
		"localhost:80:80":   {`host address "localhost" is not an IP address`},
		"::1:80:80":         {"too many colons", "[hostIP:]hostPort"},
		"[::1]:80:80":       {"--publish [::1]:80:80 is not published: the kernel delivers no reply of a container to ::1; use 127.0.0.1"},
		"[2001:db8::1]:1:1": {"--publish [2001:db8::1]:1:1 is not published: network patchbay has no addresses of that family"},
		"1-5000":            {"--publish: 5000 ports are too many; publish at most 4096 ports of one container"},
		"8080:81":           {"port 8080/tcp is already published by web of network patchbay, attached by a patchbay command", "patchbay ports"},
		"10.77.0.1:8080:81": {"port 8080/tcp is already published by web"},
		"8070-8090":         {"port 8080/tcp is already published by web"},
	} {
		l.refused(t, parts, "up", "db", "--publish", word)
	}
	l.refused(t, []string{"--publish: 80/tcp -> 80 and 80/tcp -> 81 both publish 80/tcp; publish each port of the host once"}, "up", "db", "-p", "80", "-p", "80:81")
	l.refused(t, []string{"--publish 127.0.0.1:80:80 is also published by 80/tcp -> 80; publish each port of the host once"}, "up", "db", "-p", "80", "-p", "127.0.0.1:80:80")
	l.refused(t, []string{`port "x" is not a number`}, "ports", "x")
	l.refused(t, []string{`protocol "tpc" is not tcp`}, "ports", "80/tpc")
	l.refused(t, []string{"ports accepts one port, got 2 arguments"}, "ports", "1", "2")
	l.refused(t, []string{`unknown command "ports ad"; did you mean add?; use add NAME PORT... or rm NAME PORT...`}, "ports", "ad", "web", "1")
	l.refused(t, []string{`no network "gren"`}, "ports", "--network", "gren")
	l.refused(t, []string{`--output: unknown format "xml"`}, "ports", "-o", "xml")
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	expect.Equal(t, "ports", len(l.ports(t)), 1)
	l.ok(t, "down", "web")
}

// TestPublishPortInUse: up refuses a port on which a process of the host listens, because publishing it would
// cut that process off; after the process has ended up publishes it.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishPortInUse(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	listen := l.Command("python3", "-c", "import socket, sys; s = socket.create_server(('', 8080)); print(flush=True); sys.stdin.read()")
	in, out := pipes(t, listen)
	if !out.Scan() {
		t.Fatal("nobody listens")
	}
	for _, word := range []string{"8080:80", "10.77.0.1:8080:80", "8070-8090"} {
		l.refused(t, []string{"port 8080/tcp is in use by a process of the host", "choose another port", "ss -lnp"}, "up", "web", "-p", word)
	}
	expect.Equal(t, "namespaces", len(l.pins(t)), 0)
	l.ok(t, "up", "web", "-p", "8080:80/udp")
	l.ok(t, "down", "web")
	in.Close()
	_ = listen.Wait() // its standard input was closed
	l.ok(t, "up", "web", "-p", "8080:80")
	l.ok(t, "down", "web")
}

// TestPublishOnANetwork: of a file, by the name that a runtime uses; the error for a runtime names the owner.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishOnANetwork(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "2001:db8:7::/64"}]]},
		"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}`
	c := l.Container("pod")
	call := nettest.Call{
		Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf),
		Args: "K8S_POD_NAMESPACE=blue;K8S_POD_NAME=web;IgnoreUnknown=1",
	}
	l.CNI(t, call).OK(t)
	l.refused(t, []string{"port 8080/tcp is already published by " + c.ID()[:12], "of network net, attached by a runtime"}, "up", "web", "--network", "net", "-p", "8080")
	a := l.run(t, "up", "web", "--network", "net", "-p", "8081:80")
	expect.Contains(t, a.stdout, "network net, publishes 8081/tcp -> 80")
	expect.Contains(t, a.stderr, "warning: IPv4 forwarding is disabled") // the host is no gateway of this network
	got := l.ports(t)
	for i := range got {
		got[i].ContainerID, got[i].Problems = "", nil
	}
	want := publication{HostPort: 8080, Count: 1, Protocol: "tcp", Address: "10.1.0.2", ContainerPort: 80, Name: "blue/web", Network: "net", IfName: "eth0", Owner: "cni", State: "ok"}
	six, web := want, want
	six.Address = "2001:db8:7::2"
	web.HostPort, web.Address, web.Name, web.Owner = 8081, "10.1.0.3", "web", "cli"
	expect.Equal(t, "ports", got, []publication{want, six, web})
	call.Command = "DEL"
	l.CNI(t, call).OK(t)
	l.ok(t, "down", "web")
}

// TestPortsFields: the JSON has the fields that help documents, which are stable.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPortsFields(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "80")
	of := func(command ...string) []string {
		t.Helper()
		var objects []map[string]any
		if err := json.Unmarshal([]byte(l.ok(t, command...)), &objects); err != nil || len(objects) != 1 {
			t.Fatal(err, objects)
		}
		if command[0] != "ports" {
			objects[0] = objects[0]["ports"].([]any)[0].(map[string]any)
		}
		var fields []string
		help := l.ok(t, "help", "ports")
		for field := range objects[0] {
			fields = append(fields, field)
			expect.Contains(t, help, field)
		}
		return sorted(fields)
	}
	port := []string{"address", "containerPort", "count", "hostIP", "hostPort", "protocol"}
	expect.Equal(t, "fields of ports", of("ports", "--json"), sorted(append([]string{"containerID", "ifname", "name", "network", "owner", "problems", "state"}, port...)))
	expect.Equal(t, "fields of a port of ls", of("ls", "-o", "json"), port)
	expect.Equal(t, "fields of a port of inspect", of("inspect", "web"), port)
	l.ok(t, "down", "web")
}
