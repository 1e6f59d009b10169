package nft_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// withoutNetAdmin drops CAP_NET_ADMIN of the calling thread.
func withoutNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &data[0])
}

// Without the capability each method returns EPERM at once, and nothing changes.
//
// Claim: Without the capability or without nf_tables there is an immediate error with the reason and no change; networks without
// masquerading are not affected
func TestWithoutTheCapability(t *testing.T) {
	e := entry("net", "cni0", "a", "10.1.2.3/24", "2001:db8::3/64")
	h, _ := built(t, e)
	before := list(t, h)
	netns := -1
	err := inHost(h, func() (err error) {
		netns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(netns)
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		errs <- refusedWithoutCapability(netns, e)
	}()
	if err := <-errs; err != nil {
		t.Error(err)
	}
	same(t, h, before, "after the errors")
}

func refusedWithoutCapability(netns int, e nft.Entry) error {
	if err := errors.Join(unix.Setns(netns, unix.CLONE_NEWNET), withoutNetAdmin()); err != nil {
		return err
	}
	r, err := nft.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	other := entry("net", "cni0", "b", "10.1.2.4/24")
	_, missing := r.Missing(e)
	var wrong error
	for name, err := range map[string]error{
		"Publish": r.Publish(other), "Build": r.Build(other, only(e, other)), "Rebuild": r.Rebuild(only(e)), "Replace": r.Replace(other, is(e)),
		"Withdraw": r.Withdraw(e), "WithdrawOwner": withdrawOwner(r, e.Owner), "Missing": missing, "Supported": r.Supported(),
	} {
		// A wait for an answer that the kernel does not send ends with another error.
		if !errors.Is(err, os.ErrPermission) || errors.Is(err, nft.ErrUnsupported) || errors.Is(err, os.ErrDeadlineExceeded) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: got %w, want EPERM alone", name, err))
		}
	}
	return wrong
}
