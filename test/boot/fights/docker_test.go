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
			act: "systemctl restart docker; iptables -nL DOCKER-USER >/dev/null", works: works,
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

// hairpin carries out what doctor prints.
const hairpin = `patchbay doctor | sed -n 's/^ *\(fix: \)\? *\(bridge link set .*\)/\2/p' >/tmp/fix
grep -q hairpin /tmp/fix
sh -eu /tmp/fix`

const dockerAtBoot = `systemctl stop docker docker.socket; sysctl -q -w net.ipv4.ip_forward=0; systemctl start docker`

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

	s.Shell(t, "ufw --force enable")
	s.await(t, "")
	expect.Contains(t, s.doctor(t), "ufw drops")
	s.Shell(t, "ufw route allow in on patchbay0; ufw route allow out on patchbay0")
	s.await(t, works)

	s.Reboot(t)
	for _, unit := range []string{"patchbay-reload.service", "patchbay-gc.timer"} {
		expect.Equal(t, unit, strings.TrimSpace(s.Run(t, "systemctl", "is-active", unit)), "active")
	}
	expect.Equal(t, "warnings", s.Run(t, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "-p", "warning", "-u", "patchbay-reload", "-u", "patchbay-gc"), "")
	expect.Equal(t, "report after the reboot", s.Run(t, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "-t", "patchbay"), "")
	s.attach(t)
	s.Shell(t, "nft delete table inet patchbay; until nft list table inet patchbay >/dev/null 2>&1; do sleep 0.1; done")
	s.await(t, works)
}
