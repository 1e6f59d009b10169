package delegate

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWhatIsInThePipeAtTheEnd: close reads what is in the pipe, also if another process keeps it open.
//
// Claim: A program that an IPAM plugin leaves running blocks nothing
func TestWhatIsInThePipeAtTheEnd(t *testing.T) {
	t.Parallel()
	o, err := newOutlet(&limited{full: make(chan struct{})})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := unix.FcntlInt(o.theirs.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kept)
	text := bytes.Repeat([]byte("x"), 60000)
	if _, err := o.theirs.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := o.ours.SetReadDeadline(time.Now()); err != nil { // listen ends before it reads anything
		t.Fatal(err)
	}
	o.listen()
	<-o.done
	if got := o.close(); !bytes.Equal(got, text) {
		t.Errorf("%d bytes of %d", len(got), len(text))
	}
}
