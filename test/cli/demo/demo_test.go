// Package demo runs the script of `make demo`. It does not test single steps: the script fails if a step does not
// print what it expects.
package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// demo runs an inner script of the demo in namespaces of its own, after a line of preparation.
func demo(t *testing.T, prepare, script string) string {
	t.Helper()
	nettest.Root(t)
	nettest.Program(t, "cnitool")
	nettest.Need(t, nettest.Tool("tcpdump"), nettest.Tool("ping"))
	path, err := filepath.Abs("../../../scripts/" + script)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", prepare+" exec "+path)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // otherwise the characters of the picture depend on the caller's locale
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// Every step adds to the picture.
//
// Claim: The demo shows the LAN case; with `HERE=1` it lists what it leaves behind
func TestDemo(t *testing.T) {
	out := demo(t, "", "demo-host.sh")
	for _, want := range []string{
		"(not attached)", "● eth0  192.0.2.100/24", "LAN (router 192.0.2.1)",
		"red pings the outside, 198.51.100.7: 3 received", "red pings the outside, 2001:db8:0:2::7: 3 received",
		"3 of 3 requests came from 192.0.2.100 itself: no NAT", "0 ICMP redirects; net.ipv4.ip_forward of the host is 0",
		"are as before the first step", "demo: 8 steps, all as expected",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}

// With HERE=1 the script works on the host itself, here a namespace, and lists what remains.
//
// Claim: The demo shows the LAN case; with `HERE=1` it lists what it leaves behind
func TestDemoHere(t *testing.T) {
	const prepare = "mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib;"
	out := demo(t, prepare, "demo-here.sh")
	for _, want := range []string{
		"patchbay-red pings the gateway, 203.0.113.1: 3 received", "no link, no address, no file, no namespace",
		"demo: 5 steps, all as expected",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}
