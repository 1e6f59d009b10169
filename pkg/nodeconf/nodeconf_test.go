package nodeconf_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nodeconf"
)

// etc is the configuration of a host: its files by path, the programs that run, and the units that systemd starts.
type etc struct {
	files map[string]string
	runs  []string
	units []string
}

// write creates the files below a directory.
func (e etc) write(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	files := map[string]string{}
	for path, text := range e.files {
		files[path] = text
	}
	for _, unit := range e.units {
		files["/etc/systemd/system/multi-user.target.wants/"+unit] = ""
	}
	for _, dir := range []string{"network", "system"} {
		files["/etc/systemd/"+dir+"/README"] = ""
	}
	files["/etc/sysctl.d/README"], files["/etc/ufw/user.rules"], files["/etc/firewalld/zones/README"] = "", "", ""
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func (e etc) risks(root string, b nodeconf.Bridge) []nodeconf.Risk {
	return nodeconf.Risks(nodeconf.Host{Root: root, Bridges: []nodeconf.Bridge{b}, Running: func(program string) bool { return slices.Contains(e.runs, program) }})
}

func bridge() nodeconf.Bridge {
	return nodeconf.Bridge{Name: "cni0", Ports: []string{"vetha1b2c3d4e5f"}, IsOurs: true, Routed4: true, Routed6: true}
}

// risky is a configuration, and the risk in it.
type risky struct {
	etc
	program, says, seen, fix string // fix is one of the lines
	bridge                   func(b *nodeconf.Bridge)
}

func riskyOnes() map[string]risky {
	return map[string]risky{
		"networkd takes every Ethernet interface": {
			etc: etc{files: map[string]string{"/etc/systemd/network/99-all.network": "# all\n[Match]\nType=ether\n\n[Network]\nDHCP=yes\n"}, runs: []string{"systemd-network"}}, program: "systemd-networkd",
			says: "systemd-networkd configures the host interfaces of bridge cni0: it may take them off the bridge when they appear or when it restarts",
			seen: "/etc/systemd/network/99-all.network:3: Type=ether",
			fix:  `printf '%s\n' '[Match]' 'Name=veth???????????' 'Kind=veth' '' '[Link]' 'Unmanaged=yes' >/etc/systemd/network/05-patchbay-veth.network`,
		},
		"networkd takes the bridge": {
			etc: etc{files: map[string]string{"/run/systemd/network/50-x.network": "[Match]\nName=eth* cni*\n[Network]\nDHCP=yes\n"}, units: []string{"systemd-networkd.service"}}, program: "systemd-networkd",
			says: "systemd-networkd configures bridge cni0, which Patchbay created: it may remove its addresses and routes when it restarts",
			seen: "/run/systemd/network/50-x.network:2: Name=eth* cni*",
			fix:  `printf '%s\n' '[Match]' 'Name=cni0' 'Kind=bridge' '' '[Link]' 'Unmanaged=yes' >/etc/systemd/network/05-patchbay-cni0.network`,
		},
		"networkd removes routes": {
			etc: etc{files: map[string]string{"/etc/systemd/networkd.conf": "[Network]\n#ManageForeignRoutes=no\nManageForeignRoutes=yes\n"}, runs: []string{"systemd-network"}}, program: "systemd-networkd",
			says: "systemd-networkd removes routes of other programs when it restarts: the routes of the host to 2 containers on bridge cni0",
			seen: "/etc/systemd/networkd.conf:3: ManageForeignRoutes=yes", fix: "mkdir -p /etc/systemd/networkd.conf.d",
			bridge: func(b *nodeconf.Bridge) { b.HostRoutes = 2 },
		},
		"NetworkManager, the bridge is unmanaged until an activation": {
			etc: etc{files: map[string]string{"/etc/NetworkManager/conf.d/10.conf": "[device-cni]\nmatch-device=interface-name:cni*\nmanaged=0\n"}, runs: []string{"NetworkManager"}}, program: "NetworkManager",
			says: "NetworkManager manages bridge cni0, which Patchbay created: it may detach its ports or change its addresses when a profile is activated",
			seen: "/etc/NetworkManager/conf.d/10.conf:3: managed=0, which an activation overrules; unmanaged-devices does not have the bridge",
			fix:  "mkdir -p /etc/NetworkManager/conf.d",
		},
		"NetworkManager, a later file replaces the list": {
			etc: etc{files: map[string]string{
				"/etc/NetworkManager/NetworkManager.conf": "[keyfile]\nunmanaged-devices=interface-name:cni*\n", "/etc/NetworkManager/conf.d/10.conf": "[keyfile]\nunmanaged-devices=interface-name:=cni*;interface-name:eth0\n",
				"/usr/lib/NetworkManager/conf.d/90.conf": "[keyfile]\nunmanaged-devices=*\n",
			}, runs: []string{"NetworkManager"}}, program: "NetworkManager",
			says: "NetworkManager manages bridge cni0, which Patchbay created: it may detach its ports or change its addresses when a profile is activated",
			seen: "no file of /etc/NetworkManager/conf.d has unmanaged-devices=interface-name:cni0",
			fix:  "nmcli general reload conf",
		},
		"NetworkManager": {
			etc: etc{files: map[string]string{"/etc/NetworkManager/conf.d/10.conf": "[keyfile]\nunmanaged-devices=interface-name:docker0;interface-name:veth*\n"}, runs: []string{"NetworkManager"}}, program: "NetworkManager",
			says: "NetworkManager manages bridge cni0, which Patchbay created: it may detach its ports or change its addresses when a profile is activated",
			seen: "no file of /etc/NetworkManager/conf.d has unmanaged-devices=interface-name:cni0",
			fix:  `printf '%s\n' '[keyfile]' 'unmanaged-devices+=interface-name:cni0' >/etc/NetworkManager/conf.d/90-patchbay-cni0.conf`,
		},
	}
}

// riskyFirewalls are those of firewalls and sysctls.
func riskyFirewalls() map[string]risky {
	return map[string]risky{
		"nftables.service flushes": {
			etc: etc{files: map[string]string{"/etc/nftables.conf": "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n}\n"}, units: []string{"nftables.service"}}, program: "nftables.service",
			says: "nftables.service deletes all tables when it is started, reloaded or stopped: published ports and masquerade of running containers then do not work until patchbay reload",
			seen: "/etc/nftables.conf:3: flush ruleset", fix: "mkdir -p /etc/systemd/system/nftables.service.d",
		},
		"firewalld at run time only": {
			etc: etc{files: map[string]string{"/etc/firewalld/firewalld.conf": "DefaultZone=work\n"}, runs: []string{"firewalld"}}, program: "firewalld",
			says: "firewalld has bridge cni0 in no permanent zone: after a reload or a reboot it rejects what containers send",
			seen: "no file of /etc/firewalld/zones names the bridge; the default zone is work", fix: "firewall-cmd --permanent --zone=trusted --add-interface=cni0",
		},
		"ufw without a rule": {
			etc:     etc{files: map[string]string{"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/default/ufw": "IPV6=yes\nDEFAULT_FORWARD_POLICY=\"DROP\"\n"}},
			program: "ufw", says: "bridge cni0 has no rule of ufw, which drops what containers send after it is reloaded, or after a reboot",
			seen: `/etc/default/ufw:2: DEFAULT_FORWARD_POLICY="DROP"`, fix: "ufw route allow in on cni0",
		},
		"docker before forwarding": {
			etc: etc{units: []string{"docker.service"}}, program: "docker",
			says: "docker drops what is forwarded after a reboot: dockerd sets the policy of FORWARD to DROP if it starts before forwarding is enabled",
			seen: "no file of /etc/sysctl.d sets net.ipv4.ip_forward to 1", fix: "echo 'net.ipv4.ip_forward = 1' >/etc/sysctl.d/99-zz-patchbay.conf",
		},
		"a sysctl file of IPv4": {
			etc: etc{files: map[string]string{"/etc/sysctl.d/50-a.conf": "net.ipv4.ip_forward=1\n", "/etc/sysctl.d/90-hardening.conf": "# CIS\nkernel.x = 1\nnet.ipv4.ip_forward = 0\n"}}, program: "systemd-sysctl",
			says: "IPv4 forwarding is disabled again when /etc/sysctl.d/90-hardening.conf is applied: by systemd-sysctl at boot, and by sysctl --system; containers then cannot reach other networks",
			seen: "/etc/sysctl.d/90-hardening.conf:3: net.ipv4.ip_forward = 0", fix: "sed -i 3s/0/1/ /etc/sysctl.d/90-hardening.conf",
		},
		"a sysctl file of a package": {
			etc:     etc{files: map[string]string{"/usr/lib/sysctl.d/60-vendor.conf": "net.ipv6.conf.all.forwarding=0\n"}},
			program: "systemd-sysctl", says: "IPv6 forwarding is disabled again when /usr/lib/sysctl.d/60-vendor.conf is applied: by systemd-sysctl at boot, and by sysctl --system; containers then cannot reach other networks",
			seen: "/usr/lib/sysctl.d/60-vendor.conf:1: net.ipv6.conf.all.forwarding=0", fix: "echo 'net.ipv6.conf.all.forwarding = 1' >/etc/sysctl.d/99-zz-net-ipv6-conf-all-forwarding.conf",
		},
		"ufw's sysctl file of IPv6": {
			etc:     etc{files: map[string]string{"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/ufw/sysctl.conf": "net/ipv6/conf/all/forwarding=0\n"}},
			program: "systemd-sysctl", says: "IPv6 forwarding is disabled again when /etc/ufw/sysctl.conf is applied: by systemd-sysctl at boot, and by sysctl --system; containers then cannot reach other networks",
			seen: "/etc/ufw/sysctl.conf:1: net/ipv6/conf/all/forwarding=0", fix: "sed -i 1s/0/1/ /etc/ufw/sysctl.conf",
		},
	}
}

// TestRisks: each configuration has one risk, with program, file and line; after its fix it has none.
//
// Claim: `patchbay doctor` names what other programs will undo, with file and line: systemd-networkd, NetworkManager, nftables.service,
// firewalld, ufw, docker, files of sysctl; the printed fix ends it, and configurations that undo nothing are not reported
func TestRisks(t *testing.T) {
	all := riskyOnes()
	maps.Copy(all, riskyFirewalls())
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			root, b := tc.write(t), bridge()
			if tc.bridge != nil {
				tc.bridge(&b)
			}
			got := tc.risks(root, b)
			if len(got) != 1 {
				t.Fatalf("got %+v, want one risk", got)
			}
			if diff := cmp.Diff([]string{tc.program, tc.says, tc.seen}, []string{got[0].Program, got[0].Says, got[0].Seen}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Contains(got[0].Fix, tc.fix) {
				t.Errorf("fix %q lacks %q", got[0].Fix, tc.fix)
			}
			for _, line := range got[0].Fix {
				carryOut(t, root, line)
			}
			if left := tc.risks(root, b); len(left) > 0 {
				t.Errorf("after the fix: %+v", left)
			}
		})
	}
}

// carryOut runs a line of a fix below root. Programs that are not installed here write what they would write.
func carryOut(t *testing.T, root, line string) {
	t.Helper()
	written := map[string]string{
		"firewall-cmd": `echo '<interface name="cni0"/>' >/etc/firewalld/zones/trusted.xml`,
		"ufw":          `echo '-A ufw-user-forward -i cni0 -j ACCEPT' >>/etc/ufw/user.rules`,
		"networkctl":   "true", "systemctl": "true", "nmcli": "true",
	}
	program, _, _ := strings.Cut(line, " ")
	if instead, is := written[program]; is {
		line = instead
	}
	if out, err := exec.Command("sh", "-ec", strings.ReplaceAll(line, "/etc/", root+"/etc/")).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// TestNoRisks: configurations that undo nothing.
//
// Claim: `patchbay doctor` names what other programs will undo, with file and line: systemd-networkd, NetworkManager, nftables.service,
// firewalld, ufw, docker, files of sysctl; the printed fix ends it, and configurations that undo nothing are not reported
func TestNoRisks(t *testing.T) {
	all := map[string]string{"/etc/systemd/network/99-all.network": "[Match]\nName=*\n"}
	for name, tc := range map[string]struct {
		etc
		bridge func(b *nodeconf.Bridge)
	}{
		"nothing runs":                                 {etc: etc{files: all}},
		"networkd with the files of its package":       {etc: etc{files: map[string]string{"/usr/lib/systemd/network/80-container-ve.network": "[Match]\nKind=veth\nName=ve-*\n[Network]\nDHCPServer=yes\n"}, runs: []string{"systemd-network"}}},
		"networkd of the uplink":                       {etc: etc{files: map[string]string{"/etc/systemd/network/10-eth.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"}, runs: []string{"systemd-network"}}},
		"networkd by a driver":                         {etc: etc{files: map[string]string{"/etc/systemd/network/10-eth.network": "[Match]\nName=*\nDriver=virtio_net\n"}, runs: []string{"systemd-network"}}},
		"networkd, all but these":                      {etc: etc{files: map[string]string{"/etc/systemd/network/10-eth.network": "[Match]\nName=!cni* veth*\n"}, runs: []string{"systemd-network"}}},
		"an earlier file excludes them":                {etc: etc{files: map[string]string{"/etc/systemd/network/99-all.network": "[Match]\nName=*\n", "/usr/lib/systemd/network/10-cni.network": "[Match]\nName=cni* veth*\n[Link]\nUnmanaged=yes\n"}, runs: []string{"systemd-network"}}},
		"a file that hides another":                    {etc: etc{files: map[string]string{"/etc/systemd/network/99-all.network": "", "/usr/lib/systemd/network/99-all.network": "[Match]\nName=*\n"}, runs: []string{"systemd-network"}}},
		"networkd of a bridge of the administrator":    {etc: etc{files: map[string]string{"/etc/systemd/network/br.network": "[Match]\nName=cni0\n[Network]\nDHCP=yes\n"}, runs: []string{"systemd-network"}}, bridge: func(b *nodeconf.Bridge) { b.IsOurs = false }},
		"foreign routes are kept":                      {etc: etc{files: map[string]string{"/etc/systemd/networkd.conf.d/a.conf": "[Network]\nManageForeignRoutes=no\n"}, runs: []string{"systemd-network"}}, bridge: func(b *nodeconf.Bridge) { b.HostRoutes = 1 }},
		"NetworkManager with unmanaged-devices":        {etc: etc{files: map[string]string{"/etc/NetworkManager/NetworkManager.conf": "[keyfile]\nunmanaged-devices=interface-name:cni*;interface-name:veth*\n"}, runs: []string{"NetworkManager"}}},
		"NetworkManager of one interface":              {etc: etc{files: map[string]string{"/usr/lib/NetworkManager/conf.d/a.conf": "[keyfile]\nunmanaged-devices=*,except:interface-name:eth0\n"}, runs: []string{"NetworkManager"}}},
		"NetworkManager of all but one interface":      {etc: etc{files: map[string]string{"/etc/NetworkManager/conf.d/a.conf": "[keyfile]\nunmanaged-devices=except:interface-name:eth0\n"}, runs: []string{"NetworkManager"}}},
		"NetworkManager with a list in two files":      {etc: etc{files: map[string]string{"/run/NetworkManager/conf.d/a.conf": "[keyfile]\nunmanaged-devices=cni0\n", "/etc/NetworkManager/conf.d/b.conf": "[keyfile]\nunmanaged-devices+=interface-name:~veth*\n"}, runs: []string{"NetworkManager"}}},
		"nftables.service is disabled":                 {etc: etc{files: map[string]string{"/etc/nftables.conf": "flush ruleset\n"}}},
		"nftables.service without flush":               {etc: etc{files: map[string]string{"/etc/nftables.conf": "# flush ruleset\ntable inet filter {}\nflush table inet filter\n"}, units: []string{"nftables.service"}}},
		"firewalld with a permanent zone":              {etc: etc{files: map[string]string{"/etc/firewalld/zones/trusted.xml": "<zone>\n<interface name=\"cni0\"/>\n</zone>\n"}, runs: []string{"firewalld"}}},
		"firewalld drops now, which is reported":       {etc: etc{runs: []string{"firewalld"}}, bridge: func(b *nodeconf.Bridge) { b.Dropped = []string{"firewalld"} }},
		"ufw accepts what is forwarded":                {etc: etc{files: map[string]string{"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/default/ufw": "DEFAULT_FORWARD_POLICY=\"ACCEPT\"\n"}}},
		"ufw is disabled":                              {etc: etc{files: map[string]string{"/etc/ufw/ufw.conf": "ENABLED=no\n", "/etc/default/ufw": "DEFAULT_FORWARD_POLICY=\"DROP\"\n", "/etc/ufw/sysctl.conf": "net/ipv4/ip_forward=0\n"}}},
		"docker after forwarding":                      {etc: etc{files: map[string]string{"/etc/sysctl.conf": "net.ipv4.ip_forward=1\n"}, runs: []string{"dockerd"}}},
		"docker without iptables":                      {etc: etc{files: map[string]string{"/etc/docker/daemon.json": "{\n \"iptables\": false\n}\n"}, runs: []string{"dockerd"}}},
		"a later file enables forwarding":              {etc: etc{files: map[string]string{"/usr/lib/sysctl.d/50-default.conf": "net.ipv4.ip_forward=0\n", "/etc/sysctl.conf": "net.ipv4.conf.all.forwarding = 1\n"}}},
		"forwarding is off, and no container needs it": {etc: etc{files: map[string]string{"/etc/sysctl.conf": "net.ipv4.ip_forward=0\n"}}, bridge: func(b *nodeconf.Bridge) { b.Routed4 = false }},
		"udev's policy leaves a MAC that was set":      {etc: etc{files: map[string]string{"/usr/lib/systemd/network/99-default.link": "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=persistent\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			root, b := tc.write(t), bridge()
			if tc.bridge != nil {
				tc.bridge(&b)
			}
			if got := tc.risks(root, b); len(got) > 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A FIFO, an endless file and a directory are no configuration, and do not block.
func TestRisksOfOtherFiles(t *testing.T) {
	e := etc{runs: []string{"systemd-network", "NetworkManager", "dockerd"}, units: []string{"nftables.service"}}
	root := e.write(t)
	for _, line := range []string{"mkfifo /etc/nftables.conf", "ln -s /dev/zero /etc/systemd/network/1.network", "mkdir -p /etc/sysctl.d/2.conf /etc/docker", "ln -s /dev/zero /etc/docker/daemon.json"} {
		carryOut(t, root, line)
	}
	b := bridge()
	b.Routed4 = false
	if got := e.risks(root, b); len(got) != 1 || got[0].Program != "NetworkManager" {
		t.Errorf("got %+v", got)
	}
}

// TestFixNamesHostInterfacesOnly: the fix for systemd-networkd matches no veth of another program, whose names are shorter.
func TestFixNamesHostInterfacesOnly(t *testing.T) {
	tc := riskyOnes()["networkd takes every Ethernet interface"]
	root := tc.write(t)
	for _, line := range tc.risks(root, bridge())[0].Fix {
		carryOut(t, root, line)
	}
	b := bridge()
	b.Ports = []string{"veth-of-lab"}
	if got := tc.risks(root, b); len(got) != 1 {
		t.Errorf("the file of the fix matches veth-of-lab: %+v", got)
	}
}

// linkFiles: a .link file that sets a MAC is reported, and names its line.
func TestRiskOfLinkFile(t *testing.T) {
	e := etc{files: map[string]string{"/etc/systemd/network/10-mac.link": "[Match]\nOriginalName=cni*\n[Link]\nMACAddress=02:00:00:00:00:01\n"}}
	got := e.risks(e.write(t), bridge())
	if len(got) != 1 || got[0].Seen != "/etc/systemd/network/10-mac.link:4: MACAddress=02:00:00:00:00:01" || got[0].Program != "udev" {
		t.Errorf("got %+v", got)
	}
}
