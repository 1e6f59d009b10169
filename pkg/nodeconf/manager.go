package nodeconf

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// networkManager reports bridges of Patchbay that NetworkManager may manage. Only unmanaged-devices of section [keyfile] is authoritative:
// managed=0 of a section [device], as NM_UNMANAGED of udev, is overruled by an activation of a profile (NetworkManager.conf(5), "managed").
func networkManager(l *look) (all []Risk) {
	list := l.unmanagedDevices()
	for _, b := range l.Bridges {
		if !b.IsOurs || named(list, b.Name) {
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
		seen := "no file of /etc/NetworkManager/conf.d has unmanaged-devices=interface-name:" + b.Name
		if by, is := l.overruled(b.Name); is {
			seen = by.seen() + ", which an activation overrules; unmanaged-devices does not have the bridge"
		}
		all = append(all, Risk{
			Says: fmt.Sprintf("NetworkManager manages bridge %s, which Patchbay created: it may detach its ports or change its addresses when a profile is activated", b.Name),
			Seen: seen, Fix: fix,
		})
	}
	return all
}

// managerFiles returns the files of NetworkManager in the order in which it reads them.
func (l *look) managerFiles() (paths []string) {
	var hidden []string // names of the directories that are read later
	dirs := []string{"/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"}
	for i, dir := range dirs {
		var these []string
		for _, path := range l.fragments(".conf", dir) {
			if !slices.Contains(hidden, filepath.Base(path)) {
				these, hidden = append(these, path), append(hidden, filepath.Base(path))
			}
		}
		if i == 0 {
			these = append([]string{"/etc/NetworkManager/NetworkManager.conf"}, these...)
		}
		paths = append(these, paths...)
	}
	return paths
}

// unmanagedDevices returns the list of devices that NetworkManager leaves alone: a later file replaces it, or adds to it by "+=".
func (l *look) unmanagedDevices() (list string) {
	for _, path := range l.managerFiles() {
		for _, s := range l.settings(path) {
			switch {
			case s.section == "keyfile" && s.key == "unmanaged-devices":
				list = s.value
			case s.section == "keyfile" && s.key == "unmanaged-devices+":
				list += ";" + s.value
			}
		}
	}
	return list
}

// overruled returns a line managed=0 of a section [device...] that has an interface.
func (l *look) overruled(name string) (by line, is bool) {
	for _, path := range l.managerFiles() {
		matched := ""
		for _, s := range l.settings(path) {
			switch {
			case strings.HasPrefix(s.section, "device") && s.key == "match-device" && named(s.value, name):
				matched = s.section
			case s.section == matched && matched != "" && s.key == "managed" && isNo(s.value):
				return s.line, true
			}
		}
	}
	return line{}, false
}

// named reports whether a list of devices has a bridge: "*", "cni0", "interface-name:cni*", with "except:" before what is not in it. A list
// of exceptions alone has everything else (NetworkManager.conf(5), "Device List Format").
func named(list, name string) bool {
	is, onlyExceptions := false, true
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ';' || r == ',' }) {
		word = strings.TrimSpace(word)
		rest, isExcept := strings.CutPrefix(word, "except:")
		isMatch := namedBy(rest, name)
		if isExcept && isMatch {
			return false
		}
		is = is || isMatch && !isExcept
		onlyExceptions = onlyExceptions && (isExcept || word == "")
	}
	return is || onlyExceptions && strings.Contains(list, "except:")
}

// namedBy reports whether one specification of a list has a bridge.
func namedBy(spec, name string) bool {
	pattern, isName := strings.CutPrefix(spec, "interface-name:")
	exact, isExact := strings.CutPrefix(pattern, "=")
	matched, err := filepath.Match(strings.TrimPrefix(pattern, "~"), name)
	switch {
	case !isName:
		return spec == "*" || spec == "type:bridge" || spec == name
	case isExact:
		return exact == name
	}
	return matched && err == nil
}
