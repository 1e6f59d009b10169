package packages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// others are the files that programs of the machine change whatever the package does.
func others() []string {
	return []string{
		"/var/lib/dpkg",            // what dpkg knows; noTrace looks for the package in it
		"/var/log",                 // of dpkg and systemd
		"/var/lib/containerd",      // images and snapshots; its sandboxes are removed by the test
		"/var/lib/cni/results",     // results that containerd keeps
		"/var/lib/systemd",         // random seed, timers; kernel has its units, and noTrace looks for the package in it
		"/run/systemd", "/run/log", // units and journal of the running systemd
		"/run/mount", "/run/containerd", "/run/udev", // mounts, sockets, and the interfaces that exist
		"/run/netns",                   // every command that creates the first named namespace leaves the directory, as ip(8) does
		"/run/vm", "/run/xtables.lock", // the program that runs the commands of tests; iptables
		"/root", "/tmp", // of the test
	}
}

// files describes all files of the machine but others.
func (s *site) files(t *testing.T) map[string]string {
	t.Helper()
	begun, all := time.Now(), map[string]string{}
	if err := json.Unmarshal([]byte(s.Run(t, append([]string{"/root/guest", "files"}, others()...)...)), &all); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files described in %v", len(all), time.Since(begun).Round(100*time.Millisecond))
	if len(all) < 5000 {
		t.Fatalf("only %d files", len(all))
	}
	return all
}

// unchanged requires the same files.
func unchanged(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	got := []string{}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if was, existed := before[path]; !existed {
			got = append(got, "new: "+path+" "+after[path])
		} else if was != after[path] {
			got = append(got, "changed: "+path+" "+was+", now "+after[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, exists := after[path]; !exists {
			got = append(got, "gone: "+path+" "+before[path])
		}
	}
	expect.Equal(t, what, got, []string{})
}

// kernel returns what the kernel has: interfaces, addresses, routes, rules, the rulesets of nftables and of both kinds of iptables without their counters, settings of the
// network, and the units of systemd. Modules that were loaded stay, as after every program that needed one: the one with settings of its own is loaded before.
func (s *site) kernel(t *testing.T) []string {
	t.Helper()
	return strings.Split(s.Shell(t, `
		modprobe nf_conntrack
		ip -d link | sed -E 's/_timer +[0-9.]+/_timer 0/g'
		ip address; ip -4 route show table all; ip -6 route show table all; ip -4 rule; ip -6 rule
		ip netns; bridge -d link; bridge vlan; tc qdisc
		nft -s list ruleset; (iptables-save; ip6tables-save; iptables-legacy-save; ip6tables-legacy-save) | sed -e '/^#/d' -e 's/ \[[0-9:]*\]$//'
		sysctl -a --pattern '^net\.' 2>/dev/null | grep -v -e nf_conntrack_count -e 'tcp_fastopen_key' -e '^net.netfilter.nf_log'
		systemctl list-units --all --plain --no-legend 'patchbay*'; systemctl list-unit-files --no-legend 'patchbay*' || :
		ls /sys/fs/bpf`), "\n")
}

// forwarding is what Patchbay leaves on purpose, because other programs of the host may rely on it by now (docs/migration.md). The kernel sets
// accept_redirects with it.
func forwarding(line string) bool {
	name, _, _ := strings.Cut(line, " = ")
	return name == "net.ipv4.conf.all.accept_redirects" || name == "net.ipv4.ip_forward" || strings.HasPrefix(name, "net.ipv4.conf.") && strings.HasSuffix(name, ".forwarding")
}

// asBefore requires the files and the kernel of before, but for forwarding.
func (s *site) asBefore(t *testing.T, files map[string]string, kernel []string) {
	t.Helper()
	unchanged(t, "files", files, s.files(t))
	without := func(lines []string) []string { return slices.DeleteFunc(slices.Clone(lines), forwarding) }
	expect.Equal(t, "kernel", without(s.kernel(t)), without(kernel))
	expect.Equal(t, "forwarding", strings.TrimSpace(s.Run(t, "sysctl", "-n", "net.ipv4.ip_forward")), "1")
	s.noTrace(t)
}

// noTrace requires that dpkg and systemd know nothing of the package.
func (s *site) noTrace(t *testing.T) {
	t.Helper()
	expect.Equal(t, "files of dpkg", s.Shell(t, "ls /var/lib/dpkg/info | grep patchbay || :; grep -l patchbay /var/lib/dpkg/status || :"), "")
	expect.Equal(t, "files of systemd", s.Shell(t, "find /var/lib/systemd /etc/systemd /run/systemd -name '*patchbay*'"), "")
}
