package reported

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// hostState is a state of the host in which every ADD fails: how to create and end it, and the error of ADD.
type hostState struct {
	name  string
	conf  cni.Conf
	path  func(*testing.T) string // CNI_PATH
	come  func(*testing.T, *called)
	leave func(*testing.T, *called) // nil: it does not end
	code  uint                      // of ADD
	says  string                    // ADD
	own   bool                      // STATUS is answered by another IPAM plugin, with its own message
}

// runs returns a function that runs commands of the host, separated by semicolons.
func runs(commands string) func(*testing.T, *called) {
	return func(t *testing.T, a *called) { t.Helper(); a.h.Run(t, "sh", "-ec", commands) }
}

// bridgeStates returns states of the bridge.
func bridgeStates() []hostState {
	clash, gone := runs("ip link add cni0 type bridge; ip address add 192.0.2.1/24 dev cni0"), runs("ip link del cni0")
	isolated := cni.Conf{"ingressPolicy": "isolated"}
	neighbour := func(more cni.Conf) func(*testing.T, *called) {
		return func(t *testing.T, a *called) {
			t.Helper()
			a.other = &called{h: a.h, c: a.h.Container("neighbour"), conf: routed4(cni.Conf{"name": "neighbour", "ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100"}}}}}, more)}
			a.other.add(t)
		}
	}
	away := func(t *testing.T, a *called) { t.Helper(); a.other.run(t, "DEL").OK(t) }
	return []hostState{
		{name: "another address on a foreign bridge", conf: routed4(), come: clash, leave: gone, code: 105, says: "bridge cni0: conflicting addresses: present is 192.0.2.1/24, required is 10.1.0.1/24"},
		{name: "the bridge's name is a veth's", conf: routed4(), come: runs("ip link add cni0 type veth peer name wire"), leave: gone, code: 7, says: "interface cni0 (veth): not a bridge"},
		{name: "the bridge is full", conf: routed4(), come: full, leave: runs("ip link del p500"), code: 103, says: "bridge cni0: no free port"},
		{name: "the bridge of an isolated network", conf: routed4(), come: neighbour(isolated), leave: away, code: 7, says: "network net cannot use bridge cni0: it serves another network, neighbour, which is isolated"},
		{name: "isolated on the bridge of another network", conf: routed4(isolated), come: neighbour(nil), leave: away, code: 7, says: "network net cannot be isolated: bridge cni0 serves another network, neighbour"},
		{
			name: "IPv6 switched off on a foreign bridge", conf: routed(), come: runs("ip link add cni0 type bridge; sysctl -qw net.ipv6.conf.cni0.disable_ipv6=1"), leave: gone,
			code: 109, says: "IPv6 is disabled on bridge cni0: set net.ipv6.conf.cni0.disable_ipv6 to 0: bridge not created by Patchbay",
		},
		{name: "an MTU that is too short for IPv6", conf: routed(), come: runs("ip link add cni0 mtu 1000 type bridge"), leave: gone, code: 7, says: "MTU 1000 of bridge cni0: too small for IPv6"},
		{name: "an MTU that is too short, layer 2", conf: routed(cni.Conf{"isDefaultGateway": false}), come: runs("ip link add cni0 mtu 1000 type bridge"), leave: gone, code: 7, says: "MTU 1000 of bridge cni0: too small for IPv6"},
	}
}

// full adds as many ports to the network's bridge as it can have.
func full(t *testing.T, a *called) {
	t.Helper()
	var batch strings.Builder
	batch.WriteString("link add cni0 type bridge\naddress add 10.1.0.1/24 dev cni0\n")
	for i := range 512 { // both ends are ports, except of the last pair
		fmt.Fprintf(&batch, "link add p%d type veth peer name q%d\nlink set p%d master cni0\n", i, i, i)
		if i < 511 {
			fmt.Fprintf(&batch, "link set q%d master cni0\n", i)
		}
	}
	cmd := a.h.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("fill the bridge: %v\n%s", err, out)
	}
}

// readOnlyDir returns commands that mount a directory read-only over itself.
func readOnlyDir(dir string) string {
	return "mkdir -p " + dir + "; mount --bind " + dir + " " + dir + "; mount -o remount,bind,ro " + dir
}

func kernelStates() []hostState {
	shut, open := runs(readOnlyDir("/proc/sys")), runs("umount /proc/sys")
	masq := cni.Conf{"ipMasq": true}
	return []hostState{
		{name: "ip_forward 0 and read-only", conf: routed4(), come: shut, leave: open, code: 109, says: "IP forwarding is disabled and cannot be enabled: set net.ipv4.ip_forward to 1: read-only file system"},
		{
			name: "IPv6 forwarding 0 and read-only", conf: routed(), come: func(t *testing.T, a *called) { t.Helper(); a.h.SetSysctl("net/ipv4/ip_forward", "1"); shut(t, a) }, leave: open,
			code: 109, says: "IP forwarding is disabled and cannot be enabled: set net.ipv6.conf.all.forwarding to 1: read-only file system",
		},
		{
			name: "IPv6 off by default and read-only", conf: routed(),
			come: func(t *testing.T, a *called) {
				t.Helper()
				a.set("net/ipv4/ip_forward net/ipv6/conf/all/forwarding net/ipv6/conf/default/disable_ipv6", "1")
				shut(t, a)
			},
			leave: open, code: 109, says: "IPv6 is disabled on new interfaces: set net.ipv6.conf.default.disable_ipv6 to 0: read-only file system",
		},
		{name: "a kernel without IPv6", conf: routed(), come: runs("mount -t tmpfs none /proc/sys/net/ipv6"), leave: runs("umount /proc/sys/net/ipv6"), code: 109, says: "kernel without IPv6: /proc/sys/net/ipv6/conf does not exist"},
		{name: "a table of another", conf: routed4(masq), come: runs("nft add table inet patchbay"), leave: runs("nft delete table inet patchbay"), code: 108, says: "table inet patchbay of nftables: table not built by patchbay"},
		{name: "a table of a newer one", conf: routed4(masq), come: runs("nft 'add table inet patchbay; add chain inet patchbay schema_99'"), leave: runs("nft delete table inet patchbay"), code: 108, says: "table built by a newer patchbay"},
		{name: "a table of another, for isolation", conf: routed4(cni.Conf{"ingressPolicy": "isolated"}), come: runs("nft add table inet patchbay"), leave: runs("nft delete table inet patchbay"), code: 108, says: "table not built by patchbay"},
		{name: "without CAP_NET_ADMIN", conf: routed4(), come: lacking("net_admin"), leave: withAll, code: 999, says: "missing: CAP_NET_ADMIN: operation not permitted"},
		{name: "without CAP_SYS_ADMIN", conf: routed4(), come: lacking("sys_admin"), leave: withAll, code: 999, says: "missing: CAP_SYS_ADMIN: operation not permitted"},
		{name: "without CAP_NET_RAW, IPv6", conf: routed(), come: lacking("net_raw"), leave: withAll, code: 999, says: "missing: CAP_NET_RAW: operation not permitted"},
	}
}

func lacking(capability string) func(*testing.T, *called) {
	return func(t *testing.T, a *called) {
		t.Helper()
		nettest.Need(t, nettest.Tool("setpriv"))
		a.program = nettest.Script(t, "exec setpriv --bounding-set=-"+capability+" "+nettest.Patchbay(t))
	}
}

func withAll(_ *testing.T, a *called) { a.program = "" }

func directoryStates() []hostState {
	at := func(dir string) cni.Conf { return routed4(cni.Conf{"stateDir": dir}) }
	data := routed4(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "dataDir": "/run/data", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}})
	sticky := routed4(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "sticky": true, "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}})
	resolv := routed4(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "resolvConf": "/run/resolv.conf", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}})
	macvlan := func(conf cni.Conf) cni.Conf { return conf.With(cni.Conf{"type": "macvlan", "master": "lo"}) }
	const small = "; mount -t tmpfs -o size=4k,mode=0755 none "
	return []hostState{
		{name: "a read-only state directory", conf: at("/run/dir"), come: runs(readOnlyDir("/run/dir")), leave: runs("umount /run/dir"), code: 5, says: "state directory /run/dir/net: write to /run/dir: read-only file system"},
		{name: "a file for the state directory", conf: at("/run/dir"), come: runs("touch /run/dir"), leave: runs("rm /run/dir"), code: 5, says: "state directory /run/dir/net: "},
		{name: "a full state directory", conf: at("/run/dir"), come: runs("mkdir /run/dir" + small + "/run/dir"), leave: runs("umount /run/dir"), code: 5, says: "state directory /run/dir/net: write to /run/dir/net: no space left on device"},
		{name: "a state directory without inodes", conf: at("/run/dir"), come: runs("mkdir /run/dir; mount -t tmpfs -o nr_inodes=3,mode=0755 none /run/dir"), leave: runs("umount /run/dir"), code: 5, says: "no space left on device"},
		{name: "a state directory of another user", conf: at("/run/dir"), come: runs("install -d -o 65534 -m 0755 /run/dir"), leave: runs("rmdir /run/dir"), code: 5, says: "unsafe state directory: /run/dir: owned by another user"},
		{name: "a state directory that all may write to", conf: at("/run/dir"), come: runs("mkdir -m 0777 /run/dir"), leave: runs("rmdir /run/dir"), code: 5, says: "unsafe state directory: /run/dir: writable by other users"},
		{name: "a read-only data directory", conf: data, come: runs(readOnlyDir("/run/data")), leave: runs("umount /run/data"), code: 5, says: "state directory /run/data/net: write to /run/data: read-only file system"},
		{name: "a full data directory", conf: data, come: runs("mkdir /run/data" + small + "/run/data"), leave: runs("umount /run/data"), code: 5, says: "state directory /run/data/net: write to /run/data/net: no space left on device"},
		{name: "a data directory of another user", conf: data, come: runs("install -d -o 65534 -m 0755 /run/data"), leave: runs("rmdir /run/data"), code: 5, says: "owned by another user"},
		{name: "a read-only memory of addresses", conf: sticky, come: runs(readOnlyDir("/var/lib/patchbay")), leave: runs("umount /var/lib/patchbay"), code: 5, says: "state directory /var/lib/patchbay/sticky/net: write to /var/lib/patchbay: read-only file system"},
		{name: "no resolvConf", conf: resolv, come: runs("rm -f /run/resolv.conf"), leave: runs("touch /run/resolv.conf"), code: 5, says: "read ipam.resolvConf: open /run/resolv.conf: no such file or directory"},
		{name: "a read-only state directory, for macvlan", conf: macvlan(at("/run/dir")), path: referencePlugins, come: runs(readOnlyDir("/run/dir")), leave: runs("umount /run/dir"), code: 5, says: "read-only file system"},
		{name: "no resolvConf, for macvlan", conf: macvlan(resolv), path: referencePlugins, come: runs("rm -f /run/resolv.conf"), leave: runs("touch /run/resolv.conf"), code: 5, says: "read ipam.resolvConf: "},
	}
}

// referencePlugins returns a CNI_PATH with the reference plugins.
func referencePlugins(t *testing.T) string {
	t.Helper()
	return filepath.Dir(nettest.Program(t, "macvlan"))
}

func poolStates() []hostState {
	tiny := routed4(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.2"}}}}})
	two := routed4(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64", "rangeEnd": "fd00:1::2"}}}}})
	macvlan := tiny.With(cni.Conf{"type": "macvlan", "master": "lo"})
	take := func(t *testing.T, a *called) {
		t.Helper()
		a.other = &called{h: a.h, c: a.h.Container("first"), conf: a.conf, path: a.path}
		a.other.add(t)
	}
	away := func(t *testing.T, a *called) { t.Helper(); a.other.run(t, "DEL").OK(t) }
	fake := routed4(cni.Conf{"ipam": cni.Conf{"type": "fake"}})
	return []hostState{
		{name: "no address is left", conf: tiny, come: take, leave: away, code: 11, says: "no IP addresses available in range set: 10.1.0.1-10.1.0.2"},
		{name: "no IPv6 address is left", conf: two, come: take, leave: away, code: 11, says: "no IP addresses available in range set: fd00:1::1-fd00:1::2"},
		{name: "no address is left, for macvlan", conf: macvlan, path: referencePlugins, come: take, leave: away, code: 11, says: "no IP addresses available in range set: 10.1.0.1-10.1.0.2"},
		{
			name: "no address, and one that cannot be looked up", conf: tiny, come: runs("mkdir -p -m 0700 /run/patchbay/ipam/net/10.1.0.2"), leave: runs("rmdir /run/patchbay/ipam/net/10.1.0.2"),
			code: 11, says: "no IP addresses available in range set: 10.1.0.1-10.1.0.2; read address: ",
		},
		{name: "no IPAM plugin", conf: fake, come: func(_ *testing.T, a *called) { a.path = "/nowhere" }, code: 110, says: `IPAM plugin fake: not found in CNI_PATH "/nowhere"`},
		{
			name: "an IPAM plugin that is not ready", conf: fake, own: true, code: 50, says: "no lease is left",
			come: func(t *testing.T, a *called) {
				t.Helper()
				script := nettest.Script(t, `cat >/dev/null; test "$CNI_COMMAND" = DEL && exit; echo '{"code": 50, "msg": "no lease is left"}'; exit 1`)
				a.h.Run(t, "install", "-D", "-m", "0755", script, "/run/plugins/fake")
				a.path = "/run/plugins"
			},
		},
	}
}

// sameSentence: before and after the state STATUS is 0 and ADD succeeds; in the state every ADD fails, and STATUS is
// 50, or 51 with running containers, with the message and the remedy of ADD.
func sameSentence(all []hostState) func(*testing.T) {
	return func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				h := nettest.Host(t)
				h.NoOracle("states come by hand")
				h.Run(t, "touch", "/run/resolv.conf")
				a := &called{h: h, c: h.Container("web"), conf: s.conf}
				if s.path != nil {
					a.path = s.path(t)
				}
				if s.conf["ipam"].(cni.Conf)["type"] == "patchbay" {
					a.healthy(t)
					h.Run(t, "sh", "-c", "ip link del cni0 2>/dev/null; nft flush ruleset; rm -rf /run/patchbay /run/dir /run/data /var/lib/patchbay; sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
				}
				s.come(t, a)
				a.unhealthy(t, s)
				if s.leave != nil {
					s.leave(t, a)
					a.healthy(t)
				}
			})
		}
	}
}

func (a *called) healthy(t *testing.T) {
	t.Helper()
	a.run(t, "STATUS").OK(t)
	a.run(t, "ADD").OK(t)
	a.run(t, "DEL").OK(t)
}

func (a *called) unhealthy(t *testing.T, s hostState) {
	t.Helper()
	status := a.run(t, "STATUS").Error(t)
	for _, container := range []*called{a, {h: a.h, c: a.h.Container("two"), conf: a.conf, path: a.path, program: a.program}} {
		e := container.run(t, "ADD").Error(t)
		if e.Code != s.code || !strings.Contains(e.Msg, s.says) {
			t.Errorf("ADD: code %d, %q; want %d, %q", e.Code, e.Msg, s.code, s.says)
		}
		want := "no container can be attached: " + e.Msg
		if s.own {
			want = e.Msg
		}
		if status.Code != 50 || status.Msg != want {
			t.Errorf("STATUS: code %d, %q; want 50, %q", status.Code, status.Msg, want)
		}
		// Only STATUS has a key of its own: statusOnFull.
		if !strings.HasPrefix(status.Details, e.Details) {
			t.Errorf("STATUS: details %q; ADD has %q", status.Details, e.Details)
		}
	}
}
