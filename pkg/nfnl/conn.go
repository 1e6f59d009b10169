package nfnl

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Conn is a socket for nfnetlink. It is not safe for concurrent use.
type Conn struct{ *nlsock.Socket }

// Open opens a socket in the network namespace of the calling thread. Close it when done. On a kernel
// without nfnetlink IsUnsupported is true of the error.
func Open() (*Conn, error) {
	s, err := nlsock.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	return &Conn{s}, nil
}

// IsUnsupported reports whether an error of Open, or of a request that only reads, means that the
// kernel lacks nfnetlink (EPROTONOSUPPORT, EAFNOSUPPORT) or the subsystem of the request: nfnetlink
// answers EINVAL for one that is not registered, the subsystem EOPNOTSUPP for an address family.
func IsUnsupported(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) ||
		errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// Ask sends a request and returns its answers: one, or a list if the flags have NLM_F_DUMP. A dump that
// the kernel marks as interrupted is no error here: the mark says that the generation changed, which
// ReadConsistently finds out for several requests together.
func (c *Conn) Ask(request nlsock.Message) (answers []nlsock.Message, err error) {
	for m, err := range c.Execute(request) {
		if errors.Is(err, nlsock.ErrInterrupted) {
			return answers, nil
		}
		if err != nil {
			return nil, err
		}
		m.Data = append([]byte(nil), m.Data...)
		answers = append(answers, m)
	}
	return answers, nil
}
