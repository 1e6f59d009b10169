package containerd

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKilledDuringStarts: SIGKILL ends containerd while it starts twenty sandboxes at once, early, in the middle and
// late. It is started again, and removes every sandbox that it knows. A plugin that was running continues: its parent
// has ended, and nothing reads its result.
//
// Claim/containerd_of_Debian,containerd_2: containerd is killed in the middle of twenty starts and started again: when all pods have been
// removed nothing is left behind
func TestKilledDuringStarts(t *testing.T) {
	for name, r := range releases() {
		t.Run(name, func(t *testing.T) { killed(t, newNode(t, r(t), defaultConflist)) })
	}
}

func killed(t *testing.T, n *node) {
	for _, begun := range []int{1, 8, 16} {
		ended := make(chan []error)
		go func() {
			_, errs := each(names(20), 20, n.runSandbox)
			ended <- errs
		}()
		n.await("starting sandboxes", func() (bool, error) { return len(n.files(recordDir)) >= begun, nil })
		n.kill()
		failed := slices.DeleteFunc(<-ended, func(err error) bool { return err == nil })
		if len(failed) == 0 {
			t.Errorf("with %d records containerd was killed too late: every sandbox had been started", begun)
		}
		n.start()
		known := n.ids()
		n.removeAll(known, 4)
		t.Logf("killed with %d of 20 records: %d starts failed, %d sandboxes were known afterwards, %d pins forgotten", begun, len(failed), len(known), n.forgotten())
		n.alone()
		n.NoLeaks(t)
	}
}

// forgotten removes the namespace files that containerd had created but not recorded when it was killed. containerd
// never asks for them again, with any plugin. They must have no attachment.
func (n *node) forgotten() int {
	n.t.Helper()
	others := func(name string) bool { return !strings.HasPrefix(name, "cni-") } // of the test's own containers
	pins := slices.DeleteFunc(n.files("/run/netns"), others)
	for _, pin := range pins {
		pin = path.Join("/run/netns", pin)
		const script = `if mountpoint -q "$0"; then nsenter --net="$0" ip -o link && umount "$0"; fi && rm "$0"`
		if links := n.run("sh", "-c", script, pin); strings.Contains(links, "eth0") {
			n.t.Errorf("behind the forgotten %s:\n%s", pin, links)
		}
	}
	return len(pins)
}

// TestFullNode: the 110 pods that a kubelet allows on a node, ten started at a time. After a SIGKILL and a restart of
// containerd all of them serve as before, and all can be removed.
//
// Claim: 110 pods, ten started at a time, survive a SIGKILL of containerd
func TestFullNode(t *testing.T) {
	const pods = 110
	n := newNode(t, debian(t), defaultConflist)
	begin := time.Now()
	sandboxes := n.runAll(names(pods), 10)
	started := time.Now()
	n.kill()
	n.start()
	if known := len(n.ids()); known != pods || len(n.records()) != pods {
		t.Errorf("after the restart containerd knows %d sandboxes and there are %d records, want %d", known, len(n.records()), pods)
	}
	for _, s := range sandboxes {
		if again := n.status(s.id); !slices.Equal(again.addrs, s.addrs) {
			t.Errorf("%s has the addresses %v after the restart, %v before", s.name, again.addrs, s.addrs)
		}
		n.serves(s)
	}
	restarted := time.Now()
	n.removeAll(n.ids(), 10)
	t.Logf("%d sandboxes: started in %s, restarted and asked in %s, removed in %s", pods,
		round(started.Sub(begin)), round(restarted.Sub(started)), round(time.Since(restarted)))
	n.alone()
	n.NoLeaks(t)
}

func round(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// TestFailingStarts: fifty sandboxes cannot be started, because an interface of another type has the name of the
// bridge. A kubelet retries. Nothing of any is left; when the interface is deleted the next start succeeds.
//
// Claim: Fifty pods that cannot be started leave nothing behind
func TestFailingStarts(t *testing.T) {
	n := newNode(t, debian(t), defaultConflist)
	n.Run(t, "ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other")
	n.Baseline()
	_, errs := each(names(50), 10, n.runSandbox)
	for _, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "cni0") {
			t.Errorf("a start that must fail for cni0: %v", err)
		}
	}
	if known := n.ids(); len(known) > 0 {
		n.removeAll(known, 10)
	}
	if pins := n.files("/run/netns"); len(pins) > 0 {
		t.Errorf("namespaces %v are left", pins)
	}
	n.alone()
	n.NoLeaks(t)
	n.Run(t, "ip", "link", "delete", "cni0")
	n.Baseline()
	s := n.runAll(names(1), 1)
	n.serves(s[0])
	n.removeAll(n.ids(), 1)
}
