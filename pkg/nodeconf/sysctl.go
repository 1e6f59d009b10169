package nodeconf

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// sysctl returns the value that one of several names of a setting gets at boot, and the line; "" if no file sets it.
// systemd-sysctl(8) reads the files in the order of their names, /etc/sysctl.conf as 99-sysctl.conf; the last one counts.
func (l *look) sysctl(names ...string) (value string, by line) {
	paths := l.fragments(".conf", "/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
	key := func(path string) string {
		if path == "/etc/sysctl.conf" {
			return "99-sysctl.conf"
		}
		return filepath.Base(path)
	}
	if !slices.ContainsFunc(paths, func(path string) bool { return filepath.Base(path) == "99-sysctl.conf" }) {
		paths = append(paths, "/etc/sysctl.conf")
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(key(a), key(b)) })
	for _, path := range append(paths, "/etc/ufw/sysctl.conf") {
		if path == "/etc/ufw/sysctl.conf" && !l.usesUFW() {
			continue
		}
		for _, s := range l.settings(path) {
			name := strings.ReplaceAll(strings.TrimPrefix(s.key, "-"), "/", ".")
			if slices.Contains(names, name) {
				value, by = s.value, s.line
			}
		}
	}
	return value, by
}

func (l *look) usesUFW() bool {
	return slices.ContainsFunc(l.settings("/etc/ufw/ufw.conf"), func(s setting) bool { return s.key == "ENABLED" && isYes(s.value) })
}

// enabled returns the command that sets a setting to 1: in the file of the administrator, or in a file that is read after that
// of a package.
func enabled(by line, name string) string {
	if strings.HasPrefix(by.path, "/etc/") {
		return printable.Command("sed", "-i", fmt.Sprintf("%ds/0/1/", by.number), by.path)
	}
	return fmt.Sprintf("echo '%s = 1' >/etc/sysctl.d/99-zz-%s.conf", name, strings.ReplaceAll(name, ".", "-"))
}

// sysctls reports files that disable forwarding at boot.
func sysctls(l *look) (all []Risk) {
	for _, family := range []struct {
		is4   bool
		name  string
		names []string
	}{
		{true, "IPv4", []string{"net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"}},
		{false, "IPv6", []string{"net.ipv6.conf.all.forwarding"}},
	} {
		value, by := l.sysctl(family.names...)
		if value != "0" || !l.routed(family.is4) {
			continue
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("%s forwarding is disabled again when %s is applied: by systemd-sysctl at boot, and by sysctl --system; containers then cannot reach other networks", family.name, by.path),
			Seen: by.seen(),
			Fix:  []string{enabled(by, family.names[0])},
		})
	}
	return all
}
