package nodeconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// dirs of systemd: a file in an earlier one hides those of the same name in later ones.
func systemdDirs(below string) []string {
	return []string{"/etc/systemd/" + below, "/run/systemd/" + below, "/usr/local/lib/systemd/" + below, "/usr/lib/systemd/" + below}
}

// hostInterfaces matches the names of host interfaces of Patchbay, veth and 11 characters (identity.Of), and not the shorter ones of other
// programs: see conf/systemd-network/05-patchbay.network.
const hostInterfaces = "veth???????????"

// device is an interface that a file may match.
type device struct{ name, kind string }

// networkd reports the first .network file that matches a bridge of Patchbay, or a host interface, unless it says that the
// interface is unmanaged.
func networkd(l *look) (all []Risk) {
	for _, b := range l.Bridges {
		if b.IsOurs {
			if n, is := l.managed(device{b.Name, "bridge"}); is {
				all = append(all, Risk{
					Says: fmt.Sprintf("systemd-networkd configures bridge %s, which Patchbay created: it may remove its addresses and routes when it restarts", b.Name),
					Seen: n.seen(), Fix: unmanaged("05-patchbay-"+b.Name, b.Name, "bridge"),
				})
			}
		}
		for _, port := range b.Ports {
			n, is := l.managed(device{port, "veth"})
			if !is {
				continue
			}
			all = append(all, Risk{
				Says: fmt.Sprintf("systemd-networkd configures the host interfaces of bridge %s: it may take them off the bridge when they appear or when it restarts", b.Name),
				Seen: n.seen(), Fix: unmanaged("05-patchbay-veth", hostInterfaces, "veth"),
			})
			break // the others have similar names
		}
	}
	return all
}

// unmanaged returns the commands that exclude interfaces; name may end in question marks, the pattern of a shell for one character.
func unmanaged(file, name, kind string) []string {
	path := "/etc/systemd/network/" + file + ".network"
	if refusal := printable.Refusal(file, strings.TrimRight(name, "?")); refusal != "" {
		return []string{refusal}
	}
	return []string{
		fmt.Sprintf("printf '%%s\\n' '[Match]' 'Name=%s' 'Kind=%s' '' '[Link]' 'Unmanaged=yes' >%s", name, kind, path),
		"networkctl reload",
	}
}

// managed returns the line by which the first file that matches an interface does so. Files with conditions that are not
// known here are taken as not matching.
func (l *look) managed(d device) (by line, is bool) {
	for _, path := range l.fragments(".network", systemdDirs("network")...) {
		settings := l.settings(path)
		n, is := d.matched(settings)
		if !is {
			continue
		}
		isUnmanaged := slices.ContainsFunc(settings, func(s setting) bool { return s.section == "Link" && s.key == "Unmanaged" && isYes(s.value) })
		return n, !isUnmanaged
	}
	return line{}, false
}

// matched reports whether section Match has an interface, and by which line.
func (d device) matched(settings []setting) (by line, is bool) {
	for _, s := range settings {
		if s.section != "Match" {
			continue
		}
		var ok bool
		switch s.key {
		case "Name":
			ok = matches(s.value, d.name)
		case "OriginalName":
			ok = matches(s.value, d.name)
		case "Kind", "Driver":
			ok = matches(s.value, d.kind)
		case "Type":
			ok = matches(s.value, map[string]string{"bridge": "bridge", "veth": "ether"}[d.kind])
		}
		if !ok {
			return line{}, false
		}
		by, is = s.line, true
	}
	return by, is
}

// foreignRoutes reports that systemd-networkd removes routes of the host to containers.
func foreignRoutes(l *look) (all []Risk) {
	seen, keeps := "ManageForeignRoutes= is not set in /etc/systemd/networkd.conf, and its default is yes", false
	for _, path := range append([]string{"/etc/systemd/networkd.conf"}, l.fragments(".conf", systemdDirs("networkd.conf.d")...)...) {
		for _, s := range l.settings(path) {
			if s.section == "Network" && s.key == "ManageForeignRoutes" {
				keeps, seen = isNo(s.value), s.seen()
			}
		}
	}
	for _, b := range l.Bridges {
		if keeps || b.HostRoutes == 0 {
			continue
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("systemd-networkd removes routes of other programs when it restarts: the routes of the host to %d containers on bridge %s", b.HostRoutes, b.Name),
			Seen: seen,
			Fix: []string{
				"mkdir -p /etc/systemd/networkd.conf.d",
				`printf '%s\n' '[Network]' 'ManageForeignRoutes=no' 'ManageForeignRoutingPolicyRules=no' >/etc/systemd/networkd.conf.d/90-patchbay.conf`,
				"systemctl restart systemd-networkd",
			},
		})
	}
	return all
}

// linkFiles reports .link files by which udev gives a bridge or host interface another MAC. MACAddressPolicy= does not: it
// leaves a MAC alone that the creator of the interface set, as Patchbay does.
func linkFiles(l *look) (all []Risk) {
	for _, path := range l.fragments(".link", systemdDirs("network")...) {
		settings := l.settings(path)
		at := slices.IndexFunc(settings, func(s setting) bool { return s.section == "Link" && s.key == "MACAddress" })
		if at < 0 {
			continue
		}
		for _, b := range l.Bridges {
			_, ofBridge := device{b.Name, "bridge"}.matched(settings)
			_, ofPort := device{append(b.Ports, "")[0], "veth"}.matched(settings)
			if !(ofBridge && b.IsOurs) && !ofPort {
				continue
			}
			all = append(all, Risk{
				Says: fmt.Sprintf("udev gives interfaces of bridge %s another MAC address when they appear", b.Name),
				Seen: settings[at].seen(),
				Fix:  []string{"# exclude them in section [Match] of that file: add " + b.Name + " and " + hostInterfaces + " to a line Name=!..."},
			})
		}
	}
	return all
}
