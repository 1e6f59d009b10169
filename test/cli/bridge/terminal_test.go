package bridge

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is our end of a pseudoterminal.
type screen struct{ *os.File }

// terminal opens a pseudoterminal: our end of it and the program's.
func terminal(t *testing.T) (ours screen, theirs *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	ours = screen{os.NewFile(uintptr(fd), "ptmx")}
	t.Cleanup(func() { ours.Close() })
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// until reads until a text has come.
func (s screen) until(t testing.TB, want string) (said string) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for buffer := make([]byte, 4096); !strings.Contains(said, want); {
		n, err := s.Read(buffer)
		said += string(buffer[:n])
		if err != nil {
			t.Fatalf("%v before %q: %q", err, want, said)
		}
	}
	return said
}
