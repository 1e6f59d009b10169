package fights

import "testing"

// TestLinks: programs that configure interfaces.
//
// Claim: in a machine with NetworkManager, keepalived and udev, attachments stay as they are, or doctor reports the program and a
// file of conf/ prevents what it does
func TestLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	for _, r := range []row{
		{
			name: "udev handles all interfaces anew, `MACAddressPolicy=persistent`", breaks: "nothing: Patchbay sets MAC addresses and names when it creates interfaces",
			before: "systemctl is-active -q systemd-udevd; grep -q MACAddressPolicy=persistent /usr/lib/systemd/network/99-default.link; " + addresses + " >/tmp/macs",
			act:    "udevadm trigger --action=add --subsystem-match=net --settle", works: works,
			after: addresses + " | diff /tmp/macs -",
		},
		{
			name: "keepalived moves a VIP to the bridge and away", breaks: "nothing", before: keepalived, works: works,
			act: `systemctl start keepalived
				until ip -4 -o address show patchbay0 | grep -q 10.77.0.200; do sleep 0.1; done
				systemctl stop keepalived
				until ! ip -4 -o address show patchbay0 | grep -q 10.77.0.200; do sleep 0.1; done`,
		},
		{
			name: "NetworkManager activates a profile of the bridge, which has `managed=0`", breaks: "all: it takes host interfaces off the bridge and replaces its address",
			before: manager, act: "nmcli connection up lan || true", works: "",
			risk:    "NetworkManager manages bridge patchbay0, which Patchbay created: it may detach its ports or change its addresses when a profile is activated",
			finding: "its host interface is no active port of bridge patchbay0",
			snippet: "NetworkManager/90-patchbay.conf", dir: "/etc/NetworkManager/conf.d", prevent: "nmcli general reload conf; sleep 3; ip link set patchbay0 up; patchbay reload", how: "`NetworkManager/90-patchbay.conf`",
			restores: "is a port of bridge patchbay0 again",
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}

const (
	// addresses prints names and MAC addresses of interfaces.
	addresses = `ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*ether ([^ ]+).*/\1 \2/'`

	// configured waits until systemd-networkd has handled all interfaces.
	configured = `sleep 1; networkctl --no-pager --no-legend | grep -q pending && sleep 3; sleep 2`

	networkdOfHost = `printf '[Match]\nName=eth0\n[Network]\nLinkLocalAddressing=no\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n' >/etc/systemd/network/10-eth0.network
		systemctl start systemd-networkd; ` + configured

	// networkdBridge is a bridge of the administrator, and a network of Patchbay on it.
	networkdBridge = `rm /etc/systemd/network/90-all.network
		printf '[NetDev]\nName=br7\nKind=bridge\n' >/etc/systemd/network/20-br7.netdev
		printf '[Match]\nName=br7\n[Network]\nLinkLocalAddressing=no\nAddress=10.70.0.1/24\n' >/etc/systemd/network/20-br7.network
		mkdir -p /etc/cni/net.d
		echo '{"cniVersion": "1.0.0", "name": "br7", "plugins": [{"type": "patchbay", "bridge": "br7", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.70.0.0/24"}]]}}]}' >/etc/cni/net.d/br7.conflist
		networkctl reload
		until ip link show br7 >/dev/null 2>&1; do sleep 0.2; done`

	// lastPort attaches a container to that bridge, waits for the address, and removes the container.
	lastPort = `patchbay up one --network br7
		for i in $(seq 100); do ip -4 address show br7 | grep -q 10.70.0.1 && break; sleep 0.2; done
		ip -4 address show br7 | grep -q 10.70.0.1
		patchbay down one
		sleep 3
		`

	withoutCarrier = `mkdir /etc/systemd/network/20-br7.network.d; cp /root/carrier.conf /etc/systemd/network/20-br7.network.d/
		networkctl reload; networkctl reconfigure br7; sleep 2
		`

	keepalived = `cat >/etc/keepalived/keepalived.conf <<END
vrrp_instance lan {
	state MASTER
	interface patchbay0
	virtual_router_id 7
	priority 200
	advert_int 1
	virtual_ipaddress { 10.77.0.200/24 }
}
END`

	manager = `mkdir -p /etc/NetworkManager/conf.d; printf '[main]\nno-auto-default=*\n[device-lan]\nmatch-device=interface-name:patchbay0\nmanaged=0\n' >/etc/NetworkManager/conf.d/10-auto.conf
		systemctl start NetworkManager
		nmcli connection add type bridge ifname patchbay0 con-name lan ipv4.method manual ipv4.addresses 10.77.0.9/24 ipv6.method disabled bridge.stp no connection.autoconnect no`
)
