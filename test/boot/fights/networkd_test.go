package fights

import "testing"

// TestNetworkd: systemd-networkd.
//
// Claim: systemd-networkd with a file that has `Name=*` leaves attachments alone where `05-patchbay.network` is, and otherwise patchbay-reload.service
// restores them; a bridge of its own keeps its address without ports where `bridge.network.d/carrier.conf` is
func TestNetworkd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	s.copyFile(t, conf+"/bridge.network.d/carrier.conf", "/root/carrier.conf", "0644")
	for _, r := range []row{
		{
			name: "systemd-networkd restarts, and has no file that matches", breaks: "nothing: the routes of gateways are the kernel's",
			before: networkdOfHost, act: "systemctl restart systemd-networkd; " + configured, works: works,
		},
		{
			name: "systemd-networkd restarts, with a file that has `Name=*`", breaks: "all: it takes host interfaces off the bridge and removes its address",
			before: "printf '[Match]\nName=*\n[Network]\nDHCP=yes\n' >/etc/systemd/network/90-all.network",
			act:    "systemctl restart systemd-networkd; " + configured, works: "",
			risk:    "systemd-networkd configures the host interfaces of bridge patchbay0: it may take them off the bridge when they appear or when it restarts",
			finding: "its host interface is no active port of bridge patchbay0",
			snippet: "systemd-network/05-patchbay.network", dir: "/etc/systemd/network", how: "`systemd-network/05-patchbay.network`",
			restores: "is a port of bridge patchbay0 again",
		},
		{
			name: "systemd-networkd, the last port of its bridge is removed", breaks: "the bridge of the administrator: it loses its address with its carrier",
			before: networkdBridge, act: lastPort, works: works, prevent: withoutCarrier + lastPort + "ip -4 address show br7 | grep -q 10.70.0.1", how: "`bridge.network.d/carrier.conf`",
			undo: "test -z \"$(ip -4 address show br7)\"",
			after: `rm -r /etc/systemd/network/*; systemctl stop systemd-networkd.socket systemd-networkd; ip link delete br7; rm /etc/cni/net.d/br7.conflist
				ip address replace 192.0.2.10/24 dev eth0; ip route replace default via 192.0.2.1`,
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}
