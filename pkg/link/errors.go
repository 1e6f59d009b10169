package link

import "errors"

// Sentinel errors. An error that wraps one names the object first: "bridge br0: no free port".
var (
	ErrNotFound    = errors.New("no such interface")
	ErrExists      = errors.New("name already in use")
	ErrVanished    = errors.New("interface deleted by another process")
	ErrNotBridge   = errors.New("not a bridge")
	ErrNotOwned    = errors.New("not owned by this attachment")
	ErrBridgeFull  = errors.New("no free port")          // Linux has 1023 of them (BR_PORT_BITS 10)
	ErrClash       = errors.New("conflicting addresses") // on a bridge, without forceAddress
	ErrNoNetns     = errors.New("no such network namespace")
	ErrNotNetns    = errors.New("not a network namespace")
	ErrHostNetns   = errors.New("the network namespace of the host")
	ErrUnfinished  = errors.New("not ready") // an address that the kernel has not activated yet
	ErrDADFailed   = errors.New("in use by another host on the link")
	ErrNetns       = errors.New("inaccessible network namespace")
	ErrSysctl      = errors.New("sysctl not writable") // wrapped by a *SysctlError
	ErrRouteExists = errors.New("route to that destination already present")
	ErrLocked      = errors.New("locked by another process")
)

// netnsError is the kernel's error for opening or entering a network namespace. It wraps ErrNetns.
//
// setns(2) fails with EPERM if the process lacks CAP_SYS_ADMIN in the user namespace that
// owns the network namespace (rootless containers), and open(2) with EACCES if it may not
// follow /proc/PID/ns/net (PTRACE_MODE_READ, ptrace(2)). Neither says that the namespace is
// gone, so DEL must not conclude it.
type netnsError struct {
	doing string
	err   error
}

func (e *netnsError) Error() string   { return e.doing + ": " + e.err.Error() }
func (e *netnsError) Unwrap() []error { return []error{ErrNetns, e.err} }
