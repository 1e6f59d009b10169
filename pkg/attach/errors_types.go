package attach

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// DriftError reports what CHECK found: how records, prevResult and configuration differ from the kernel.
type DriftError struct {
	Found      []string // one clause for each difference; at least one
	Reloadable bool     // `patchbay reload` repairs some of them without touching a container
	Unrecorded bool     // no record exists: another plugin made the attachment, or the record was removed
	Settings   []string // commands that set the sysctls that the host needs
}

// Error returns the first difference.
func (e *DriftError) Error() string { return e.Found[0] }

// details returns the other differences and the remedy. The host's settings come before the attachment: ADD would leave them as
// they are.
func (e *DriftError) details() string {
	fix := "attachment, host and configuration no longer agree: call DEL and ADD again"
	if e.Reloadable {
		fix = "attachment, host and configuration no longer agree: run patchbay reload on this host, or call DEL and ADD again"
	}
	if len(e.Settings) > 0 {
		fix = "set it on the host: " + strings.Join(e.Settings, "; ")
	}
	if e.Unrecorded {
		fix = "if another plugin attached the container, let that plugin check it; if the record was removed, call DEL and ADD again"
	}
	if len(e.Found) == 1 {
		return fix
	}
	return "also: " + strings.Join(e.Found[1:], "; ") + "; " + fix
}

// Linux forwards an IPv4 packet if net.ipv4.conf.<interface>.forwarding is 1 on the interface that it arrives at. Writing
// ip_forward sets it on every existing interface and on "default". An interface that is set to 0 later, or is created while
// "default" is 0, does not forward although ip_forward is 1. Patchbay sets it to 1 on its own bridges only: an administrator may
// want a host whose uplink does not forward. ADD therefore succeeds, and STATUS fails with code 51 and the message of CHECK and
// doctor. IPv6 forwarding depends on net.ipv6.conf.all.forwarding alone.

// Limit is a setting of the host that limits the connectivity of attached containers.
type Limit struct {
	Says   string // what does not work, and for which containers
	Sysctl string // "net.ipv4.conf.eth0.forwarding"
	Want   string // the value that removes the limit
	Ours   bool   // Reload sets it
}

// Error returns Says with the evidence.
func (l *Limit) Error() string { return l.Says + ": " + l.Seen() }

// Seen returns the evidence: the sysctl and its present value.
func (l *Limit) Seen() string {
	return fmt.Sprintf("%s is %s", l.Sysctl, map[string]string{"0": "1", "1": "0"}[l.Want])
}

// Command returns the shell command that sets the sysctl.
func (l *Limit) Command() string {
	return printable.Command("sysctl", "-w", printable.Name(l.Sysctl)+"="+l.Want)
}

// notReadyError is the error of STATUS if every ADD fails: CNI code 50, or 51 if running containers suffer from the same cause.
type notReadyError struct {
	why     error
	limited bool
}

func (e *notReadyError) Error() string { return "no container can be attached: " + e.why.Error() }

func (e *notReadyError) Unwrap() error { return e.why }

// limitedError is the error of STATUS, with CNI code 51, if ADD succeeds and the connectivity of the container is limited.
type limitedError struct{ why error }

func (e *limitedError) Error() string {
	return "containers have limited connectivity: " + e.why.Error()
}

func (e *limitedError) Unwrap() error { return e.why }

// noAddressError is store.ErrExhausted in STATUS. It has its own remedy, because statusOnFull applies to STATUS only.
type noAddressError struct{ error }

func (e noAddressError) Unwrap() error { return e.error }

func (e noAddressError) Is(target error) bool { return target == errNoAddress }
