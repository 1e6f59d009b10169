package fights

import "testing"

// TestFirewalld: firewalld starts, reloads and restarts.
//
// Claim: firewalld leaves the tables of Patchbay alone when it is reloaded or restarted; doctor reports what it rejects, and that it will reject it after a reload
func TestFirewalld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	for _, r := range []row{
		{
			name: "firewalld starts", breaks: "what containers send: zone public rejects it",
			act: "systemctl start firewalld", works: "in peer",
			finding: "firewalld drops IPv4 packets of bridge patchbay0",
			undo:    "firewall-cmd -q --zone=trusted --add-interface=patchbay0",
		},
		{
			name: "firewalld reloads, with the bridge in a zone until then", breaks: "the same",
			act: "firewall-cmd -q --reload", works: "in peer",
			risk:    "firewalld has bridge patchbay0 in no permanent zone: after a reload or a reboot it rejects what containers send",
			finding: "firewalld drops IPv4 packets of bridge patchbay0",
			undo:    "firewall-cmd -q --zone=trusted --add-interface=patchbay0",
			prevent: "firewall-cmd -q --permanent --zone=trusted --add-interface=patchbay0", how: "`firewall-cmd --permanent --zone=trusted --add-interface=BRIDGE`",
		},
		{
			name: "firewalld reloads, `FlushAllOnReload=yes`, the bridge in a permanent zone", breaks: "new connections while it reloads: it flushes its own tables, no others",
			before: "grep -q FlushAllOnReload=yes /etc/firewalld/firewalld.conf", act: "firewall-cmd -q --reload", works: works, measured: true,
		},
		{
			name: "firewalld restarts, the bridge in a permanent zone", breaks: "new connections while it restarts",
			act: "systemctl restart firewalld", works: works, measured: true,
			after: "systemctl stop firewalld",
		},
	} {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
}
