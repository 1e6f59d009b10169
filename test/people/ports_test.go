package people

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// publication is a line of `ports -o json`.
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

// lines are the words of a table's lines, without its head.
func lines(table string) [][]string {
	var all [][]string
	for line := range strings.Lines(table) {
		all = append(all, strings.Fields(line))
	}
	return all[1:]
}

// answerTo asks a port of the host by TCP, from the host, what a namespace serves there.
func (l *laptop) answerTo(t testing.TB, from, target string) string {
	t.Helper()
	return l.Run(t, "ip", "netns", "exec", from, "timeout", "10", "bash", "-c", "exec 3<>/dev/tcp/"+target+"; cat <&3")
}

// TestPublish: what -p says is what there is, in every command that tells of it, and it is gone with
// the namespace.
func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "an empty host", l.ok(t, "ports"), "no port of this host is published\n")
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
		"8005": "8000-8009/tcp", "8080/TCP": "8080/tcp", "53/udp": "53/udp", "53/tcp": "", "8010": "",
	} {
		var got []string
		for _, fields := range lines("\n" + strings.TrimPrefix(l.ok(t, "ports", word), "HOST")) {
			if fields[0] != "nobody" && fields[0] != "PORT" {
				got = append(got, fields[1])
			}
		}
		expect.Equal(t, "port "+word, strings.Join(got, " "), want)
	}
	expect.Equal(t, "a port of nobody", l.ok(t, "ports", "53/tcp"), "nobody publishes port 53/tcp\n")
	expect.Contains(t, l.ok(t, "ls"), " PORTS", " 8080/tcp 127.0.0.1:53/udp 8000-8009/tcp\n", " 9/tcp 10/sctp 11/tcp +1\n")
	expect.Contains(t, l.ok(t, "show"), "ports of the host:", "8080/tcp -> 80", "127.0.0.1:53/udp -> 5353", "8000-8009/tcp -> 9000-9009")
	l.ok(t, "down", "web")
	l.ok(t, "detach", "mine")
	l.Run(t, "ip", "netns", "del", "mine")
	expect.Equal(t, "an empty host again", l.ok(t, "ports"), "no port of this host is published\n")
}

// TestPublishedPortIsReached by TCP: from the host, by one of its addresses and by 127.0.0.1, and from
// the container next door.
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
	expect.Equal(t, "from next door", l.answerTo(t, "db", "10.77.0.1/8080"), "here")
	expect.Equal(t, "from itself", l.answerTo(t, "web", "10.77.0.1/8080"), "here")
	_ = serve.Process.Kill()
	_ = serve.Wait() // it never ends by itself
	l.ok(t, "down", "web")
	l.ok(t, "down", "db")
}

// TestPublishIsRefused by name, before anything is made.
func TestPublishIsRefused(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "8080:80")
	for word, parts := range map[string][]string{
		"0:80":              {`invalid value "0:80" for flag -publish`, `"0" is no port of the host: give a number from 1 to 65535`},
		"80:70000":          {`"70000" is no port of the container`},
		"8080:80/tpc":       {`"tpc" is no protocol: it is tcp, udp or sctp`},
		"8000-8009:80":      {"10 ports of the host and 1 of the container"},
		"localhost:80:80":   {`"localhost" is no IP address of the host`},
		"::1:80:80":         {"too many colons", "[hostIP:]hostPort"},
		"[::1]:80:80":       {"--publish [::1]:80:80: ::1 cannot be published on; use 127.0.0.1"},
		"[2001:db8::1]:1:1": {"--publish [2001:db8::1]:1:1: 2001:db8::1 is of a family that network patchbay has no addresses of"},
		"1-5000":            {"--publish: 5000 ports are too many; publish at most 4096 ports of one container"},
		"8080:81":           {"port 8080/tcp is published by web of network patchbay, which a person has attached", "patchbay ports"},
		"10.77.0.1:8080:81": {"port 8080/tcp is published by web"},
		"8070-8090":         {"port 8080/tcp is published by web"},
	} {
		l.refused(t, parts, "up", "db", "--publish", word)
	}
	l.refused(t, []string{"--publish: 80/tcp and 80/tcp have 80/tcp in common; publish each port of the host once"}, "up", "db", "-p", "80", "-p", "80:81")
	l.refused(t, []string{`"x" is no port: give a number`}, "ports", "x")
	l.refused(t, []string{`"tpc" is no protocol`}, "ports", "80/tpc")
	l.refused(t, []string{"ports wants one port or none, got 2 arguments"}, "ports", "1", "2")
	l.refused(t, []string{`no such network as "gren"`}, "ports", "--network", "gren")
	l.refused(t, []string{`--output "yaml": it is text or json`}, "ports", "-o", "yaml")
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	expect.Equal(t, "ports", len(l.ports(t)), 1)
	l.ok(t, "down", "web")
}

// TestPublishBesideAListener: a port that a process of the host waits on is refused to a person, who may
// have meant another one, and be cut off; when that process has ended it is not.
func TestPublishBesideAListener(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	listen := l.Command("python3", "-c", "import socket, sys; s = socket.create_server(('', 8080)); print(flush=True); sys.stdin.read()")
	in, out := pipes(t, listen)
	if !out.Scan() {
		t.Fatal("nobody listens")
	}
	for _, word := range []string{"8080:80", "10.77.0.1:8080:80", "8070-8090"} {
		l.refused(t, []string{"port 8080/tcp is in use by a process of the host", "take another port", "ss -lnp"}, "up", "web", "-p", word)
	}
	expect.Equal(t, "namespaces", len(l.pins(t)), 0)
	l.ok(t, "up", "web", "-p", "8080:80/udp")
	l.ok(t, "down", "web")
	in.Close()
	_ = listen.Wait() // it has read to the end
	l.ok(t, "up", "web", "-p", "8080:80")
	l.ok(t, "down", "web")
}

// TestPublishOnANetwork of a file: by a runtime's name for it, and the owner is told in a runtime's error.
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
	l.refused(t, []string{"port 8080/tcp is published by " + c.ID()[:12], "of network net, which a runtime has attached"}, "up", "web", "-p", "8080")
	expect.Contains(t, l.ok(t, "up", "web", "-p", "8081:80"), "network net, publishes 8081/tcp -> 80")
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

// TestPortsFieldsAreThose that help documents: they stay.
func TestPortsFieldsAreThose(t *testing.T) {
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

// TestPortsThatAreLost: each thing that somebody can do to them has a word, a mark in the picture and,
// where it is the ruleset's, a way back.
func TestPortsThatAreLost(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "80-82", "-p", "90")
	l.ok(t, "up", "db", "-p", "70")
	states := func() map[string]string {
		all := map[string]string{}
		for _, p := range l.ports(t) {
			all[fmt.Sprintf("%d %s", p.HostPort, p.Name)] = p.State
		}
		return all
	}
	well := map[string]string{"80 web": "ok", "90 web": "ok", "70 db": "ok"}
	with := func(changes ...string) map[string]string {
		all := map[string]string{}
		for key, state := range well {
			all[key] = state
		}
		for i := 0; i < len(changes); i += 2 {
			all[changes[i]] = changes[i+1]
		}
		return all
	}
	expect.Equal(t, "as made", states(), well)
	for what, tt := range map[string]struct {
		do   string
		want map[string]string
	}{
		"a port":          {"nft delete element inet patchbay publish4 '{ tcp . 90 }'", with("90 web", "lost")},
		"one of a range":  {"nft delete element inet patchbay publish4 '{ tcp . 81 }'", with("80 web", "1 of 3 lost", "90 web", "rules lost")},
		"somebody else's": {"nft delete element inet patchbay publish4 '{ tcp . 90 }'; nft add element inet patchbay publish4 '{ tcp . 90 : 10.77.0.9 . 9 }'", with("90 web", "lost")},
		"one of nobody":   {"nft add element inet patchbay publish4 '{ tcp . 99 : 10.77.0.9 . 9 }'", with("99 -", "no record")},
		"rules":           {"nft flush chain inet patchbay translate", with("80 web", "rules lost", "90 web", "rules lost", "70 db", "rules lost")},
		"all":             {"nft flush ruleset", with("80 web", "lost", "90 web", "lost", "70 db", "lost")},
	} {
		l.Run(t, "sh", "-c", tt.do)
		got := states()
		if state, there := got["99 "]; there {
			delete(got, "99 ")
			got["99 -"] = state
		}
		if what == "a port" || what == "somebody else's" {
			got["80 web"] = "ok" // what is beside it is told of both
			tt.want["80 web"] = "ok"
			expect.Contains(t, l.ok(t, "show"), "! 90/tcp -> 90", "map publish4 of nftables has ")
			expect.Contains(t, l.ok(t, "inspect", "web"), `"lostPorts"`, "publish4")
		}
		expect.Equal(t, what, got, tt.want)
		l.ok(t, "reload")
		expect.Equal(t, "after reload of "+what, states(), well)
	}
	link := ""
	for _, a := range l.list(t) {
		if a.Name == "web" {
			link = a.HostLink
		}
	}
	l.Run(t, "ip", "link", "set", link, "nomaster")
	expect.Equal(t, "unplugged", states(), with("80 web", "unplugged", "90 web", "unplugged"))
	l.Run(t, "ip", "link", "del", link)
	expect.Equal(t, "dead", states(), with("80 web", "no cable", "90 web", "no cable"))
	l.Run(t, "sh", "-c", "echo '{' >/run/patchbay/patchbay/web@eth0.json")
	expect.Equal(t, "torn", states(), map[string]string{"70 db": "ok", "80 web": "unreadable", "81 web": "unreadable", "82 web": "unreadable", "90 web": "unreadable"})
	l.Run(t, "rm", "/run/patchbay/patchbay/web@eth0.json")
	expect.Equal(t, "without a record", states(), map[string]string{"70 db": "ok", "80 web": "no record", "81 web": "no record", "82 web": "no record", "90 web": "no record"})
	l.ok(t, "reload")
	expect.Equal(t, "after reload", states(), map[string]string{"70 db": "ok"})
	l.ok(t, "down", "db")
	l.NoOracle("the record was taken away, and the namespace stays")
}

// TestPortsOnANarrowTerminal: no line is longer than it, and nothing is left out.
func TestPortsOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "10.77.0.1:8000-8099:9000-9099/udp")
	narrow := l.onTerminal(t, 40, "ports")
	for line := range strings.Lines(narrow) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	expect.Contains(t, narrow, "8000-8099/udp\r\n", "  of 10.77.0.1\r\n", "  to 10.77.0.2:9000-9099\r\n", "  web, on patchbay\r\n", "  ok\r\n")
	expect.Contains(t, l.onTerminal(t, 120, "ports"), "HOST ", " STATE\r\n")
	l.ok(t, "down", "web")
}

// TestPortsOfAThousand asks the kernel for lists, and not for each of them.
func TestPortsOfAThousand(t *testing.T) {
	l := newLaptop(t)
	l.NoOracle("a thousand cables are taken away with their host")
	nettest.Need(t, nettest.Tool("strace"))
	const count, most = 1000, 100
	l.crowdOfPorts(t, count)
	all := l.ports(t)
	expect.Equal(t, "ports", len(all), count+1)
	for _, p := range all { // the cables of a crowd are down
		if p.State != "ok" && p.State != "down" || len(p.Problems) > 0 {
			t.Fatalf("one is not well: %+v", p)
		}
	}
	for _, command := range []string{"ports", "show"} {
		trace := filepath.Join(t.TempDir(), "trace")
		began := time.Now()
		l.Run(t, "strace", "-f", "-o", trace, "-e", "trace=sendto,sendmsg", nettest.Patchbay(t), command)
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		questions := strings.Count(string(text), "sendto(") + strings.Count(string(text), "sendmsg(")
		t.Logf("%s of %d attachments: %d questions, %v", command, count+1, questions, time.Since(began))
		if questions == 0 || questions > most {
			t.Errorf("%s asks the kernel %d times, at most %d were in order", command, questions, most)
		}
	}
	expect.Contains(t, l.ok(t, "ports", "20500"), "20500/tcp  10.77.2.")
}

// crowdOfPorts is a crowd each of which publishes a port, which reload puts into the ruleset.
func (l *laptop) crowdOfPorts(t *testing.T, count int) {
	t.Helper()
	l.crowd(t, count, "-p", "20000:80")
	dir := "/run/patchbay/patchbay"
	l.Do(func() {
		for i := range count {
			path := filepath.Join(dir, fmt.Sprintf("crowd%04d@eth0.json", i))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("10.77.%d.%d", 1+i/250, i%250+2)
			changed := strings.NewReplacer(`"hostPort": 20000`, fmt.Sprintf(`"hostPort": %d`, 20001+i), `"container": "10.77.0.2"`, `"container": "`+address+`"`, `"10.77.0.2/24"`, `"`+address+`/24"`).Replace(string(text))
			write(t, path, changed)
		}
	})
	l.ok(t, "reload")
}
