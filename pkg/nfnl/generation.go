package nfnl

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// generationOf reads an answer to NFT_MSG_GETGEN.
func generationOf(answers []nlsock.Message) (n uint32) {
	for _, answer := range answers {
		for kind, value := range nlsock.Attributes(Attributes(answer)) {
			if kind == unix.NFTA_GEN_ID && len(value) == 4 {
				n = uint32(value[0])<<24 | uint32(value[1])<<16 | uint32(value[2])<<8 | uint32(value[3])
			}
		}
	}
	return n
}

// Generation returns the number of the ruleset, which every transaction of any program increments.
func (c *Conn) Generation() (uint32, error) {
	answers, err := c.Ask(NftablesRequest(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC, nil))
	if err != nil {
		return 0, fmt.Errorf("get generation of nftables: %w", err)
	}
	return generationOf(answers), nil
}

// attempts is how often ReadConsistently reads at most. Every ADD and DEL of the host changes the
// generation, so on a busy host it may change at every attempt.
const attempts = 10

// awaitCommit returns when no transaction is being committed. nf_tables_commit increments the generation
// first, makes the new objects visible after that and unlinks the old ones last: of a table that is
// being replaced, a dump of a chain finds the old table, which has no visible rules any more, while the
// generation stays the same. An empty transaction takes the lock that commits hold (commit_mutex, Linux
// 4.19) and changes nothing, the generation included. The kernel has done it when sendto(2) returns; an
// error, such as EPERM, is an answer that the next request skips.
func (c *Conn) awaitCommit() error {
	if _, err := c.Send(transaction(nil)...); err != nil {
		return fmt.Errorf("send empty transaction: %w", err)
	}
	return nil
}

// ReadConsistently calls read until the ruleset did not change during a call, so that all requests of
// the call, and all parts of a dump, are answered from one ruleset; or until read reports that what it
// found is final nevertheless. It returns the error of the last call, and false if the ruleset changed
// during each one.
//
// The first generation is read before it is certain that no transaction is being committed, and the
// second one after that is certain again. So a commit that overlaps the call is one that began after
// the first wait and ended before the second one did: the two differ, whether the kernel increments the
// generation before the changes become visible or after that.
func (c *Conn) ReadConsistently(read func() (final bool, err error)) (consistent bool, err error) {
	for range attempts {
		before, failed := c.Generation()
		if failed == nil {
			failed = c.awaitCommit()
		}
		if failed != nil {
			return false, failed
		}
		var final bool
		final, err = read()
		if final && err == nil {
			return true, nil
		}
		if failed = c.awaitCommit(); failed != nil {
			return false, failed
		}
		after, failed := c.Generation()
		if failed != nil {
			return false, failed
		}
		if before == after {
			return true, err
		}
	}
	return false, err
}
