package nfnl

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// groupNftables is NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h), which package unix lacks.
const groupNftables = 7

// changesBuffer is the size in bytes of the receive buffer of Changes: the kernel notifies every element of a table that is
// deleted.
const changesBuffer = 8 << 20

// Object is an object of a ruleset that a transaction deleted or created.
type Object struct {
	Kind   uint16 // unix.NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET, DELSETELEM or NEWCHAIN
	Family byte   // unix.NFPROTO_*
	Table  string
	Chain  string // of a rule or a chain, else ""
}

// Transaction is what one transaction of nftables changed, and who made it.
type Transaction struct {
	Removed []Object
	Chains  []Object // that it created, or whose policy it set
	PID     int      // of the thread, in the initial PID namespace; 0 if the kernel does not say
	Program string   // its comm, at most 15 bytes: any process chooses its own
}

// Changes is a subscription to the transactions of nftables in a network namespace. It is not safe for concurrent use.
type Changes struct {
	socket *nlsock.Socket
	now    Transaction // the part of a transaction that has been read
}

// OpenChanges subscribes to the transactions in the namespace of the calling thread (NFNLGRP_NFTABLES). Close it when done.
// Errors are those of Open.
func OpenChanges() (*Changes, error) {
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_NETFILTER, groupNftables)
	if err != nil {
		return nil, err
	}
	s.SetReceiveBuffer(changesBuffer)
	return &Changes{socket: s}, nil
}

// FD returns the file descriptor, for poll(2).
func (c *Changes) FD() int { return c.socket.FD() }

// Close ends the subscription.
func (c *Changes) Close() { c.socket.Close() }

// Read reads one datagram that FD has announced, and returns the transactions that ended with it, in order: the kernel ends
// each with the number of its generation. The error wraps ENOBUFS if notifications were lost; Read can be called again.
func (c *Changes) Read() (ended []Transaction, err error) {
	c.socket.SetDeadline(time.Now().Add(time.Second))
	datagram, err := c.socket.Receive()
	if err != nil {
		c.now = Transaction{}
		return nil, fmt.Errorf("read changes of nftables: %w", err)
	}
	for m := range nlsock.Messages(datagram) {
		if m.Type>>8 != unix.NFNL_SUBSYS_NFTABLES {
			continue
		}
		if kind := m.Type & 0xff; kind == unix.NFT_MSG_NEWGEN {
			c.now.PID, c.now.Program = process(m)
			ended = append(ended, c.now)
			c.now = Transaction{}
		} else if isRemoval(kind) {
			c.now.Removed = append(c.now.Removed, object(kind, m))
		} else if kind == unix.NFT_MSG_NEWCHAIN {
			c.now.Chains = append(c.now.Chains, object(kind, m))
		}
	}
	return ended, nil
}

// isRemoval reports whether a message is about an object that was deleted.
func isRemoval(kind uint16) bool {
	switch kind {
	case unix.NFT_MSG_DELTABLE, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_DELRULE, unix.NFT_MSG_DELSET, unix.NFT_MSG_DELSETELEM:
		return true
	}
	return false
}

// object reads a message. The name of the table is the first attribute of each kind (linux/netfilter/nf_tables.h).
func object(kind uint16, m nlsock.Message) Object {
	r := Object{Kind: kind, Family: Family(m), Table: text(m, unix.NFTA_TABLE_NAME)}
	switch kind {
	case unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_NEWCHAIN:
		r.Chain = text(m, unix.NFTA_CHAIN_NAME)
	case unix.NFT_MSG_DELRULE:
		r.Chain = text(m, unix.NFTA_RULE_CHAIN)
	}
	return r
}

// process returns the process that NFT_MSG_NEWGEN names (Linux 4.12).
func process(m nlsock.Message) (pid int, program string) {
	if value := nlsock.Attribute(Attributes(m), unix.NFTA_GEN_PROC_PID); len(value) == 4 {
		pid = int(value[0])<<24 | int(value[1])<<16 | int(value[2])<<8 | int(value[3])
	}
	return pid, text(m, unix.NFTA_GEN_PROC_NAME)
}

// text returns a string attribute, "" if there is none.
func text(m nlsock.Message, kind int) string {
	value, _, _ := bytes.Cut(nlsock.Attribute(Attributes(m), kind), []byte{0})
	return string(value)
}
