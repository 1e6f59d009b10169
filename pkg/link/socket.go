package link

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// socket is a netlink socket for the requests of an ADD. vishvananda/netlink encodes them; its own
// sockets are too slow there, see pkg/nlsock.
type socket struct{ *nlsock.Socket }

// openSocket opens an rtnetlink socket in a network namespace, subscribed to the notifications of
// groups (RTNLGRP_*, at most 32).
func openSocket(in namespace, groups ...uint) (socket, error) {
	s, err := nlsock.OpenIn(in.socket, unix.NETLINK_ROUTE, groups...)
	return socket{s}, err
}

// execute sends a request and calls answer, which may be nil, with the body of each answer; the body is
// valid during the call. Errors wrap the errno and have the kernel's text, or are
// netlink.ErrDumpInterrupted as those of the library's own dumps are.
func (s socket) execute(req *nl.NetlinkRequest, answer func(body []byte)) error {
	request := nlsock.Message{Type: req.Type, Flags: req.Flags, Data: req.Serialize()[unix.NLMSG_HDRLEN:]}
	for m, err := range s.Execute(request) {
		if errors.Is(err, nlsock.ErrInterrupted) {
			return netlink.ErrDumpInterrupted
		}
		if err != nil {
			return err
		}
		if answer != nil {
			answer(m.Data)
		}
	}
	return nil
}
