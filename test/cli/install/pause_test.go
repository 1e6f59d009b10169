package install

import (
	"bufio"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestPause: pause says that it waits, and ends with status 0 on SIGTERM.
//
// Claim: `patchbay pause` waits until SIGTERM, and exits with status 0
func TestPause(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cmd := n.Command(n.program, "pause")
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	expect.Equal(t, "output", line, "waiting for a signal\n")
	check(t, cmd.Process.Signal(unix.SIGTERM))
	check(t, cmd.Wait())
}
