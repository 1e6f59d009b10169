package nlsock_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// open opens an rtnetlink socket, which every user may.
func open(t *testing.T, groups ...uint) *nlsock.Socket {
	t.Helper()
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE, groups...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// getLink is a request for one interface by its index, or for all of them with NLM_F_DUMP.
func getLink(flags uint16, index uint32) nlsock.Message {
	return nlsock.Message{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_REQUEST | flags, Data: bytesOf(0, index, 0, 0)}
}

// names executes a request and returns the names of the interfaces in its answers.
func names(s *nlsock.Socket, request nlsock.Message) (all []string, err error) {
	for m, err := range s.Execute(request) {
		if err != nil {
			return all, err
		}
		for kind, value := range nlsock.Attributes(m.Data[unix.SizeofIfInfomsg:]) {
			if kind == unix.IFLA_IFNAME {
				all = append(all, unix.ByteSliceToString(value))
			}
		}
	}
	return all, nil
}

func TestExecute(t *testing.T) {
	s := open(t)
	for range 2 {
		if got, err := names(s, getLink(0, 1)); err != nil || !slices.Equal(got, []string{"lo"}) {
			t.Errorf("one interface: got %q, %v", got, err)
		}
		if got, err := names(s, getLink(unix.NLM_F_ACK, 1)); err != nil || !slices.Equal(got, []string{"lo"}) {
			t.Errorf("one interface, acknowledged: got %q, %v", got, err)
		}
		if got, err := names(s, getLink(unix.NLM_F_DUMP, 0)); err != nil || !slices.Contains(got, "lo") {
			t.Errorf("dump: got %q, %v", got, err)
		}
		if got, err := names(s, getLink(0, 1<<30)); !errors.Is(err, unix.ENODEV) || len(got) > 0 {
			t.Errorf("no such interface: got %q, %v, want ENODEV", got, err)
		}
	}
}

// A reader may give up within an answer: the next request has its own answers.
func TestExecuteAfterABreak(t *testing.T) {
	s := open(t)
	for range s.Execute(getLink(unix.NLM_F_ACK, 1)) {
		break
	}
	if got, err := names(s, getLink(0, 1)); err != nil || !slices.Equal(got, []string{"lo"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrorHasTheKernelsText(t *testing.T) {
	s := open(t)
	bad := getLink(unix.NLM_F_DUMP, 0)
	bad.Data[2] = 1 // type of device: not to be set in a dump
	_, err := names(s, bad)
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "invalid argument: ") {
		t.Errorf("got %v, want EINVAL and the kernel's text", err)
	}
}

func TestReceiveEndsAtTheDeadline(t *testing.T) {
	s := open(t)
	for name, left := range map[string]time.Duration{"in the future": 20 * time.Millisecond, "in the past": -time.Second} {
		start := time.Now()
		s.SetDeadline(start.Add(left))
		if _, err := s.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline %s: got %v", name, err)
		}
		if took := time.Since(start); took < left {
			t.Errorf("deadline %s: took %v", name, took)
		}
	}
}

func TestWait(t *testing.T) {
	s := open(t, unix.RTNLGRP_LINK)
	if err := s.Wait(10 * time.Millisecond); err != nil {
		t.Errorf("no notification: %v", err)
	}
}

func TestOpenOfAProtocolThatDoesNotExist(t *testing.T) {
	if _, err := nlsock.Open(31); !errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Errorf("got %v, want EPROTONOSUPPORT", err)
	}
}

// Messages that another process sends to the socket are not read as the kernel's.
func TestReceiveIgnoresOtherSenders(t *testing.T) {
	s, other := open(t), open(t)
	name, err := unix.Getsockname(s.FD())
	if err != nil {
		t.Fatal(err)
	}
	err = unix.Sendto(other.FD(), bytesOf(16, unix.NLMSG_DONE, 1, 0), 0, name)
	if errors.Is(err, unix.EPERM) {
		t.Skip("not allowed to send to another socket")
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := names(s, getLink(0, 1)); err != nil || !slices.Equal(got, []string{"lo"}) {
		t.Errorf("got %q, %v", got, err)
	}
}
