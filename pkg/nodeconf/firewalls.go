package nodeconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// flushes reports that nftables.service deletes the tables of Patchbay, unless a drop-in of its unit restores them.
func flushes(l *look) (all []Risk) {
	for _, path := range l.fragments(".conf", "/etc/systemd/system/nftables.service.d") {
		for _, s := range l.settings(path) {
			if s.section == "Service" && s.key == "ExecStartPost" && strings.Contains(s.value, "patchbay reload") {
				return nil
			}
		}
	}
	for _, path := range []string{"/etc/nftables.conf", "/etc/sysconfig/nftables.conf"} {
		for _, n := range l.read(path) {
			if strings.Join(strings.Fields(strings.TrimSuffix(n.text, ";")), " ") != "flush ruleset" {
				continue
			}
			all = append(all, Risk{
				Says: "nftables.service deletes all tables when it is started, reloaded or stopped: published ports and masquerade of running containers then do not work until patchbay reload",
				Seen: n.seen(),
				Fix: []string{
					"mkdir -p /etc/systemd/system/nftables.service.d",
					`printf '%s\n' '[Service]' 'ExecStartPost=-/opt/cni/bin/patchbay reload' 'ExecReload=-/opt/cni/bin/patchbay reload' 'ExecStop=' >/etc/systemd/system/nftables.service.d/patchbay.conf`,
					"systemctl daemon-reload",
				},
			})
			break
		}
	}
	return all
}

// firewalld reports bridges that packets pass now although no permanent zone has them.
func firewalld(l *look) (all []Risk) {
	zone := "public"
	for _, s := range l.settings("/etc/firewalld/firewalld.conf") {
		if s.key == "DefaultZone" {
			zone = s.value
		}
	}
	for _, b := range l.Bridges {
		isPassing := (b.Routed4 || b.Routed6) && !slices.Contains(b.Dropped, "firewalld")
		if !isPassing || zone == "trusted" || l.mentions(b.Name, l.fragments(".xml", "/etc/firewalld/zones", "/etc/firewalld/policies")...) {
			continue
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("firewalld has bridge %s in no permanent zone: after a reload or a reboot it rejects what containers send", b.Name),
			Seen: "no file of /etc/firewalld/zones names the bridge; the default zone is " + zone,
			Fix:  []string{printable.Command("firewall-cmd", "--permanent", "--zone=trusted", "--add-interface="+b.Name)},
		})
	}
	return all
}

// mentions reports whether one of some files contains a name.
func (l *look) mentions(name string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		return slices.ContainsFunc(l.read(path), func(n line) bool {
			return slices.Contains(strings.FieldsFunc(n.text, func(r rune) bool { return strings.ContainsRune(" \t\"'=/<>", r) }), name)
		})
	})
}

// ufw reports bridges that packets pass now although ufw's files have no rule for them.
func ufw(l *look) (all []Risk) {
	isEnabled := slices.ContainsFunc(l.settings("/etc/ufw/ufw.conf"), func(s setting) bool { return s.key == "ENABLED" && isYes(s.value) })
	if !isEnabled {
		return nil
	}
	var policy *setting
	for _, s := range l.settings("/etc/default/ufw") {
		if s.key == "DEFAULT_FORWARD_POLICY" {
			policy = &s
		}
	}
	if policy == nil || strings.Trim(policy.value, `"`) == "ACCEPT" {
		return nil
	}
	for _, b := range l.Bridges {
		isPassing := (b.Routed4 || b.Routed6) && !slices.Contains(b.Dropped, "ufw")
		if !isPassing || l.mentions(b.Name, "/etc/ufw/user.rules", "/etc/ufw/before.rules", "/etc/ufw/after.rules") {
			continue
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("bridge %s has no rule of ufw, which drops what containers send after it is reloaded, or after a reboot", b.Name),
			Seen: policy.seen(),
			Fix:  []string{printable.Command("ufw", "route", "allow", "in", "on", printable.Name(b.Name))},
		})
	}
	return all
}

// docker reports that dockerd will set the policy of FORWARD to drop: it does so if it has to enable forwarding itself.
func docker(l *look) (all []Risk) {
	for _, n := range l.read("/etc/docker/daemon.json") {
		text := strings.ReplaceAll(n.text, " ", "")
		if strings.Contains(text, `"iptables":false`) || strings.Contains(text, `"ip-forward-no-drop":true`) || strings.Contains(text, `"ip-forward":false`) {
			return nil
		}
	}
	if value, _ := l.sysctl("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"); value == "1" || !l.routed(true) {
		return nil
	}
	if slices.ContainsFunc(l.Bridges, func(b Bridge) bool { return slices.Contains(b.Dropped, "docker") }) {
		return nil
	}
	return []Risk{{
		Says: "docker drops what is forwarded after a reboot: dockerd sets the policy of FORWARD to DROP if it starts before forwarding is enabled",
		Seen: "no file of /etc/sysctl.d sets net.ipv4.ip_forward to 1",
		Fix:  []string{"echo 'net.ipv4.ip_forward = 1' >/etc/sysctl.d/99-zz-patchbay.conf"},
	}}
}
