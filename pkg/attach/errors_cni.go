package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// CNIError converts an error of this package to the error object of CNI SPEC.md section "Error": code, msg (one clause that names
// the object) and details (the evidence, then the remedy). Names in them come from callers and other programs, so unprintable
// characters are escaped and long texts cut.
func CNIError(err error) *types.Error {
	e := cniError(err)
	return types.NewError(e.Code, printable.Text(e.Msg, report.MaxText), printable.Text(e.Details, maxDetails))
}

// maxDetails is the longest text of details in characters. A delegated plugin may print any amount of text; see report.MaxText.
const maxDetails = 8000

func cniError(err error) *types.Error {
	var mistake *config.Error
	if errors.As(err, &mistake) {
		return types.NewError(codeOf(mistake.Kind), mistake.Msg, mistake.Details)
	}
	var drift *DriftError
	if errors.As(err, &drift) {
		return types.NewError(CodeDrift, drift.Error(), drift.details())
	}
	var plugin *delegate.Error
	if errors.As(err, &plugin) && plugin.Code != 0 {
		return types.NewError(plugin.Code, report.OneLine(err), plugin.Details)
	}
	c := causeOf(err)
	var notReady *notReadyError
	switch {
	case errors.As(err, new(*limitedError)):
		c.code = types.ErrLimitedConnectivity
	case errors.As(err, &notReady) && notReady.limited:
		c.code = types.ErrLimitedConnectivity
	case errors.As(err, &notReady):
		c.code = types.ErrPluginNotAvailable
	}
	return types.NewError(c.code, report.OneLine(err), c.fix)
}

func causeOf(err error) cause {
	var undone *undoError
	if errors.As(err, &undone) {
		c := causeOf(undone.err)
		c.fix = undone.fix(c)
		return c
	}
	for _, marked := range []func(error) (cause, bool){causeOfTuning, causeOfSysctl, causeOfLock} {
		if c, is := marked(err); is {
			return c
		}
	}
	for _, c := range causes() {
		if errors.Is(err, c.is) {
			return c
		}
	}
	var plugin *delegate.Error
	if errors.As(err, &plugin) {
		return ipamCause(plugin)
	}
	return causeOfObject(err)
}

func codeOf(kind config.Kind) uint {
	switch kind {
	case config.Undecodable:
		return types.ErrDecodingFailure
	case config.Unsupported:
		return types.ErrUnsupportedField
	case config.Environment:
		return types.ErrInvalidEnvironmentVariables
	case config.Version:
		return types.ErrIncompatibleCNIVersion
	}
	return types.ErrInvalidNetworkConfig
}

// ipamCause is for a delegated IPAM plugin that failed without printing an error object.
func ipamCause(e *delegate.Error) cause {
	code, fix := uint(CodeIPAM), "read the log of that plugin; call DEL to release what it may have reserved"
	switch {
	case errors.Is(e, delegate.ErrName):
		code, fix = types.ErrInvalidNetworkConfig, "set ipam.type to the file name of a plugin, without a path"
	case errors.Is(e, delegate.ErrNoTime):
		code, fix = types.ErrTryAgainLater, "find out what took so long, then call again"
	case !e.Started:
		fix = `check its name and CNI_PATH, install a plugin for this architecture there, or set ipam.type to "` + config.TypeName + `", which is built in`
	case errors.Is(e, delegate.ErrTimeout):
		code, fix = types.ErrTryAgainLater, "find out what the plugin waits for, then call again"
	}
	if e.Details != "" {
		fix = e.Details + "; " + fix
	}
	return cause{e, code, fix}
}

// The remedy follows from the object that an error is about, and only then from the errno: EACCES on a state file, on a sysctl
// and on a network namespace need three different remedies. Sysctls (link.SysctlError), namespaces (link.ErrNetns) and configured
// files (errResolvConf) are wrapped where they are opened. Any other error with a path is about a state file, and one without a
// path is the kernel's response to a netlink request.

// causeOfObject is for errors that match no row of causes.
func causeOfObject(err error) cause {
	var errno syscall.Errno
	errors.As(err, &errno)
	if errno == syscall.EAGAIN { // of a lock of another program, such as /run/xtables.lock
		return cause{err, types.ErrTryAgainLater, "wait until the program that holds the lock ends (fuser -v), then call again"}
	}
	if errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) {
		return cause{err, types.ErrIOFailure, fixOfState(errno)}
	}
	code := uint(types.ErrInternal)
	if errno == syscall.ENOMEM || errno == syscall.ENOBUFS {
		code = types.ErrTryAgainLater
	}
	return cause{err, code, fixOfKernel(errno)}
}

// fixOfState returns the remedy for a file or directory below stateDir, ipam.dataDir or /var/lib/patchbay.
func fixOfState(errno syscall.Errno) string {
	switch errno {
	case syscall.ENOSPC, syscall.EDQUOT:
		return "free space or inodes in the file system of the state directory (df -h, df -i)"
	case syscall.EROFS:
		return "set stateDir and ipam.dataDir to writable directories"
	case syscall.EACCES, syscall.EPERM:
		return "run as root, or set stateDir and ipam.dataDir to writable directories; in a user namespace, mount a tmpfs on /run"
	}
	return "check the type and the parent directory of that path"
}

// fixOfKernel returns the remedy for a netlink request that the kernel refused.
func fixOfKernel(errno syscall.Errno) string {
	switch errno {
	case syscall.EPERM:
		return fixPrivileges + fixUserNamespace
	case syscall.EACCES:
		return "a security module of the kernel refused it: read its log (SELinux: ausearch -m avc; AppArmor: dmesg)"
	case syscall.EOPNOTSUPP, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT:
		return "load the kernel module (modprobe bridge veth) as root of the host; a container or a user namespace cannot load modules"
	case syscall.ENOMEM, syscall.ENOBUFS:
		return "the kernel had no memory for the request: call again, and read dmesg if the error persists"
	}
	return "the kernel refused the request: call again, and read dmesg if the error persists"
}

// causeOfSysctl names the command that sets the sysctl, whatever the errno: EROFS, EACCES and EPERM all mean that this process
// may not write below /proc/sys, while root of the host may.
func causeOfSysctl(err error) (cause, bool) {
	var limit *Limit
	if errors.As(err, &limit) {
		return cause{err, CodeSysctl, limit.Command() + " as root of the host, and in /etc/sysctl.d"}, true
	}
	var unset *link.SysctlError
	if !errors.As(err, &unset) {
		return cause{}, false
	}
	fix := printable.Command("sysctl", "-w", printable.Name(unset.Name)+"="+unset.Want) + " as root of the host"
	if errors.As(unset.Err, new(syscall.Errno)) { // a write was tried
		fix += ", or let the plugin write below /proc/sys"
	}
	switch {
	case errors.Is(err, errNoRouter):
		fix += "; a network without isGateway and isDefaultGateway needs no forwarding"
	case errors.Is(err, link.ErrIPv6Switch):
		fix += "; or remove the IPv6 ranges from the network"
	}
	return cause{err, CodeSysctl, fix}, true
}

// causeOfTuning is for a sysctl of the container (key sysctl). EINVAL and ENOENT follow from the configuration; the others mean that
// the kernel shows a sysctl of the whole host there, or that this process may not write below /proc/sys.
func causeOfTuning(err error) (cause, bool) {
	var tune *link.TuneError
	if !errors.As(err, &tune) {
		return cause{}, false
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EISDIR), errors.Is(err, link.ErrNotNet):
		return cause{err, types.ErrInvalidNetworkConfig, "correct the name, or load the kernel module that has it; a sysctl of the whole host does not exist in a container"}, true
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ERANGE):
		return cause{err, types.ErrInvalidNetworkConfig, "set it to a value that the kernel accepts"}, true
	}
	return cause{err, CodeSysctl, "remove it if it is a sysctl of the whole host, which a container cannot change; let the plugin write below /proc/sys"}, true
}

// causeOfLock names the process that holds a lock. A stopped one (SIGSTOP, a debugger) never releases it, so the remedy differs.
func causeOfLock(err error) (cause, bool) {
	var busy *store.BusyError
	if !errors.As(err, &busy) {
		return cause{}, false
	}
	const again = ", then call again"
	who := fmt.Sprintf("process %d", busy.PID)
	if busy.Command != "" {
		who += " (" + printable.Text(busy.Command, 32) + ")"
	}
	switch {
	case busy.PID == 0:
		return cause{err, types.ErrTryAgainLater, "wait until the other process ends" + again}, true
	case busy.Stopped:
		resume := printable.Command("kill", "-CONT", strconv.Itoa(busy.PID))
		fix := who + " holds the lock and is stopped: continue it (" + resume + ") or end it" + again
		return cause{err, types.ErrTryAgainLater, fix}, true
	}
	return cause{err, types.ErrTryAgainLater, who + " holds the lock: wait until it ends" + again}, true
}
