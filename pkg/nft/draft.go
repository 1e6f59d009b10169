package nft

import (
	"io"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
)

// draft is a transaction that the library writes and commit makes. The library's own way to make it
// (Conn.Flush) waits for an answer to each message, and where memory is short the kernel answers
// once for all: an ADD would wait for the end of its patience. The library lets somebody else send
// what it wrote only as for a test.
type draft struct {
	*nftables.Conn
	extra  []netlink.Message // that the library cannot write; they come last
	answer error             // of the last transaction
}

// draft begins one, with a buffer for the table of a large host.
func (r *Ruleset) draft() (*draft, error) {
	r.conn.room(1 << 20)
	d := &draft{}
	send := func(batch []netlink.Message) ([]netlink.Message, error) {
		if len(batch) < 2 { // a look for answers, of which there are none
			return nil, io.EOF
		}
		messages := batch[1 : len(batch)-1] // commit has its own begin and end
		for i := range messages {
			h := &messages[i].Header
			h.Sequence, h.PID = 0, 0
			h.Flags &^= netlink.Echo // that a rule is told as it was made: the one answer to each is the acknowledgement
		}
		d.answer = r.commit(append(messages, d.extra...))
		d.extra = nil
		return nil, io.EOF
	}
	var err error
	d.Conn, err = nftables.New(nftables.WithTestDial(send))
	return d, err
}

// flush makes what was written since the last flush: all, or nothing and the first error.
func (d *draft) flush() error {
	d.answer = nil
	if len(d.extra) > 0 { // the library sends nothing where it has written nothing
		d.AddTable(table())
	}
	if err := d.Flush(); err != nil {
		return err // it could not be written
	}
	return d.answer
}
