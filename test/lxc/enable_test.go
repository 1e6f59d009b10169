package lxc

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestEnableDisable: the commands as a person gives them. Repeated they change nothing, and disable leaves the file as it was,
// byte for byte, with mode and owner.
func TestEnableDisable(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("web")
	s.run("chmod", "0604", c.config())
	s.run("chown", "12:34", c.config())
	before := c.read(c.config())
	expect.Equal(t, "told", s.patchbay("lxc", "enable", "web"), "web: network bridge from its next start on\n")
	enabled := c.read(c.config())
	expect.Contains(t, strings.TrimPrefix(enabled, before),
		"lxc.net.0.type = empty\n", "lxc.hook.start-host = "+nettest.Patchbay(t)+" lxc-hook --network bridge\n", "lxc.hook.stop = ", "lxc.hook.destroy = ")
	expect.Equal(t, "told", s.patchbay("lxc", "enable", "web"), "web: network bridge, as before\n")
	expect.Equal(t, "configuration", c.read(c.config()), enabled)
	s.patchbay("lxc", "--ip", "10.88.1.1", "enable", "web", "--network", "bridge")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge --ip 10.88.1.1\n")
	s.patchbay("lxc", "enable", "web", "-p", "8080:80", "--publish", "127.0.0.1:53:53/udp")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge --publish 8080:80 --publish 127.0.0.1:53:53/udp\n")
	expect.Equal(t, "told", s.patchbay("lxc", "disable", "web"), "web: LXC calls patchbay no more\n")
	expect.Equal(t, "told", s.patchbay("lxc", "disable", "web"), "web: LXC does not call patchbay\n")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	expect.Equal(t, "mode and owner", s.run("stat", "-c", "%a %u:%g", c.config()), "604 12:34\n")
}

// TestEnableByForce: of the network that LXC's default configuration names, the lines are set aside, and put back.
func TestEnableByForce(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("web")
	c.configure("lxc.net.0.type = veth", "lxc.net.0.link = lxcbr0", "lxc.net.0.flags = up")
	before := c.read(c.config())
	expect.Contains(t, s.refused("lxc", "enable", "web"), "has lxc.net.0.type = veth", "--force")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	c.enable("--force")
	c.start()
	expect.Equal(t, "address", c.port().Address, "10.88.0.2")
	c.stop()
	s.patchbay("lxc", "disable", "web")
	expect.Equal(t, "configuration", c.read(c.config()), before)
}

// TestEnableRefuses what could not end well, and changes nothing.
func TestEnableRefuses(t *testing.T) {
	t.Parallel()
	s := host(t)
	c := s.container("web")
	before := c.read(c.config())
	expect.Contains(t, s.refused("lxc", "enable", "web", "--network", "lan"), "no such network", "there is none of patchbay in /etc/cni/net.d")
	s.network("bridge", nat())
	for want, args := range map[string][]string{
		`no such LXC container as "wep" in /var/lib/lxc: did you mean "web"?`: {"enable", "wep"},
		`no such LXC container as "web" in /nowhere`:                          {"enable", "web", "--lxcpath", "/nowhere"},
		`no such network as "lan": there are bridge in /etc/cni/net.d`:        {"enable", "web", "--network", "lan"},
		`--ip: ParseAddr("10.88.0"): IPv4 address too short`:                  {"enable", "web", "--ip", "10.88.0"},
		"use a path without white space":                                      {"enable", "web", "--conf-dir", "/etc/cni/net.d/;x"},
		"lxc wants enable NAME or disable NAME":                               {"enable"},
		`"70000" is no port of the container`:                                 {"enable", "web", "-p", "80:70000"},
		"--publish [::1]:1:1: ::1 cannot be published on":                     {"enable", "web", "-p", "[::1]:1:1"},
	} {
		if args[len(args)-1] == "/etc/cni/net.d/;x" {
			s.run("cp", "-r", confDir, "/run/net.d")
			s.run("mv", "/run/net.d", args[len(args)-1])
		}
		expect.Contains(t, s.refused(append([]string{"lxc"}, args...)...), want)
	}
	expect.Equal(t, "configuration", c.read(c.config()), before)
}

// TestPathOfLXC: the directory of containers may be another by LXC's own configuration.
func TestPathOfLXC(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.containerIn("/run/containers", "web")
	s.write("/etc/lxc/lxc.conf", "lxc.lxcpath = /run/containers\n")
	s.patchbay("lxc", "enable", "web")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge")
}

// TestVersionInReadme: it names the version of LXC that these tests run.
func TestVersionInReadme(t *testing.T) {
	t.Parallel()
	version := strings.TrimSpace(host(t).run("lxc-start", "--version"))
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, string(readme), "| LXC | "+version+" |")
}
