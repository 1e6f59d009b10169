package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestList: the table, and each state of an attachment with its cause.
//
// Claim: `ls` shows each state; its JSON and that of `inspect` have the documented fields, and `inspect` has record and kernel side by
// side
func TestList(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	const head = "NAME"
	expect.Contains(t, l.ok(t, "ls"), head)
	expect.Equal(t, "nothing, as JSON", l.ok(t, "ls", "-o", "json"), "[]\n")
	for _, name := range []string{"ok", "down", "loose", "cut", "lost", "torn"} {
		l.ok(t, "up", name)
	}
	link := map[string]string{}
	for _, a := range l.list(t) {
		link[a.Name] = a.HostLink
	}
	record := func(name string) string { return "/run/patchbay/patchbay/" + name + "@eth0.json" }
	l.in(t, "down", "ip", "link", "set", "eth0", "down")
	l.Run(t, "ip", "link", "set", link["loose"], "nomaster")
	l.Run(t, "ip", "link", "del", link["cut"])
	l.Run(t, "rm", record("lost"))
	l.Run(t, "sh", "-c", "echo '{\"version\": 1, ' >"+record("torn"))
	expect.Equal(t, "states", l.states(t), map[string]string{
		"ok": "up", "down": "down", "loose": "unplugged", "cut": "stale", "lost": "no record", "torn": "unreadable",
	})
	lines := strings.Split(l.ok(t, "ls"), "\n")
	expect.Equal(t, "columns", strings.Fields(lines[0]), []string{"NAME", "NETWORK", "IF", "ADDRESSES", "BRIDGE", "OWNER", "STATE"})
	i := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "ok ") })
	expect.Equal(t, "a line", strings.Fields(lines[i]), []string{"ok", "patchbay", "eth0", "10.77.0.2/24", "patchbay0", "cli", "up"})
	for _, name := range []string{"lost", "torn"} { // ls finds their interfaces and addresses without the records
		expect.Contains(t, l.run(t, "down", name).stdout, name+": eth0 detached from network patchbay", name+": namespace deleted\n")
	}
	for _, name := range []string{"ok", "down", "loose", "cut"} {
		l.ok(t, "down", name)
	}
	l.refused(t, []string{`--output: unknown format "xml"`}, "ls", "-o", "xml")
}

// TestListFields: the JSON has the fields that help documents, which are stable.
//
// Claim: `ls` shows each state; its JSON and that of `inspect` have the documented fields, and `inspect` has record and kernel side by
// side
func TestListFields(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	var objects []map[string]any
	if err := json.Unmarshal([]byte(l.ok(t, "ls", "--output=json")), &objects); err != nil || len(objects) != 1 {
		t.Fatal(err, objects)
	}
	var fields []string
	help := l.ok(t, "help", "ls")
	for field := range objects[0] {
		fields = append(fields, field)
		expect.Contains(t, help, field)
	}
	expect.Equal(t, "fields of ls", sorted(fields), []string{"addresses", "bridge", "containerID", "hostLink", "ifname", "name", "netns", "network", "owner", "ports", "state", "tapName"})
	fields, objects = nil, nil
	if err := json.Unmarshal([]byte(l.ok(t, "inspect", "web")), &objects); err != nil || len(objects) != 1 {
		t.Fatal(err, objects)
	}
	help = l.ok(t, "help", "inspect")
	for field := range objects[0] {
		fields = append(fields, field)
		expect.Contains(t, help, field)
	}
	expect.Equal(t, "fields of inspect", sorted(fields), []string{
		"bridge", "containerID", "defaultRoutes", "hostLink", "ifname", "link", "name", "netns", "network", "ours", "owner", "ports", "record", "state",
	})
	l.ok(t, "down", "web")
}

// TestInspect: it finds a container by each of its names, shows record and kernel state side by side with their
// differences, and lists the candidates if a name is ambiguous.
//
// Claim: `ls` shows each state; its JSON and that of `inspect` have the documented fields, and `inspect` has record and kernel side by
// side
func TestInspect(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`
	add := func(name, pod string) nettest.Call {
		c := l.Container(name)
		call := nettest.Call{
			Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf),
			Args: "K8S_POD_NAMESPACE=" + pod + ";K8S_POD_NAME=web;IgnoreUnknown=1",
		}
		l.CNI(t, call).OK(t)
		call.Command = "DEL"
		return call
	}
	one := add("one", "blue")
	two := add("two", "green")
	for _, word := range []string{"blue/web", one.ContainerID, one.ContainerID[:8], "one", "/run/netns/one"} {
		objects := l.inspect(t, word)
		if len(objects) != 1 || objects[0].ContainerID != one.ContainerID || objects[0].Name != "blue/web" {
			t.Errorf("inspect %s: %+v", word, objects)
		}
	}
	l.refused(t, []string{"ambiguous name web: use one of " + one.ContainerID + ", " + two.ContainerID}, "inspect", "web")
	l.refused(t, []string{"attachment blue/wbe not found; did you mean blue/web?"}, "inspect", "blue/wbe")
	l.refused(t, []string{"inspect needs a name"}, "inspect")
	l.ok(t, "attach", "one", "--ifname", "eth1")
	l.Run(t, "ip", "netns", "exec", "one", "ip", "addr", "del", "10.1.0.2/24", "dev", "eth0")
	both := l.inspect(t, "blue/web", "green/web")
	expect.Equal(t, "objects", len(both), 2)
	expect.Equal(t, "recorded", both[0].Record.Addresses[0].Address, "10.1.0.2/24")
	expect.Contains(t, strings.Join(both[0].Problems, "\n"), "10.1.0.2/24")
	expect.Equal(t, "problems of the other", len(both[1].Problems), 0)
	expect.Equal(t, "address of the other in the kernel", both[1].Link.Addresses[0].Address, "10.1.0.3/24")
	l.Run(t, "sh", "-c", "echo nonsense >/run/patchbay/net/"+two.ContainerID+"@eth0.json")
	torn := l.inspect(t, two.ContainerID)
	expect.Equal(t, "state of a torn one", torn[0].State, "unreadable")
	if torn[0].Record != nil || torn[0].HostLink == nil {
		t.Errorf("inspect of a torn record: %+v", torn[0])
	}
	l.ok(t, "detach", "one", "--ifname", "eth1")
	l.CNI(t, one).OK(t)
	l.CNI(t, two).OK(t)
}

// object is an object that inspect prints.
type object struct {
	Name, State, ContainerID string
	HostLink                 *struct{ Name string }
	Link                     *struct{ Addresses []struct{ Address string } }
	Record                   *struct{ Addresses []struct{ Address string } }
	Problems                 []string
}

func (l *laptop) inspect(t *testing.T, words ...string) []object {
	t.Helper()
	var objects []object
	if err := json.Unmarshal([]byte(l.ok(t, append([]string{"inspect"}, words...)...)), &objects); err != nil {
		t.Fatal(err)
	}
	return objects
}

// TestClosedPipe: if the reader has closed the pipe, the command prints no error and has the exit code of SIGPIPE.
//
// Claim: A closed pipe is silent, a full disk is an error, a terminal of 40 columns is wide enough
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	for _, command := range [][]string{{"ls"}, {"ls", "-o", "json"}, {"ports"}, {"inspect", "web"}, {"help"}, {"help", "ls"}, {"show"}, {"explain"}, {"explain", "web", "-o", "sh"}, {"explain", "-o", "json"}, {"gc"}, {"version"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := l.command(t, command...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = w, &stderr
		_ = cmd.Run() // the exit code is compared
		w.Close()
		expect.Equal(t, "exit of "+strings.Join(command, " "), exitOf(cmd), 141)
		expect.Equal(t, "stderr of "+strings.Join(command, " "), stderr.String(), "")
	}
	l.ok(t, "down", "web")
}

// TestFullDisk: output that cannot be written is an error.
//
// Claim: A closed pipe is silent, a full disk is an error, a terminal of 40 columns is wide enough
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, command := range []string{"ls", "ports", "help", "help ls", "gc"} {
		cmd := l.command(t, strings.Fields(command)...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run() // the exit code is compared
		expect.Equal(t, "exit of "+command, exitOf(cmd), 1)
		expect.Contains(t, stderr.String(), "no space left on device")
	}
}

// TestNarrowTerminal: on a terminal of 40 columns no line is longer, and nothing is left out; a wide terminal shows
// the table.
//
// Claim: A closed pipe is silent, a full disk is an error, a terminal of 40 columns is wide enough
func TestNarrowTerminal(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	l.ok(t, "up", "a-name-that-is-too-long-for-a-table")
	narrow := l.onTerminal(t, 40, "ls")
	for line := range strings.Lines(narrow) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	expect.Contains(t, narrow, "web\r\n", "a-name-that-is-too-long-for-a-table\r\n", "  10.77.0.2/24\r\n", "  10.77.0.3/24\r\n", "  eth0 on patchbay\r\n", "  up, by cli\r\n")
	expect.Contains(t, l.onTerminal(t, 120, "ls"), "NAME ", " STATE\r\n")
	expect.Equal(t, "--width", l.ok(t, "ls", "--width", "40"), strings.ReplaceAll(narrow, "\r", ""))
	l.ok(t, "down", "web")
	l.ok(t, "down", "a-name-that-is-too-long-for-a-table")
}

// crowd writes records of many attachments and creates their veth pairs, all into one namespace. ADD would need a
// namespace for each; the records are the same.
func (l *laptop) crowd(t testing.TB, count int, flags ...string) {
	t.Helper()
	l.ok(t, append([]string{"up", "model"}, flags...)...)
	dir := "/run/patchbay/patchbay"
	var model map[string]any
	l.Do(func() {
		text, err := os.ReadFile(filepath.Join(dir, "model@eth0.json"))
		if err == nil {
			err = json.Unmarshal(text, &model)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	l.Run(t, "ip", "netns", "add", "crowd")
	var batch strings.Builder
	for i := range count {
		id, link, alias := fmt.Sprintf("crowd%04d", i), fmt.Sprintf("vethcrowd%04d", i), fmt.Sprintf("patchbay:%012x cli:patchbay/crowd%04d/eth0", i, i)
		fmt.Fprintf(&batch, "link add %s up type veth peer name p%d netns crowd\nlink set %s master patchbay0 alias \"%s\"\n", link, i, link, alias)
		model["containerID"], model["hostLink"], model["alias"], model["netns"] = id, link, alias, "/run/netns/crowd"
		model["addresses"] = []map[string]string{{"address": fmt.Sprintf("10.77.%d.%d/16", i/250, i%250+2)}}
		text, err := json.MarshalIndent(model, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		l.Do(func() { write(t, filepath.Join(dir, id+"@eth0.json"), string(text)) })
	}
	cmd := l.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// BenchmarkList compares ls of a thousand attachments with what ip(8) takes to list as many links.
//
//	go test -run '^$' -bench List -exec "$PWD/../scripts/as-root.sh" ./cli/commands
func BenchmarkList(b *testing.B) {
	l := newLaptop(b)
	l.NoOracle("a thousand veth pairs are deleted with their host")
	l.crowd(b, 1000)
	var ours, ips time.Duration
	for b.Loop() {
		ours += took(b, l.command(b, "ls").Run)
		ips += took(b, l.Command("ip", "-d", "link", "show", "type", "veth").Run)
	}
	b.ReportMetric(ours.Seconds()*1000/float64(b.N), "ms")
	b.ReportMetric(ours.Seconds()/ips.Seconds(), "times-ip")
	b.ReportMetric(0, "ns/op")
}

func took(t testing.TB, run func() error) time.Duration {
	t.Helper()
	began := time.Now()
	if err := run(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}
