package nodeconf

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// networkManager reports bridges of Patchbay that NetworkManager may manage. It leaves interfaces alone that
// unmanaged-devices names, or a section [device-...] with managed=0.
func networkManager(l *look) (all []Risk) {
	for _, b := range l.Bridges {
		if !b.IsOurs || l.excluded(b.Name) {
			continue
		}
		fix := []string{printable.Refusal(b.Name)}
		if fix[0] == "" {
			fix = []string{
				"mkdir -p /etc/NetworkManager/conf.d",
				fmt.Sprintf(`printf '%%s\n' '[keyfile]' 'unmanaged-devices+=interface-name:%[1]s' >/etc/NetworkManager/conf.d/90-patchbay-%[1]s.conf`, b.Name),
				"nmcli general reload conf",
			}
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("NetworkManager manages bridge %s, which Patchbay created: it may detach its ports or change its addresses when a profile is activated", b.Name),
			Seen: "no file of /etc/NetworkManager/conf.d has unmanaged-devices=interface-name:" + b.Name, Fix: fix,
		})
	}
	return all
}

// excluded reports whether the configuration excludes an interface.
func (l *look) excluded(name string) bool {
	paths := append([]string{"/etc/NetworkManager/NetworkManager.conf"}, l.fragments(".conf", "/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d")...)
	for _, path := range paths {
		matched := ""
		for _, s := range l.settings(path) {
			switch {
			case s.section == "keyfile" && strings.TrimSuffix(s.key, "+") == "unmanaged-devices" && named(s.value, name):
				return true
			case strings.HasPrefix(s.section, "device") && s.key == "match-device" && named(s.value, name):
				matched = s.section
			case s.section == matched && matched != "" && s.key == "managed" && isNo(s.value):
				return true
			}
		}
	}
	return false
}

// named reports whether a list of devices has an interface: "*", "interface-name:cni*", with "except:" before what is not
// in it.
func named(list, name string) bool {
	is := false
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ';' || r == ',' }) {
		word = strings.TrimSpace(word)
		rest, isExcept := strings.CutPrefix(word, "except:")
		pattern, isName := strings.CutPrefix(rest, "interface-name:")
		pattern = strings.TrimPrefix(pattern, "=")
		matched, err := filepath.Match(pattern, name)
		isMatch := rest == "*" || rest == "type:bridge" || isName && matched && err == nil
		if isExcept && isMatch {
			return false
		}
		is = is || isMatch && !isExcept
	}
	return is
}
