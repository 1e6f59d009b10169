package conformance

import (
	"bytes"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func failureChecks() []Check {
	return []Check{
		{
			ID: "exhausted", Level: Must, Source: "SPEC 2, Errors", Needs: []string{"smallPool"}, run: exhausted,
			Text: "refuses ADD if no address is left",
		},
		{
			ID: "exhausted-code", Level: Practice, Source: "SPEC 5, code 11: a transient condition", Needs: []string{"smallPool"}, run: exhaustedCode,
			Text: "refuses ADD with code 11 if no address is left",
		},
		{
			ID: "exhausted-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", Needs: []string{"smallPool"}, run: exhaustedLeaves,
			Text: "leaves nothing after an ADD that found no address",
		},
		{
			ID: "failed-add-releases", Level: Practice, Source: "a failed ADD that is never followed by DEL", Needs: []string{"smallPool"}, run: failedReleases,
			Text: "keeps no address of ADDs that failed because the interface name was taken",
		},
	}
}

// interruptionChecks are those of bad namespaces, interrupted calls and closed files.
func interruptionChecks() []Check {
	return []Check{
		{
			ID: "refused-parameters-leave", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: refusedParameters,
			Text: "leaves nothing after ADDs that are refused for their parameters",
		},
		{
			ID: "refused-input-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: refusedInput,
			Text: "leaves nothing after ADDs that are refused for their configuration",
		},
		{
			ID: "netns-absent", Level: Must, Source: "SPEC 2, Errors", run: func(t *trial) { badNetns(t, "/run/netns/absent", nil); t.intact("ADD") },
			Text: "refuses ADD if CNI_NETNS does not exist",
		},
		{
			ID: "netns-absent-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: func(t *trial) { badNetns(t, "/run/netns/absent", nil); t.clean("ADD") },
			Text: "leaves nothing after an ADD that is refused because CNI_NETNS does not exist",
		},
		{
			ID: "netns-file", Level: Must, Source: "SPEC 2, Errors", run: func(t *trial) { badNetns(t, "/run/netns/file", makeFile); t.intact("ADD") },
			Text: "refuses ADD if CNI_NETNS is a regular file",
		},
		{
			ID: "netns-file-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: func(t *trial) { badNetns(t, "/run/netns/file", makeFile); t.clean("ADD") },
			Text: "leaves nothing after an ADD that is refused because CNI_NETNS is a regular file",
		},
		{
			ID: "netns-directory", Level: Must, Source: "SPEC 2, Errors", run: func(t *trial) { badNetns(t, "/run/netns", nil); t.intact("ADD") },
			Text: "refuses ADD if CNI_NETNS is a directory",
		},
		{
			ID: "netns-directory-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: func(t *trial) { badNetns(t, "/run/netns", nil); t.clean("ADD") },
			Text: "leaves nothing after an ADD that is refused because CNI_NETNS is a directory",
		},
		{
			ID: "netns-fifo", Level: Practice, Source: "a path that a user controls", run: func(t *trial) {
				badNetns(t, "/run/netns/fifo", func(path string) error { return unix.Mkfifo(path, 0o600) })
			},
			Text: "refuses ADD if CNI_NETNS is a FIFO, and does not wait for its writer",
		},
	}
}

// killChecks are those of interrupted calls and closed files.
func killChecks() []Check {
	return []Check{
		{
			ID: "netns-of-host", Level: Practice, Source: "code 8 of libcni's skel", run: func(t *trial) { badNetns(t, "/proc/self/ns/net", nil); t.clean("ADD") },
			Text: "refuses ADD if CNI_NETNS is the host's own namespace, and leaves nothing",
		},
		{
			ID: "killed-add", Level: Practice, Source: "SPEC 3: delete after a failed add", run: func(t *trial) { interruptedAdd(t, syscall.SIGKILL) },
			Text: "leaves nothing after DEL of an ADD that was killed when the first interface appeared",
		},
		{
			ID: "terminated-add", Level: Practice, Source: "SPEC 3: delete after a failed add", run: func(t *trial) { interruptedAdd(t, syscall.SIGTERM) },
			Text: "leaves nothing after DEL of an ADD that got SIGTERM when the first interface appeared",
		},
		{
			ID: "killed-add-again", Level: Practice, Source: "runtimes repeat an ADD after DEL", run: killedAgain,
			Text: "attaches a container after an ADD that was killed, and DEL",
		},
		{
			ID: "result-unwritten", Level: Practice, Source: "a runtime without a result has no attachment", run: resultUnwritten,
			Text: "fails with ADD if the result cannot be written to stdout",
		},
		{
			ID: "result-unwritten-del", Level: Should, Source: "SPEC 3: delete after a failed add", run: resultUnwrittenDel,
			Text: "leaves nothing after DEL of an ADD whose result could not be written",
		},
		{
			ID: "input-closed", Level: Must, Source: "SPEC 2, Errors", run: inputClosed,
			Text: "refuses ADD if standard input is closed",
		},
		{
			ID: "stderr-closed", Level: Practice, Source: "runtimes without a log", run: stderrClosed,
			Text: "attaches a container if standard error is closed",
		},
	}
}

func exhausted(t *trial) { t.exhaust(t.conf(t.variant("smallPool"))) }

// full exhausts the pool and returns a call for one more container.
func (t *trial) full() nettest.Call {
	config := t.conf(t.variant("smallPool"))
	t.exhaust(config)
	c := t.host.Container("late")
	t.baseline()
	return t.call("ADD", c, config)
}

func exhaustedCode(t *trial) { t.coded(t.do(t.full()), "ADD", 11) }

func exhaustedLeaves(t *trial) {
	t.refuses(t.do(t.full()), "ADD")
	t.clean("ADD")
}

func failedReleases(t *trial) {
	config := t.conf(t.variant("smallPool"))
	c := t.host.Container("taken")
	t.ip(c.Netns, "link add eth0 type veth peer name other")
	for range 10 {
		t.refuses(t.do(t.call("ADD", c, config)), "ADD")
	}
	t.attach("c", config)
}

func refusedParameters(t *trial) {
	c := t.host.Container("c")
	t.baseline()
	for _, change := range []func(*nettest.Call){
		func(c *nettest.Call) { c.ContainerID = "../../../run/netns/x" },
		func(c *nettest.Call) { c.IfName = "sixteen-bytes-xx" },
		func(c *nettest.Call) { c.IfName = "../x" },
		func(c *nettest.Call) { c.Unset = []string{"CNI_NETNS"} },
	} {
		call := t.call("ADD", c, t.conf())
		change(&call)
		t.refuses(t.do(call), "ADD")
	}
	t.clean("ADDs")
}

func refusedInput(t *trial) {
	c := t.host.Container("c")
	t.baseline()
	for _, config := range []any{"", "not JSON", t.conf(conf{"name": nil}), t.conf(conf{"name": "../x"}), t.conf(conf{"cniVersion": "9.9.9"})} {
		t.refuses(t.do(t.call("ADD", c, config)), "ADD")
	}
	t.clean("ADDs")
}

func makeFile(path string) error { return os.WriteFile(path, nil, 0o444) }

// badNetns calls ADD with a CNI_NETNS that is no namespace of a container; create makes it.
func badNetns(t *trial, path string, create func(string) error) {
	t.resident(t.conf())
	c := t.host.Container("c")
	if create != nil {
		var err error
		t.host.Do(func() { err = create(path) })
		if err != nil {
			t.Fatal(err)
		}
	}
	t.baseline()
	call := t.call("ADD", c, t.conf())
	call.Netns = path
	t.refuses(t.do(call), "ADD")
}

// interruptAdd starts an ADD and sends a signal as soon as the kernel reports a new interface on the host. It returns when ADD has ended.
func (t *trial) interruptAdd(c *nettest.Container, signal syscall.Signal) {
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	defer close(done)
	var err error
	t.host.Do(func() { err = netlink.LinkSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	r := t.host.StartCNI(t, t.call("ADD", c, t.conf()))
	ended := make(chan nettest.Answer, 1)
	go func() { ended <- t.wait(r, "ADD") }()
	select {
	case <-updates:
		_ = r.Signal(signal)
		<-ended
	case <-ended:
	}
}

func interruptedAdd(t *trial, signal syscall.Signal) {
	c := t.newcomer(t.conf())
	for range 3 {
		t.interruptAdd(c, signal)
		t.del(c, t.conf())
		t.clean("DEL")
	}
}

func killedAgain(t *trial) {
	c := t.newcomer(t.conf())
	t.interruptAdd(c, syscall.SIGKILL)
	t.del(c, t.conf())
	t.add(c, t.conf())
	t.del(c, t.conf())
	t.clean("DEL")
}

// start runs the plugin with files of its own.
func (t *trial) start(call nettest.Call, set func(*nettest.Cmd)) error {
	cmd := t.host.Command(call.Plugin)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + call.Command, "CNI_CONTAINERID=" + call.ContainerID,
		"CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName, "CNI_ARGS=", "CNI_PATH=" + call.Path,
	}
	cmd.Stdin = bytes.NewReader(call.Config)
	set(cmd)
	return cmd.Run()
}

// unwritten calls ADD with a stdout that is full.
func (t *trial) unwritten(c *nettest.Container) error {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("%v", err)
	}
	defer full.Close()
	return t.start(t.call("ADD", c, t.conf()), func(cmd *nettest.Cmd) { cmd.Stdout = full })
}

func resultUnwritten(t *trial) {
	if t.unwritten(t.host.Container("c")) == nil {
		t.Fatalf("ADD succeeds")
	}
}

func resultUnwrittenDel(t *trial) {
	c := t.newcomer(t.conf())
	_ = t.unwritten(c)
	t.del(c, t.conf())
	t.clean("DEL")
}

// closing returns the path of a script that runs the plugin with a descriptor closed.
func (t *trial) closing(c *nettest.Container, redirection string) error {
	call := t.call("ADD", c, t.conf())
	plugin := call.Plugin
	call.Plugin = "/bin/sh"
	return t.start(call, func(cmd *nettest.Cmd) { cmd.Args = []string{"sh", "-c", `exec "$0" ` + redirection, plugin} })
}

func inputClosed(t *trial) {
	if t.closing(t.host.Container("c"), "<&-") == nil {
		t.Fatalf("ADD succeeds")
	}
}

func stderrClosed(t *trial) {
	c := t.host.Container("c")
	if err := t.closing(c, "2>&-"); err != nil || !has(c.Netns, "eth0") {
		t.Fatalf("ADD fails")
	}
}
