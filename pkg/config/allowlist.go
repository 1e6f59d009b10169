package config

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// SysctlAllowList is the file of the reference plugin tuning with the sysctls that networks may set. If it
// does not exist, every sysctl of a network namespace is allowed.
const SysctlAllowList = "/etc/cni/tuning/allowlist.conf"

// CheckAllowed returns an *Error unless each sysctl matches a line of the allow list, as it is configured:
// with its dots, and with IFNAME. A line is a regular expression that matches a part of it, unless ^ and $
// anchor it; empty lines are ignored. A list without a line allows none. Lines that the pattern syntax of
// this package lacks are an error, if no line before them matches.
func (t Tuning) CheckAllowed(list []byte) error {
	for _, sysctl := range t.Sysctls {
		if bad := allowed(sysctl.Key, string(list)); bad != nil {
			return bad
		}
	}
	return nil
}

func allowed(key, list string) *Error {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		p, err := parsePattern(line)
		if err != nil {
			return invalid("sysctl", "correct that line; it may have literals, ., [...], (...), |, *, +, ?, {n,m}, ^ and $",
				"%s has the line %s: %v", SysctlAllowList, printable.Text(line, maxShownLine), err)
		}
		if p.matches(key) {
			return nil
		}
	}
	return invalid("sysctl", fmt.Sprintf("remove the key, or add a line for it to that file: ^%s$", strings.ReplaceAll(key, ".", `\.`)),
		"%q is not allowed by %s", key, SysctlAllowList)
}

// maxShownLine is how many characters of a line of the list an error has.
const maxShownLine = 80
