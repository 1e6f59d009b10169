package uplink

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Kernel is a connection to rtnetlink in the network namespace of the process.
type Kernel struct {
	socket *nlsock.Socket
}

// Open opens the connection. Close it when done.
func Open() (*Kernel, error) {
	s, err := nlsock.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	return &Kernel{socket: s}, nil
}

// Close closes the connection.
func (k *Kernel) Close() { k.socket.Close() }

// send sends a request that changes something, and returns the kernel's error.
func (k *Kernel) send(kind, flags uint16, body []byte) error {
	for _, err := range k.socket.Execute(nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | flags, Data: body}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// dump returns the bodies of the messages that the kernel answers to a dump request with this body, in its order. It
// is repeated if something changes meanwhile.
func (k *Kernel) dump(kind uint16, body []byte) ([][]byte, error) {
	for attempt := 0; ; attempt++ {
		var all [][]byte
		var failed error
		for m, err := range k.socket.Execute(nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: body}) {
			if err != nil {
				failed = err
				break
			}
			all = append(all, bytes.Clone(m.Data))
		}
		if errors.Is(failed, nlsock.ErrInterrupted) && attempt < 10 {
			continue
		}
		if errors.Is(failed, unix.EAFNOSUPPORT) || errors.Is(failed, unix.EOPNOTSUPP) {
			return nil, nil // a kernel without IPv6, or without policy rules
		}
		return all, failed
	}
}

// query returns the body of a dump request for a family of addresses.
func query(kind uint16, family byte) []byte {
	body := make([]byte, header(kind))
	body[0] = family
	return body
}

// await calls done, and again after each notification of the groups, until it returns true or an error, or the time
// is over: then the error wraps ErrTimeout.
func await(groups []uint, atMost time.Duration, done func() (bool, error)) error {
	events, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE, groups...)
	if err != nil {
		return err
	}
	defer events.Close()
	for until := time.Now().Add(atMost); ; {
		over, err := done()
		if over || err != nil {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return fmt.Errorf("%w after %v", ErrTimeout, atMost)
		}
		if err := events.Wait(min(left, time.Second)); err != nil && !errors.Is(err, unix.EINTR) { // it was stopped for longer
			return err
		}
	}
}

// ErrTimeout is wrapped by the errors of waits for the kernel or for a gateway.
var ErrTimeout = errors.New("no answer")

// families are those of addresses, routes and rules, in the order in which they are listed.
func families() []byte { return []byte{unix.AF_INET, unix.AF_INET6} }
