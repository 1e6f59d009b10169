package nfnl_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// inHost runs a test with a socket in a network namespace of its own.
func inHost(t *testing.T, run func(c *nfnl.Conn)) {
	t.Helper()
	h := nettest.Host(t)
	h.Allow("nft ")
	h.Do(func() {
		c, err := nfnl.Open()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		run(c)
	})
}

// aboutTable is a message about the table of a name.
func aboutTable(kind, flags uint16, name string) nlsock.Message {
	attributes, _ := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(name), 0)}})
	return nfnl.Request(nfnl.Header{Subsystem: unix.NFNL_SUBSYS_NFTABLES, Kind: kind, Flags: flags, Family: unix.NFPROTO_INET}, attributes)
}

func tables(t *testing.T, c *nfnl.Conn) int {
	t.Helper()
	answers, err := c.Ask(nfnl.Request(nfnl.Header{Subsystem: unix.NFNL_SUBSYS_NFTABLES, Kind: unix.NFT_MSG_GETTABLE, Flags: unix.NLM_F_DUMP}, nil))
	if err != nil {
		t.Error(err)
	}
	for _, a := range answers {
		if nfnl.Family(a) != unix.NFPROTO_INET || len(nfnl.Attributes(a)) == 0 {
			t.Errorf("got %+v", a)
		}
	}
	return len(answers)
}

func TestCommit(t *testing.T) {
	inHost(t, func(c *nfnl.Conn) {
		add := func(name string) nlsock.Message {
			return aboutTable(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, name)
		}
		if err := c.Commit(nil); err != nil {
			t.Errorf("no message: %v", err)
		}
		if err := c.Commit([]nlsock.Message{add("a"), add("b")}); err != nil || tables(t, c) != 2 {
			t.Errorf("two tables: %v, %d tables", err, tables(t, c))
		}
		for name, messages := range map[string][]nlsock.Message{
			"first message fails": {add("a"), add("c")},
			"last message fails":  {add("c"), add("a")},
			"both messages fail":  {add("a"), aboutTable(unix.NFT_MSG_DELTABLE, 0, "d")},
		} {
			if err := c.Commit(messages); !errors.Is(err, unix.EEXIST) || tables(t, c) != 2 {
				t.Errorf("%s: got %v and %d tables, want EEXIST and 2", name, err, tables(t, c))
			}
		}
	})
}

func TestReadConsistently(t *testing.T) {
	inHost(t, func(c *nfnl.Conn) {
		made := 0
		change := func() {
			made++
			if err := c.Commit([]nlsock.Message{aboutTable(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, fmt.Sprint("t", made))}); err != nil {
				t.Error(err)
			}
		}
		for name, tc := range map[string]struct {
			changes, finalAt, failsUntil int // the number of the read up to which, or at which
			reads                        int
			consistent                   bool
		}{
			"no change":                       {reads: 1, consistent: true},
			"change during the first read":    {changes: 1, reads: 2, consistent: true},
			"change during each read":         {changes: 100, reads: 10},
			"final although changed":          {changes: 100, finalAt: 3, reads: 3, consistent: true},
			"failed reads are not final":      {changes: 100, finalAt: 1, failsUntil: 2, reads: 3, consistent: true},
			"failed because of a change":      {changes: 2, failsUntil: 2, reads: 3, consistent: true},
			"failed without any change":       {failsUntil: 100, reads: 1, consistent: true},
			"failed, and change at each read": {changes: 100, failsUntil: 100, reads: 10},
		} {
			reads := 0
			consistent, err := c.ReadConsistently(func() (final bool, err error) {
				reads++
				if reads <= tc.changes {
					change()
				}
				if reads <= tc.failsUntil {
					err = unix.ENOENT
				}
				return tc.finalAt > 0 && reads >= tc.finalAt, err
			})
			if failed := reads <= tc.failsUntil; reads != tc.reads || consistent != tc.consistent || errors.Is(err, unix.ENOENT) != failed {
				t.Errorf("%s: %d reads, consistent %v, %v", name, reads, consistent, err)
			}
		}
	})
}

// A subsystem that the kernel does not have.
func TestIsUnsupported(t *testing.T) {
	inHost(t, func(c *nfnl.Conn) {
		if _, err := c.Ask(nfnl.Request(nfnl.Header{Subsystem: 100}, nil)); !nfnl.IsUnsupported(err) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Ask(aboutTable(unix.NFT_MSG_GETTABLE, 0, "a")); err == nil || nfnl.IsUnsupported(err) {
			t.Errorf("a table that does not exist: %v", err)
		}
	})
}
