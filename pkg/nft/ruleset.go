package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/kmod"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Ruleset is a connection to the ruleset of one network namespace, the host's. It is
// not safe for concurrent use.
type Ruleset struct {
	conn *nfnl.Conn
}

// Open connects to the ruleset of the calling thread's network namespace. Close it
// when done. The error wraps ErrUnsupported if the kernel has no nfnetlink.
func Open() (*Ruleset, error) {
	unlock, missing := kmod.Lock("nf_tables")
	defer unlock()
	conn, err := nfnl.Open()
	if nfnl.IsUnsupported(err) {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket to nftables: %w", err)
	}
	r := &Ruleset{conn: conn}
	if missing { // any request loads it, while no other process asks for it; whether it did is found by later requests
		_ = r.Supported()
	}
	return r, nil
}

// Close closes the socket. After a transaction that removed something it blocks for
// an RCU grace period, 10 ms and more (docs/architecture.md#what-the-kernel-costs).
func (r *Ruleset) Close() { r.conn.Close() }

// Supported returns ErrUnsupported if the kernel has no nf_tables. It changes
// nothing.
func (r *Ruleset) Supported() error {
	_, err := r.conn.Generation()
	if nfnl.IsUnsupported(err) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// unchanged calls read until the ruleset does not change meanwhile, and reports
// whether it succeeded: see nfnl.Conn.ReadConsistently.
func (r *Ruleset) unchanged(read func() error) (bool, error) {
	return r.conn.ReadConsistently(func() (bool, error) { return false, read() })
}

// ask sends a request that only reads. Flags are 0 for one answer, NLM_F_DUMP for a
// list.
func (r *Ruleset) ask(kind, flags uint16, family byte, attributes []byte) ([]nlsock.Message, error) {
	return r.conn.Ask(nfnl.NftablesRequest(kind, flags, family, attributes))
}

// commit makes all changes in one transaction, or none and returns the first error.
// EOPNOTSUPP is the answer for a family or an expression type whose module is not
// available.
func (r *Ruleset) commit(messages []nlsock.Message) error {
	err := r.conn.Commit(messages)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}
