// Package enclosure runs the programs of a runtime on a host of nettest in a PID and a mount namespace of their own, so that all of them end
// with the test, and what a program mounts or writes into /etc, /opt or /usr stays inside.
package enclosure

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Enclosure is the pair of namespaces. Its network namespace is the host's.
type Enclosure struct {
	host   *nettest.Node
	prefix []string // of each command
}

// overlay mounts /etc and /opt as overlays over the machine's, since some paths of runtimes cannot be configured. With a directory of
// unpacked packages their etc and usr are lower layers, so that they are only added to what the machine has.
const overlay = `set -e
for dir in etc opt; do
	mkdir -p /run/layers/$dir /run/layers/$dir.work
	lower=/$dir
	if [ -n "$0" ] && [ -d "$0/$dir" ]; then lower=/$dir:$0/$dir; fi
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=/run/layers/$dir,workdir=/run/layers/$dir.work" /$dir
done
if [ -n "$0" ]; then
	mount -t overlay overlay -o "lowerdir=/usr:$0/usr" /usr
	ldconfig
fi
echo ready
cat
exit`

// New creates an enclosure on a host. packages is a directory of unpacked packages, "" for none. The first process is a shell that reads until
// the test ends, and reaps orphaned processes; it ends last. The leak check ignores the processes inside.
func New(t testing.TB, h *nettest.Node, packages string) *Enclosure {
	t.Helper()
	h.Allow("process ")
	first := h.Command("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", overlay, packages)
	first.Stderr = os.Stderr
	first.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := first.StdoutPipe()
	if err == nil {
		err = first.Start()
	}
	if err != nil {
		t.Fatalf("make namespaces for a runtime: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := first.Wait(); err != nil {
			t.Errorf("end all processes of the runtime: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("make namespaces for a runtime: %q %v", line, err)
	}
	proc := fmt.Sprintf("/proc/%d/ns/", first.Process.Pid)
	return &Enclosure{host: h, prefix: []string{"nsenter", "--mount=" + proc + "mnt", "--pid=" + proc + "pid_for_children"}}
}

// Command returns a command that runs inside.
func (e *Enclosure) Command(args ...string) *nettest.Cmd {
	all := append(append([]string{}, e.prefix...), args...)
	return e.host.Command(all[0], all[1:]...)
}
