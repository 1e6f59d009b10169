package verbs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const logPath = "/run/log"

// logged is a line of the log.
type logged struct {
	Time, Verb, Network, ContainerID, IfName, Netns string
	PodNamespace, PodName, PodUID, Traceparent, Msg string
	Code                                            uint
	MS                                              float64
	Steps                                           map[string]float64
}

// lines returns the lines of the log and deletes it.
func lines(t *testing.T, h *nettest.Node) []logged {
	t.Helper()
	text, there := files(t, h, "/run")["log"]
	if !there {
		return nil
	}
	removeAll(t, h, logPath)
	var all []logged
	for line := range strings.Lines(text) {
		var l logged
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, l)
	}
	return all
}

// TestLogOfEachVerb: each call writes one line with the call, its outcome, and the duration of each step.
//
// Claim: The log, off by default, has one line of JSON per verb, with code and message of the answer, the time of each step, pod and
// TRACEPARENT, and mode 0600
func TestLogOfEachVerb(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	net := everything().With(cni.Conf{"logFile": logPath})
	a := on(h, c, net)
	a.args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=7"
	steps := map[string][]string{
		"ADD": {"ask", "look", "plug", "print", "publish", "reserve", "up"}, "CHECK": {"ask", "kernel", "state"},
		"DEL": {"look", "release", "unplug"}, "STATUS": {"ask", "look"}, "GC": {"ask", "look", "sweep", "sweep addresses", "sweep host"},
	}
	for _, verb := range []string{"STATUS", "ADD", "CHECK", "GC", "DEL"} {
		call := a.call(t, verb)
		call.Env = []string{"TRACEPARENT=" + trace}
		if verb == "GC" {
			call.Config = net.With(valid(listed(a))).JSON(t)
		}
		if verb == "GC" || verb == "STATUS" {
			call.ContainerID, call.Netns, call.IfName, call.Args = "", "", "", ""
		}
		answer := h.CNI(t, call).OK(t)
		if verb == "ADD" {
			a.prev = answer.Stdout
		}
		expect.Equal(t, "mode", h.Run(t, "stat", "-c", "%a %u", logPath), "600 0\n")
		all := lines(t, h)
		if len(all) != 1 {
			t.Fatalf("%s: %d lines", verb, len(all))
		}
		l := all[0]
		if at, err := time.Parse(time.RFC3339Nano, l.Time); err != nil || time.Since(at) > time.Hour || l.MS <= 0 {
			t.Errorf("%s: time %q (%v), %v ms", verb, l.Time, err, l.MS)
		}
		expect.Equal(t, verb+": steps", slices.Sorted(maps.Keys(l.Steps)), steps[verb])
		sum := 0.0
		for _, ms := range l.Steps {
			sum += ms
		}
		if sum <= 0 || sum > l.MS {
			t.Errorf("%s: the steps took %v ms, all of it %v", verb, sum, l.MS)
		}
		l.Time, l.MS, l.Steps = "", 0, nil
		want := logged{Verb: verb, Network: "net", Traceparent: trace}
		if call.ContainerID != "" {
			want.ContainerID, want.IfName, want.Netns = a.id, "eth0", c.Path()
			want.PodNamespace, want.PodName, want.PodUID = "default", "web-0", "7"
		}
		expect.Equal(t, verb, l, want)
	}
}

// TestLogOfErrors: code and message are those of the answer; an invalid call is logged too.
//
// Claim: The log, off by default, has one line of JSON per verb, with code and message of the answer, the time of each step, pod and
// TRACEPARENT, and mode 0600
func TestLogOfErrors(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), everything().With(cni.Conf{"logFile": logPath}))
	a.ifname = "a/b"
	for name, spoil := range map[string]func(){
		"interface name": func() { a.ifname = "a/b" },
		"namespace":      func() { a.ifname, a.netns = "eth0", "/run/netns/none" },
		"key":            func() { a.conf = a.conf.With(cni.Conf{"mtu": "x"}) },
	} {
		spoil()
		e := a.run(t, "ADD").Error(t)
		all := lines(t, h)
		if len(all) != 1 || all[0].Code != e.Code || all[0].Msg != e.Msg || e.Code == 0 {
			t.Errorf("%s: %+v, the answer is %v", name, all, e)
		}
	}
	noLeaks(t, h)
}

// TestLogByEnvironment: CNI_LOG_FILE is the log of all networks without a key of their own. Without either there is no
// log.
//
// Claim: The log, off by default, has one line of JSON per verb, with code and message of the answer, the time of each step, pod and
// TRACEPARENT, and mode 0600
func TestLogByEnvironment(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	before := slices.Sorted(maps.Keys(files(t, h, "/run")))
	for _, tt := range []struct{ env, key, there string }{
		{"", "", ""}, {logPath, "", "log"}, {logPath, "/run/other", "other"}, {"", "/run/other", "other"},
	} {
		call := nettest.Call{Command: "STATUS", Config: everything().With(cni.Conf{"logFile": tt.key}).JSON(t), Env: []string{"CNI_LOG_FILE=" + tt.env}}
		h.CNI(t, call).OK(t)
		want := before
		if tt.there != "" {
			want = slices.Sorted(slices.Values(append(slices.Clone(before), tt.there)))
		}
		expect.Equal(t, fmt.Sprint(tt), slices.Sorted(maps.Keys(files(t, h, "/run"))), want)
		if tt.there != "" {
			removeAll(t, h, "/run/"+tt.there)
		}
	}
}

// TestUnwritableLog: the verb succeeds and prints a line on stderr. Symbolic links are not followed, and only
// regular files are written to.
//
// Claim: A log that cannot be written is one line on stderr and fails nothing; symbolic links, pipes, hard links and files of other users
// are not written to
func TestUnwritableLog(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), everything())
	h.Run(t, "sh", "-ec", "cd /run; echo precious >secret; ln -s secret link; ln secret second; mkfifo pipe; mkdir dir")
	for path, want := range map[string]string{
		"/run/link": "/run/link: symbolic link (not followed)", "/run/second": "/run/second: file with more than one name",
		"/run/pipe": "/run/pipe", "/run/dir": "/run/dir", "/nowhere/log": "no such file or directory", "log": `"log" is not an absolute path`,
	} {
		for _, verb := range []string{"ADD", "DEL"} {
			call := a.call(t, verb)
			call.Env = []string{"CNI_LOG_FILE=" + path}
			answer := h.CNI(t, call).OK(t)
			expect.Contains(t, string(answer.Stderr), "patchbay: log: ", want)
			expect.Equal(t, path+": lines on stderr", strings.Count(string(answer.Stderr), "\n"), 1)
		}
	}
	expect.Equal(t, "secret", h.Run(t, "cat", "/run/secret"), "precious\n")
}

// TestLogIsRotated: at 10 MB the log is renamed, and no line is lost or torn, however many processes write.
//
// Claim: The log is rotated at 10 MB, and lines of concurrent writers are neither mixed nor lost
func TestLogIsRotated(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	full := strings.Repeat("x", 10<<20-2000) + "\n"
	writeFile(t, h, logPath, full)
	writeFile(t, h, logPath+".1", "older\n")
	const calls = 40
	var running []*nettest.Running
	for range calls {
		call := nettest.Call{Command: "STATUS", Config: everything().JSON(t), Env: []string{"CNI_LOG_FILE=" + logPath}}
		running = append(running, h.StartCNI(t, call))
	}
	for _, r := range running {
		expect.Equal(t, "stderr", string(r.Wait(t).OK(t).Stderr), "")
	}
	var old string
	h.Do(func() {
		text, _ := os.ReadFile(logPath + ".1")
		old = string(text)
	})
	rest, ok := strings.CutPrefix(old, full)
	if !ok {
		t.Fatalf("the old log has %d bytes, and is not what was full", len(old))
	}
	inOld := strings.Count(rest, `"verb":"STATUS"`)
	expect.Equal(t, "lines", inOld+len(lines(t, h)), calls)
	expect.Equal(t, "lines of the old log end", strings.Count(rest, "\n"), inOld)
	if inOld == 0 || inOld == calls {
		t.Errorf("%d of %d lines are in the old log", inOld, calls)
	}
}
