package link

import "errors"

// What callers tell apart. Each is wrapped in a sentence that names the thing.
var (
	ErrNotFound    = errors.New("does not exist")
	ErrExists      = errors.New("exists already")
	ErrNotBridge   = errors.New("is not a bridge")
	ErrForeign     = errors.New("belongs to somebody else")
	ErrBridgeFull  = errors.New("has no port left")    // Linux has 1023 of them (BR_PORT_BITS 10)
	ErrClash       = errors.New("has other addresses") // on the bridge, without forceAddress
	ErrNoNetns     = errors.New("no such network namespace")
	ErrNotNetns    = errors.New("is not a network namespace")
	ErrHostNetns   = errors.New("is the host's own network namespace")
	ErrUnfinished  = errors.New("is not usable") // yet: the kernel has not finished an address
	ErrDADFailed   = errors.New("is in use by another host on the link")
	ErrRouteExists = errors.New("a route to that destination exists already")
)
