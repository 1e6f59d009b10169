package lxc

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// hostsOf returns the path of the container's file on the host.
func (c *container) hostsOf() string {
	c.t.Helper()
	files := c.glob("/var/lib/patchbay/names/lxc-" + c.name + "-*")
	if len(files) != 1 {
		c.t.Fatalf("hosts files of %s: %v", c.name, files)
	}
	return files[0]
}

// TestNames: a container has the names of what shares its network, the host and namespaces have its name while it runs, and its own
// /etc/hosts is not written to.
//
// Claim: With `lxc enable --names` an LXC container resolves names by a file of the host that LXC mounts; nothing is written into its file system
func TestNames(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.h.Allow("file /var/lib/patchbay/names")
	c := s.container("web")
	s.run("sh", "-c", "echo 192.0.2.7 inside >"+lxcPath+"/web/rootfs/etc/hosts")
	before := c.read(c.config())
	c.enable("--names", "--host-names")
	expect.Contains(t, c.read(c.hostsOf()), "127.0.1.1\tweb\n")
	s.patchbay("up", "db")
	c.start()
	hosts := func() string {
		t.Helper()
		out, err := c.inside("cat", "/etc/hosts")
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, out, c.logged())
		}
		return out
	}
	expect.Contains(t, hosts(), "127.0.0.1\tlocalhost\n", "10.77.0.3\tweb\n", "10.77.0.2\tdb\n")
	c.pings("db")
	if out, err := c.inside("sh", "-c", "echo x >>/etc/hosts"); err == nil {
		t.Errorf("the container can write to the file of the host: %s", out)
	}
	expect.Contains(t, s.run("getent", "ahosts", "web"), "10.77.0.3")
	expect.Contains(t, s.run("ip", "netns", "exec", "db", "getent", "ahosts", "web"), "10.77.0.3")
	s.patchbay("up", "app")
	expect.Contains(t, hosts(), "10.77.0.4\tapp\n")
	expect.Contains(t, s.refused("up", "web", "--host-names"), "/etc/hosts has the name web for LXC container web already")
	expect.Contains(t, s.run(nettest.Patchbay(t), "up", "web"), "namespace web and LXC container web have the same name")
	s.patchbay("down", "app", "db", "web")
	if text := hosts(); strings.Contains(text, "app") || strings.Contains(text, "db") {
		t.Errorf("deleted names are left:\n%s", text)
	}
	c.stop()
	expect.Contains(t, c.read(c.hostsOf()), "127.0.1.1\tweb\n")
	expect.Equal(t, "/etc/hosts of the host", s.read("/etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")
	expect.Equal(t, "/etc/hosts in the container's file system", s.read(lxcPath+"/web/rootfs/etc/hosts"), "192.0.2.7 inside\n")
	c.start()
	expect.Contains(t, s.run("getent", "ahosts", "web"), "10.77.0.3")
	c.stop()
	s.patchbay("lxc", "disable", "web")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	expect.Equal(t, "files", len(s.glob("/var/lib/patchbay/names*")), 0)
	c.enable("--names")
	c.destroy()
	expect.Equal(t, "files after lxc-destroy", len(s.glob("/var/lib/patchbay/names*")), 0)
}

// TestNamesMapped: a container with mapped user IDs reads the file.
//
// Claim: With `lxc enable --names` an LXC container resolves names by a file of the host that LXC mounts; nothing is written into its file system
func TestNamesMapped(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.h.Allow("file /var/lib/patchbay/names")
	c := s.container("web")
	c.configure("lxc.idmap = u 0 100000 65536", "lxc.idmap = g 0 100000 65536")
	s.run("sh", "-ec", "chown -Rh 100000:100000 "+lxcPath+"/web/rootfs; chmod 711 "+lxcPath+" "+lxcPath+"/web")
	s.run("mkdir", "-m", "0700", "/var/lib/patchbay")
	c.enable("--names")
	c.start()
	out, err := c.inside("cat", "/etc/hosts")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	expect.Contains(t, out, "10.77.0.2\tweb\n")
	if out, err := c.inside("sh", "-c", "echo x >>/etc/hosts"); err == nil {
		t.Errorf("the container can write to the file of the host: %s", out)
	}
	c.stop()
	c.destroy()
}

// TestNamesRefused: another mount over /etc/hosts, and a name that the host has, are refused, and nothing is left.
//
// Claim: With `lxc enable --names` an LXC container resolves names by a file of the host that LXC mounts; nothing is written into its file system
func TestNamesRefused(t *testing.T) {
	t.Parallel()
	s := host(t)
	c := s.container("web")
	c.configure("lxc.mount.entry = /etc/motd /etc/hosts none bind 0 0")
	before := c.read(c.config())
	expect.Contains(t, s.refused("lxc", "enable", "web", "--names"), "another lxc.mount.entry mounts over etc/hosts")
	s.write("/etc/hosts", "127.0.0.1 localhost\n192.0.2.9 web\n")
	expect.Contains(t, s.refused("lxc", "enable", "web", "--host-names"), "/etc/hosts has the name web for 192.0.2.9 already")
	s.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	expect.Equal(t, "files", len(s.glob("/var/lib/patchbay/names*")), 0)
}
