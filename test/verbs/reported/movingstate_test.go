package reported

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func outerWordOnly(t *testing.T) {
	m := newMove(t, cni.Conf{"ipMasq": true}, families(true))
	m.ours = conflist.List(t, "net", mainOf("patchbay", "host-local", cni.Conf{"ipMasq": true}, families(true)...))
	r1, p1 := m.Container("r1"), m.Container("p1")
	m.Add(t, m.reference, r1)
	m.Add(t, m.ours, p1)
	reaches(t, r1, outside(true)...)
	reaches(t, p1, outside(true)...)
	m.Del(t, m.ours, r1)
	hasNoInterface(t, r1)
	reaches(t, p1, outside(true)...)
	m.Del(t, m.ours, p1)
	m.NoLeaks(t)
}

// innerWordOnly: as the IPAM plugin of macvlan patchbay respects the addresses of host-local, and changes no
// interface.
func innerWordOnly(t *testing.T) {
	r := conflist.New(t, nettest.Host(t))
	r.LAN(t)
	list := func(kind string) *libcni.NetworkConfigList {
		return conflist.List(t, "net", cni.Conf{"type": "macvlan", "master": "br0", "ipam": ipamOf(kind, "192.0.2.128/28")})
	}
	c1, c2 := r.Container("c1"), r.Container("c2")
	first := r.Add(t, list("host-local"), c1)
	second := r.Add(t, list("patchbay"), c2)
	if first.IPs[0].Address.IP.Equal(second.IPs[0].Address.IP) {
		t.Errorf("both have %s", first.IPs[0].Address.IP)
	}
	r.Del(t, list("patchbay"), c1)
	r.Del(t, list("host-local"), c2)
	r.Patchbay(t, "gc")
	expect.Equal(t, "files", strings.Fields(r.Run(t, "sh", "-c", "cd /var/lib/cni/networks/net; find . -name '*.*.*.*' -o -name '.patchbay'")), []string{})
	r.Run(t, "rm", "-r", "/var/lib/cni")
}

func statusCountsHostLocals(t *testing.T) {
	m := newMove(t, nil, []string{"10.88.0.0/29"}) // .2 to .6
	var all []*nettest.Container
	for i := range 5 {
		c := m.Container(fmt.Sprint("r", i))
		m.Add(t, m.reference, c)
		all = append(all, c)
	}
	config := []byte(`{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.88.0.0/29"}]]}}`)
	status := nettest.Call{Command: "STATUS", Config: config, Path: m.Path()}
	if e := m.CNI(t, status).Error(t); e.Code != 50 {
		t.Errorf("STATUS of a pool that the reference's containers fill: %v", e)
	}
	if _, err := m.TryAdd(m.ours, m.Container("p0")); err == nil || !strings.Contains(err.Error(), "no IP addresses available") {
		t.Errorf("ADD: %v", err)
	}
	m.Del(t, m.ours, all[0])
	m.CNI(t, status).OK(t)
	for _, c := range all[1:] {
		m.Del(t, m.ours, c)
	}
}

// bothDirectories: a network of Patchbay has addresses in the state directory, and the reference is used for the same
// network.
func bothDirectories(t *testing.T) {
	r := conflist.New(t, nettest.Host(t))
	ours := conflist.List(t, "net", mainOf("patchbay", "patchbay", nil, "10.88.0.0/29")) // .2 to .6
	p1, p2 := r.Container("p1"), r.Container("p2")
	given := map[string]bool{r.Add(t, ours, p1).IPs[0].Address.IP.String(): true}
	r.Run(t, "sh", "-ec", `mkdir -p /var/lib/cni/networks/net; printf 'r1\r\neth0' > /var/lib/cni/networks/net/10.88.0.3`)
	given["10.88.0.3"] = true
	second := r.Add(t, ours, p2).IPs[0].Address.IP.String()
	if given[second] {
		t.Errorf("p2 was given %s, which is taken", second)
	}
	expect.Equal(t, "the state directory has addresses", strings.Contains(r.Run(t, "ls", "/run/patchbay/ipam/net"), second), true)
	for _, c := range []*nettest.Container{p1, p2} {
		if err := r.Check(ours, c); err != nil {
			t.Errorf("CHECK of %s: %v", c.Name(), err)
		}
		r.Del(t, ours, c)
	}
	p3 := r.Container("p3")
	third := r.Add(t, ours, p3).IPs[0].Address.IP.String()
	expect.Equal(t, "host-local's directory has the address", strings.Contains(r.Run(t, "ls", "/var/lib/cni/networks/net"), third), true)
	r.Del(t, ours, p3)
	r.Run(t, "rm", "-r", "/var/lib/cni")
}

func linkedDirectory(t *testing.T) {
	r := conflist.New(t, nettest.Host(t))
	ours := conflist.List(t, "net", mainOf("patchbay", "patchbay", nil, "10.88.0.0/24"))
	r.Run(t, "sh", "-ec", "mkdir -p /run/elsewhere /var/lib/cni/networks; ln -s /run/elsewhere /var/lib/cni/networks/net")
	r.Baseline()
	_, err := r.TryAdd(ours, r.Container("p1"))
	if err == nil || !strings.Contains(err.Error(), "/var/lib/cni/networks/net") || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("ADD: %v", err)
	}
	expect.Equal(t, "what the link leads to", r.Run(t, "ls", "-A", "/run/elsewhere"), "")
}

// writableDirectory: every user who may write there could choose addresses. ADD refuses the directory, and STATUS
// reports it in advance.
func writableDirectory(t *testing.T) {
	r := conflist.New(t, nettest.Host(t))
	ours := conflist.List(t, "net", mainOf("patchbay", "patchbay", nil, "10.88.0.0/24"))
	r.Run(t, "sh", "-ec", "mkdir -p /var/lib/cni/networks/net; chmod 0777 /var/lib/cni/networks/net")
	r.Baseline()
	_, err := r.TryAdd(ours, r.Container("p1"))
	if err == nil || !strings.Contains(err.Error(), "/var/lib/cni/networks/net") {
		t.Errorf("ADD: %v", err)
	}
	config := []byte(`{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.88.0.0/24"}]]}}`)
	if e := r.CNI(t, nettest.Call{Command: "STATUS", Config: config, Path: r.Path()}).Error(t); e.Code != 50 || !strings.Contains(e.Msg, "/var/lib/cni/networks/net") {
		t.Errorf("STATUS: %v", e)
	}
}

// oldFile: the address file of an attachment of Patchbay has the form of host-local before v0.8.0; format contains the
// container ID.
func oldFile(subnet, verb, format string) func(*testing.T) {
	return func(t *testing.T) {
		r := conflist.New(t, nettest.Host(t))
		prefix := netip.MustParsePrefix(subnet)
		main := cni.Conf{"type": "patchbay", "bridge": "cni0", "isGateway": !prefix.IsSingleIP(), "ipam": ipamOf("patchbay", subnet)}
		if prefix.IsSingleIP() {
			main = main.With(cni.Conf{"isGateway": true, "ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": subnet, "gateway": "10.88.0.1"}}}}})
		}
		ours := conflist.ListOf(t, cni.Conf{"cniVersion": "1.1.0", "name": "net"}, main)
		c := r.Container("c1")
		file := filepath.Join("/run/patchbay/ipam/net", address(t, r.Add(t, ours, c)))
		write(t, r, file, fmt.Sprintf(format, c.ID()))
		if err := r.Check(ours, c); err != nil {
			t.Errorf("CHECK: %v", err)
		}
		if verb == "GC" {
			r.GC(t, ours)
		} else {
			r.Del(t, ours, c)
		}
		expect.Equal(t, "address files", strings.Contains(r.Run(t, "ls", "/run/patchbay/ipam/net"), filepath.Base(file)), false)
		r.NoLeaks(t)
	}
}

func address(t *testing.T, result *types100.Result) string {
	t.Helper()
	if len(result.IPs) != 1 {
		t.Fatalf("%d addresses", len(result.IPs))
	}
	return result.IPs[0].Address.IP.String()
}

func oldFileOfAnother(t *testing.T) {
	r := conflist.New(t, nettest.Host(t))
	ours := conflist.List(t, "net", mainOf("patchbay", "patchbay", nil, "10.88.0.0/24"))
	c1, c2 := r.Container("c1"), r.Container("c2")
	file := filepath.Join("/run/patchbay/ipam/net", address(t, r.Add(t, ours, c1)))
	r.Add(t, ours, c2)
	write(t, r, file, c2.ID()) // and c2 has a file of the current form
	r.Del(t, ours, c1)
	r.Del(t, ours, c2)
	expect.Equal(t, "the file", r.Run(t, "cat", file), c2.ID())
	r.Run(t, "rm", file)
}

// write replaces the content of a file of the host.
func write(t *testing.T, r *conflist.Runtime, path, text string) {
	t.Helper()
	var err error
	r.Do(func() { err = os.WriteFile(path, []byte(text), 0o600) })
	if err != nil {
		t.Fatal(err)
	}
}
