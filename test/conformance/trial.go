package conformance

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// patience is how long one call may take. Runtimes wait for minutes, but for nothing that a check asks for.
const patience = 30 * time.Second

// trial is a check while it runs: a host, the plugin and a network.
type trial struct {
	*session

	options   Options
	host      *nettest.Node
	version   string   // of the configuration
	supported []string // versions of the plugin
	network   string
}

// begin creates the host. Leaks are compared by the checks themselves, see clean.
func (t *trial) begin() {
	dirs := t.profile().Directories
	t.host = nettest.Host(t, nettest.Watch(dirs...))
	t.host.NoOracle("checks compare by clean")
	for _, command := range t.profile().Prepare {
		t.host.Run(t, command[0], command[1:]...)
	}
}

func (t *trial) profile() *Profile { return t.options.Profile }

// conf returns the configuration of the network with patches.
func (t *trial) conf(patches ...conf) conf {
	c := merge(t.profile().Network, conf{"cniVersion": t.version, "name": t.network})
	for _, p := range patches {
		c = merge(c, p)
	}
	return c
}

// variant returns the patch of the profile with this name; Needs makes sure that it exists.
func (t *trial) variant(name string) conf { return t.profile().Variants[name] }

// on runs f with another network.
func (t *trial) on(network string, f func()) {
	before := t.network
	t.network = network
	f()
	t.network = before
}

// call returns a call for eth0 of a container; c is nil for VERSION, GC and STATUS.
func (t *trial) call(verb string, c *nettest.Container, config any) nettest.Call {
	call := nettest.Call{Command: verb, Plugin: t.options.Plugin, Path: t.searchPath(), Config: text(config)}
	if c != nil {
		call.ContainerID, call.Netns, call.IfName = c.ID(), c.Path(), "eth0"
	}
	return call
}

// searchPath is CNI_PATH.
func (t *trial) searchPath() string {
	return strings.Join(append([]string{filepath.Dir(t.options.Plugin)}, t.options.Path...), ":")
}

// text returns a configuration as JSON; text stays as it is.
func text(config any) []byte {
	switch config := config.(type) {
	case []byte:
		return config
	case string:
		return []byte(config)
	}
	out, _ := json.Marshal(config)
	return out
}

// do calls the plugin and waits for its end. A plugin that does not end is killed, and the check has failed.
func (t *trial) do(call nettest.Call) nettest.Answer {
	return t.wait(t.host.StartCNI(t, call), call.Command)
}

// wait waits for a plugin.
func (t *trial) wait(r *nettest.Running, what string) nettest.Answer {
	timer := time.AfterFunc(patience, func() {
		t.Errorf("%s did not end in %s", what, patience)
		_ = r.Signal(syscall.SIGKILL)
	})
	defer timer.Stop()
	a := r.Wait(t)
	if a.Exit != 0 {
		t.Logf("%s: %s", what, a)
	}
	return a
}

// all starts calls at once and returns their answers.
func (t *trial) all(calls []nettest.Call) []nettest.Answer {
	running := make([]*nettest.Running, len(calls))
	for i, c := range calls {
		running[i] = t.host.StartCNI(t, c)
	}
	answers := make([]nettest.Answer, len(calls))
	for i, r := range running {
		answers[i] = t.wait(r, calls[i].Command)
	}
	return answers
}

// add attaches eth0 of a container, which must succeed.
func (t *trial) add(c *nettest.Container, config conf) *result {
	return t.result(t.do(t.call("ADD", c, config)))
}

// attach is add with a new container.
func (t *trial) attach(name string, config conf) (*nettest.Container, *result) {
	c := t.host.Container(name)
	return c, t.add(c, config)
}

// del detaches eth0 of a container, which must succeed.
func (t *trial) del(c *nettest.Container, config conf) {
	t.succeeds(t.do(t.call("DEL", c, config)), "DEL")
}

// check is the configuration with the result of an ADD.
func withPrev(config conf, prev *result) conf { return merge(config, conf{"prevResult": prev.raw}) }

// resident attaches a container that stays, and makes the host with it what clean compares with: what attachments share exists then.
func (t *trial) resident(config conf) (*nettest.Container, *result) {
	c, r := t.attach("resident", config)
	t.baseline()
	return c, r
}

// newcomer attaches a resident, and returns a container that is not attached. clean compares with the host as it is then.
func (t *trial) newcomer(config conf) *nettest.Container {
	t.resident(config)
	c := t.host.Container("c")
	t.baseline()
	return c
}

// baseline makes the present state the one that clean compares with.
func (t *trial) baseline() {
	t.host.Oracle(nettest.CleanHost)
	t.host.Baseline()
}

// clean fails unless the host and its containers are as at the baseline. What attachments share may have changed, but not come or
// gone: properties of bridges (their MAC address and MTU follow from their ports), and the content of files (locks, cursors).
func (t *trial) clean(after string) { t.compare(after, t.shared) }

// intact is clean that permits what has been added: a call that failed may leave what DEL removes.
func (t *trial) intact(after string) {
	t.compare(after, func(line string) bool { return strings.HasPrefix(line, "+ ") || t.shared(line) })
}

// compare fails if there is a difference that is not permitted for two seconds.
func (t *trial) compare(after string, permitted func(string) bool) {
	until := time.Now().Add(2 * time.Second)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		left := slices.DeleteFunc(t.host.Leaks(), permitted)
		if len(left) == 0 {
			return
		}
		// The kernel deletes namespaces and interfaces some time after the last reference is dropped, without an event for all.
		if time.Now().After(until) {
			t.Fatalf("%s: left behind or lost: %s\n%s", after, described(left), strings.Join(left, "\n"))
		}
		time.Sleep(wait)
	}
}

// shared reports whether a difference is one of what attachments share.
func (t *trial) shared(line string) bool {
	changed := strings.HasPrefix(line, "~ ")
	return changed && strings.HasPrefix(line[2:], "file ") ||
		changed && t.profile().Bridge != "" && strings.HasPrefix(line[2:], "link "+t.profile().Bridge+" ") ||
		strings.HasPrefix(line, "+ file ") && strings.Contains(line, ": d") // a directory
}

// described names the kinds of differences, which unlike the differences are the same in each run.
func described(lines []string) string {
	var kinds []string
	for _, line := range lines {
		sign, rest, _ := strings.Cut(line, " ")
		kind, _, _ := strings.Cut(rest, " ")
		kinds = append(kinds, sign+kind)
	}
	slices.SortFunc(kinds, cmp.Compare[string])
	return strings.Join(slices.Compact(kinds), " ")
}
