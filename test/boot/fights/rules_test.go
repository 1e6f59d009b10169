package fights

import "testing"

// TestRules: programs that write rules and settings of the node.
//
// Claim: patchbay-reload.service restores what a restart of nftables.service and of systemd-sysctl removes, in an emulated machine with systemd
func TestRules(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	for _, r := range []row{
		{
			name: "systemd-sysctl restarts, with a file that has `ip_forward = 0`", breaks: "all but the bridge itself: forwarding is off",
			before: "echo net.ipv4.ip_forward = 0 >/etc/sysctl.d/50-hardening.conf",
			act:    "systemctl restart systemd-sysctl", works: "",
			risk:    "IPv4 forwarding is disabled again when /etc/sysctl.d/50-hardening.conf is applied",
			finding: "IPv4 forwarding is disabled: containers on bridge patchbay0 cannot reach other networks",
			snippet: "sysctl.d/90-patchbay.conf", dir: "/etc/sysctl.d", how: "`sysctl.d/90-patchbay.conf`",
			restores: "the host forwards IPv4 again", after: "rm /etc/sysctl.d/50-hardening.conf /etc/sysctl.d/90-patchbay.conf",
		},
		{
			name: "nftables.service restarts", breaks: "published ports, masquerade: all tables are deleted",
			before: "systemctl enable --now nftables; patchbay reload",
			act:    "systemctl restart nftables", works: "",
			risk:    "nftables.service deletes all tables when it is started, reloaded or stopped",
			finding: "masquerade, published ports or isolation do not work",
			prevent: dropIn, how: "the drop-in that doctor prints, which restores at once",
			restores: "deleted table inet patchbay; restored in",
			after:    "rm -r /etc/systemd/system/nftables.service.d; systemctl daemon-reload; systemctl disable --now nftables; nft flush ruleset; patchbay reload",
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}

// dropIn carries out what doctor prints for nftables.service.
const dropIn = `patchbay doctor | sed -n '/^risk: nftables.service/,/daemon-reload/s/^ *\(fix: \)\? *\(mkdir\|printf\|systemctl\)/\2/p' >/tmp/fix
grep -q daemon-reload /tmp/fix
sh -eu /tmp/fix`
