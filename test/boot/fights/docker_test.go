package fights

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDocker: docker starts before and after forwarding is enabled.
//
// Claim: running attachments keep working when docker starts and restarts; if docker sets the policy of FORWARD to drop, doctor reports it
func TestDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	for _, r := range []row{
		{
			name: "docker starts, forwarding is enabled", breaks: "published ports for the container that publishes them: docker enables br_netfilter",
			act: restartDocker + "; iptables -nL DOCKER-USER >/dev/null", works: works,
			finding: "cannot reach its own published ports: br_netfilter was enabled after it was attached",
			undo:    hairpin,
		},
		{
			name: "docker starts, forwarding is disabled until then", breaks: "what is forwarded: the policy of FORWARD is drop, also after forwarding is enabled",
			before: "systemctl stop docker",
			act:    "systemctl restart systemd-sysctl; sysctl -n net.ipv4.ip_forward; " + dockerAtBoot, works: "",
			finding: "docker drops",
			undo:    "iptables -P FORWARD ACCEPT",
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}

// TestDockerUser: docker beside a network with "firewall": "auto", which has two rules in docker's chain DOCKER-USER.
//
// Claim: with `"firewall": "auto"` running attachments keep working when docker starts after them and restarts; patchbay-reload.service
// restores the rules in DOCKER-USER
func TestDockerUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Shell(t, firewallAuto)
	s.attach(t, "--network", "auto")
	for _, r := range []row{
		{
			name: "docker starts after the containers, forwarding is disabled until then, `\"firewall\": \"auto\"`", breaks: "what is forwarded: the policy of FORWARD is drop, and the chain DOCKER-USER is new",
			act: dockerAnew, works: "",
			finding:  "docker drops",
			restores: "docker's chain DOCKER-USER has the rules for bridge patchbay0 again",
		},
		{
			name: "docker restarts, `\"firewall\": \"auto\"`", breaks: "some new connections while it restarts; docker keeps the rules in DOCKER-USER",
			before: "iptables -P FORWARD DROP", // as docker does; in the row before, the service enabled forwarding first
			act:    restartDocker + "; iptables -S DOCKER-USER | grep -q patchbay:patchbay0", works: works, measured: true,
		},
		{
			name: "`iptables -F DOCKER-USER`, `\"firewall\": \"auto\"`", breaks: "what is forwarded: the two rules are gone",
			act: "iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN", works: "",
			finding:  "docker drops",
			restores: "deleted rules of chain DOCKER-USER; restored in",
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}

// restartDocker restarts docker, or starts one that is stopped. Its unit allows three starts a minute.
const restartDocker = "systemctl reset-failed docker 2>/dev/null || :; systemctl restart docker"

const (
	firewallAuto = `mkdir -p /etc/cni/net.d
		echo '{"cniVersion": "1.0.0", "name": "auto", "plugins": [{"type": "patchbay", "bridge": "patchbay0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "firewall": "auto",
			"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.71.0.0/24"}]]}}]}' >/etc/cni/net.d/auto.conflist`

	// dockerAnew starts docker as on a node that has just booted: without its chains.
	dockerAnew = `systemctl stop docker docker.socket
		for i in iptables ip6tables; do
			$i -P FORWARD ACCEPT; $i -F FORWARD
			$i -F DOCKER-USER 2>/dev/null && $i -X DOCKER-USER || true
		done
		sysctl -q -w net.ipv4.ip_forward=0
		` + restartDocker
)

// hairpin carries out what doctor prints.
const hairpin = `patchbay doctor | sed -n 's/^ *\(fix: \)\? *\(bridge link set .*\)/\2/p' >/tmp/fix
grep -q hairpin /tmp/fix
sh -eu /tmp/fix`

const allowRouted = "ufw route allow in on patchbay0; ufw route allow out on patchbay0"

const dockerAtBoot = `systemctl stop docker docker.socket; sysctl -q -w net.ipv4.ip_forward=0; ` + restartDocker

// TestReboot: the units are enabled, and the node reboots: the attachments of the previous boot are gone, and no unit fails or writes a warning.
// ufw, which denies routed packets from then on, is reported.
//
// Claim: patchbay-reload.service and patchbay-gc.timer are valid and survive a reboot without a warning; the unit restores what the first container
// after it needs, and reaches its named namespaces
func TestReboot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Shell(t, "systemd-analyze verify --man=no /etc/systemd/system/patchbay-*")
	s.attach(t)
	s.Shell(t, "systemctl enable --now patchbay-reload.service patchbay-gc.timer; systemctl start patchbay-gc.service; systemctl is-active patchbay-gc.timer")
	s.await(t, works)
	main := strings.TrimSpace(s.Run(t, "systemctl", "show", "-P", "MainPID", "patchbay-reload"))
	expect.Equal(t, "mount namespace", s.Run(t, "readlink", "/proc/"+main+"/ns/mnt"), s.Run(t, "readlink", "/proc/1/ns/mnt"))

	s.run(t, row{
		name: "ufw is enabled", breaks: "what is forwarded: routed packets are denied",
		act: "ufw --force enable", works: "", finding: "ufw drops",
		undo: allowRouted, prevent: allowRouted, how: "`ufw route allow in on BRIDGE`, `ufw route allow out on BRIDGE`, also over a reboot",
	})

	s.Reboot(t)
	for _, unit := range []string{"patchbay-reload.service", "patchbay-gc.timer"} {
		expect.Equal(t, unit, strings.TrimSpace(s.Run(t, "systemctl", "is-active", unit)), "active")
	}
	expect.Equal(t, "warnings", s.Run(t, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "-p", "warning", "-u", "patchbay-reload", "-u", "patchbay-gc"), "")
	expect.Equal(t, "report after the reboot", s.Run(t, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "-t", "patchbay"),
		"deleted /etc/netns/db/hosts\ndeleted /etc/netns/web/hosts\n")
	s.attach(t)
	s.Shell(t, "nft delete table inet patchbay; until nft list table inet patchbay >/dev/null 2>&1; do sleep 0.1; done")
	s.await(t, works)
}
