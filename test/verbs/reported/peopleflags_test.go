package reported

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// flagWords returns the rows of case 42.
func flagWords() []row {
	const kind = "the error of a command names the flag, not the variable or key of CNI"
	// refused requires that a command fails after a script, with these parts.
	refused := func(script, command string, parts ...string) func(t *testing.T) {
		return func(t *testing.T) {
			p := newPerson(t)
			p.network("lab", "lab0", "10.9.0.0/24")
			p.network("tiny", "tiny0", "10.8.0.0/30")
			p.sh("ip netns add mine; ip link add name bare0 type veth peer name bare1")
			for step := range strings.SplitSeq(script, "; ") {
				if words := strings.Fields(step); len(words) > 0 && words[0] == "patchbay" {
					p.ok(words[1:]...)
					continue
				}
				p.sh(step)
			}
			p.failsPlainly(parts, strings.Fields(command)...)
			p.run("detach", "mine", "web")
			p.run("down", "web", "db")
			p.sh("ip netns del mine; ip link del bare0")
		}
	}
	return []row{
		{"42", "attach with the name of an existing interface", kind, refused("", "attach mine --interface lo", "interface lo in ", "name already in use", "--interface")},
		{"42.1", "up where the network has no address left", kind, refused("patchbay up web --network tiny", "up db --network tiny", "detach unused attachments", "a range to the network's file")},
		{"42.2", "up with an address that is in no range", kind, refused("", "up web --ip 10.99.0.1", "10.99.0.1", "--ip")},
		{"42.3", "attach to a file that is not a namespace", kind, refused("touch /run/plain", "attach /run/plain", "/run/plain", "network namespace")},
		{"42.4", "attach twice", kind, refused("patchbay attach mine", "attach mine", "already attached", "patchbay detach", "--interface")},
		{"42.5", "up with a port of an address of the other family", kind, refused("", "up web -p [2001:db8::1]:80:80", "--publish [2001:db8::1]:80:80")},
		{"42.6", "up on an interface that is not a bridge", kind, func(t *testing.T) {
			p := newPerson(t)
			p.sh("ip link add name bare0 type veth peer name bare1")
			p.file("bare.conflist", `{"cniVersion": "1.0.0", "name": "bare", "plugins": [{"type": "patchbay", "bridge": "bare0"}]}`)
			p.failsPlainly([]string{"bare0 (veth): not a bridge", "bridge in the network's file"}, "up", "web", "--network", "bare")
			p.sh("ip link del bare0")
		}},
		{"42.7", "up with an IPAM plugin that is not installed", kind, func(t *testing.T) {
			p := newPerson(t)
			p.file("far.conflist", `{"cniVersion": "1.0.0", "name": "far", "plugins": [{"type": "patchbay", "bridge": "far0", "ipam": {"type": "nosuch"}}]}`)
			p.failsPlainly([]string{"nosuch", "type in the network's file"}, "up", "web", "--network", "far")
		}},
		{"42.8", "the port is published by another attachment", kind, refused("patchbay up web -p 8080:80", "up db -p 8080:80", "port 8080/tcp", "web")},
		{"42.9", "attach to the host itself", kind, refused("", "attach /proc/self/ns/net", "network namespace of the host")},
		{"42.10", "attach with an interface name that is too long", kind, refused("", "attach mine --interface a-name-that-is-far-too-long", "--interface")},
		{"42.11", "the hook of LXC, whose network has no address left", kind, func(t *testing.T) {
			p := newPerson(t)
			p.network("tiny", "tiny0", "10.8.0.0/30")
			p.ok("up", "web", "--network", "tiny")
			c := p.Container("box")
			out := p.hook(c, "tiny")
			expect.Contains(t, out, "a range to the network's file")
			saysNoCNI(t, out)
			p.ok("down", "web")
		}},
	}
}

// failsPlainly requires that a command fails with these parts, and without the names of CNI variables and keys.
func (p *person) failsPlainly(parts []string, args ...string) {
	p.t.Helper()
	s := p.fails(parts, args...)
	saysNoCNI(p.t, s.errors)
}

// saysNoCNI: these names are not part of the command line.
func saysNoCNI(t *testing.T, text string) {
	t.Helper()
	words := regexp.MustCompile(`CNI_[A-Z]+|\b(ADD|DEL|CHECK|STATUS)\b|\b(ipam|runtimeConfig)\.|prevResult|\bhostPort\b|\bhostIP\b|\bcontainer ID\b`)
	if found := words.FindAllString(text, -1); found != nil {
		t.Errorf("a person reads %q in %q", found, text)
	}
}

// hook calls the hook of LXC for a container whose init is a process in it.
func (p *person) hook(c *nettest.Container, network string) string {
	p.t.Helper()
	init := c.Command("sleep", "1000")
	if err := init.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		_ = init.Process.Kill()
		_ = init.Wait()
	}()
	out, err := p.Command("env", "LXC_NAME=box", "LXC_HOOK_TYPE=start-host", "LXC_HOOK_VERSION=1", "LXC_CONFIG_FILE=/var/lib/lxc/box/config",
		"LXC_PID="+strconv.Itoa(init.Process.Pid), nettest.Patchbay(p.t), "lxc-hook", "--network", network, "--conf-dir", filepath.Clean(p.conf)).CombinedOutput()
	if err == nil {
		p.t.Errorf("the hook passes: %s", out)
	}
	return string(out)
}
