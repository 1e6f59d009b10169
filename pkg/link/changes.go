package link

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Changes is a subscription to changes of interfaces, addresses and routes: of the network namespace of the process and, with
// CAP_NET_BROADCAST in it, of every namespace that has an ID in it, as those of containers have. For a program that shows them;
// what has changed is found by reading all again.
type Changes struct {
	socket *nlsock.Socket
}

// OpenChanges subscribes. Close it when done.
func OpenChanges() (*Changes, error) {
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, err
	}
	// Without the privilege a change inside of a container is not notified: that of its host interface still is.
	_ = unix.SetsockoptInt(s.FD(), unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	return &Changes{s}, nil
}

// OpenHostChanges subscribes to changes of interfaces, addresses and forwarding, of the network namespace of the process.
// Close it when done.
func OpenHostChanges() (*Changes, error) {
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF)
	if err != nil {
		return nil, err
	}
	return &Changes{s}, nil
}

// FD returns the file descriptor, for poll(2).
func (c *Changes) FD() int { return c.socket.FD() }

// Wait waits for a notification and drops it. It returns nil also after atMost, and if notifications were lost.
func (c *Changes) Wait(atMost time.Duration) error { return c.socket.Wait(atMost) }

// Close ends the subscription.
func (c *Changes) Close() { c.socket.Close() }
