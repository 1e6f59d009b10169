package lxc

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestEnableDisable: repeated commands change nothing, and disable restores the file byte for byte, with mode and
// owner.
//
// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestEnableDisable(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("web")
	s.run("chmod", "0604", c.config())
	s.run("chown", "12:34", c.config())
	before := c.read(c.config())
	expect.Equal(t, "output", s.patchbay("lxc", "enable", "web"), "web: network patchbay from the next start\n")
	s.patchbay("lxc", "disable", "web")
	expect.Equal(t, "output", s.patchbay("lxc", "enable", "web", "--network", "bridge"), "web: network bridge from the next start\n")
	enabled := c.read(c.config())
	expect.Contains(t, strings.TrimPrefix(enabled, before),
		"lxc.net.0.type = empty\n", "lxc.hook.start-host = "+nettest.Patchbay(t)+" lxc-hook --network bridge\n", "lxc.hook.stop = ", "lxc.hook.destroy = ")
	expect.Equal(t, "output", s.patchbay("lxc", "enable", "web", "--network", "bridge"), "web: network bridge, unchanged\n")
	expect.Equal(t, "configuration", c.read(c.config()), enabled)
	s.patchbay("lxc", "--ip", "10.88.1.1", "enable", "web", "--network", "bridge")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge --ip 10.88.1.1\n")
	s.patchbay("lxc", "enable", "web", "--network", "bridge", "-p", "8080:80", "--publish", "127.0.0.1:53:53/udp")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge --publish 8080:80 --publish 127.0.0.1:53:53/udp\n")
	expect.Equal(t, "output", s.patchbay("lxc", "disable", "web"), "web: disabled from the next start\n")
	expect.Equal(t, "output", s.patchbay("lxc", "disable", "web"), "web: not enabled\n")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	expect.Equal(t, "mode and owner", s.run("stat", "-c", "%a %u:%g", c.config()), "604 12:34\n")
}

// TestEnableByForce: enable comments out the network of LXC's default configuration, and disable restores it.
//
// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
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

// TestEnableRefuses: enable refuses containers that could not start with it, and changes nothing.
//
// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestEnableRefuses(t *testing.T) {
	t.Parallel()
	s := host(t)
	c := s.container("web")
	before := c.read(c.config())
	expect.Contains(t, s.refused("lxc", "enable", "web", "--network", "lan"), `no network "lan"; networks: patchbay (built in)`)
	s.network("bridge", nat())
	for want, args := range map[string][]string{
		`no LXC container "wep" in /var/lib/lxc; did you mean web?`:          {"enable", "wep"},
		`no LXC container "web" in /nowhere`:                                 {"enable", "web", "--lxcpath", "/nowhere"},
		`no network "lan"; networks: bridge, patchbay (built in)`:            {"enable", "web", "--network", "lan"},
		`--ip: ParseAddr("10.88.0"): IPv4 address too short`:                 {"enable", "web", "--ip", "10.88.0"},
		"use a path without spaces":                                          {"enable", "web", "--conf-dir", "/etc/cni/net.d/;x"},
		"lxc needs enable NAME or disable NAME":                              {"enable"},
		`container port "70000" is not a number`:                             {"enable", "web", "-p", "80:70000"},
		"--publish [::1]:1:1 is not published: the kernel delivers no reply": {"enable", "web", "-p", "[::1]:1:1"},
	} {
		if args[len(args)-1] == "/etc/cni/net.d/;x" {
			s.run("cp", "-r", confDir, "/run/net.d")
			s.run("mv", "/run/net.d", args[len(args)-1])
		}
		expect.Contains(t, s.refused(append([]string{"lxc"}, args...)...), want)
	}
	expect.Equal(t, "configuration", c.read(c.config()), before)
}

// TestPathOfLXC: LXC's own configuration may name another directory of containers.
//
// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestPathOfLXC(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.containerIn("/run/containers", "web")
	s.write("/etc/lxc/lxc.conf", "lxc.lxcpath = /run/containers\n")
	s.patchbay("lxc", "enable", "web", "--network", "bridge")
	expect.Contains(t, c.read(c.config()), "lxc-hook --network bridge")
}

// TestVersionInReadme: README names the version of LXC that these tests run.
//
// Claim: LXC 5.0.2, hook versions 0 and 1: two containers reach each other, the LAN's outside, and by masquerading the outside; destroyed,
// they leave nothing behind; with no network configured the default network is used
func TestVersionInReadme(t *testing.T) {
	t.Parallel()
	version := strings.TrimSpace(host(t).run("lxc-start", "--version"))
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	expect.Contains(t, string(readme), "| LXC | "+version+" |")
}
