package overlay

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Watch is a subscription to changes of the devices of the overlay and of their entries, also by this process, in one network namespace.
type Watch struct {
	socket *nlsock.Socket

	mu      sync.Mutex
	devices []int
}

// receiveBuffer, in bytes, holds the notifications of the entries of a few thousand nodes.
const receiveBuffer = 4 << 20

// OpenWatch subscribes, in the network namespace of the calling thread. Close it when done.
func OpenWatch() (*Watch, error) {
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH)
	if err != nil {
		return nil, fmt.Errorf("watch the overlay: %w", err)
	}
	s.SetReceiveBuffer(receiveBuffer)
	return &Watch{socket: s}, nil
}

// Close ends the subscription.
func (w *Watch) Close() { w.socket.Close() }

// Follow sets the devices, by their indexes, whose entries are watched. It may be called while another goroutine is in Next.
func (w *Watch) Follow(devices []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.devices = devices
}

// Next waits for a change. It also returns if notifications were lost.
func (w *Watch) Next() error {
	for {
		all, lost, err := w.socket.Notifications()
		if err != nil {
			return fmt.Errorf("watch the overlay: %w", err)
		}
		if lost {
			return nil
		}
		for m := range all {
			if w.concerns(m) {
				return nil
			}
		}
	}
}

// concerns reports whether a notification is about a device of the overlay.
func (w *Watch) concerns(m nlsock.Message) bool {
	switch m.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.Data) < unix.SizeofIfInfomsg {
			return false
		}
		name := unix.ByteSliceToString(nlsock.Attribute(m.Data[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME))
		return name == cluster.Overlay4 || name == cluster.Overlay6
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if len(m.Data) < headerSize {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Contains(w.devices, int(binary.NativeEndian.Uint32(m.Data[4:])))
	}
	return false
}
