package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// neighbour is what happens on the host beside the calls: upgrades and downgrades, commands, and if it is hostile, deletions.
type neighbour struct {
	h       *Host
	random  *rand.Rand
	hostile bool
	stop    chan struct{}
}

func (n *neighbour) run(t testing.TB) {
	for !t.Failed() {
		select {
		case <-n.stop:
			return
		case <-time.After(time.Duration(n.random.IntN(150)) * time.Millisecond): // the pace of an administrator
		}
		n.act(t)
	}
}

func (n *neighbour) act(t testing.TB) {
	dice := n.random.IntN(100)
	switch {
	case dice < 20:
		n.h.install(t, 1-n.h.version)
	case dice < 32:
		n.h.command(t, "reload")
	case dice < 44:
		n.h.command(t, "gc")
	case dice < 52:
		n.h.command(t, "metrics")
	case dice < 60:
		n.doctor(t)
	case n.hostile:
		n.delete(t, dice%3)
	}
}

// doctor may find problems, but must not fail.
func (n *neighbour) doctor(t testing.TB) {
	out, err := n.h.Command(n.h.program(), "doctor", "--bin-dir", n.h.bin).CombinedOutput()
	n.h.Commands.Add(1)
	if err != nil && err.Error() != "exit status 1" || strings.Contains(string(out), "goroutine ") {
		t.Errorf("patchbay doctor: %v\n%s", err, out)
	}
}

// delete deletes all rules or a bridge, or disables forwarding, and then restores what attachments need, as patchbay-reload.service does.
func (n *neighbour) delete(t testing.TB, what int) {
	n.h.disturbed.Add(1)
	defer n.h.disturbed.Add(1)
	n.h.Deletions.Add(1)
	command := [][]string{
		{"nft", "flush", "ruleset"}, {"ip", "link", "delete", fmt.Sprintf("br%d", 1+n.random.IntN(8))}, {"sysctl", "-qw", "net.ipv4.ip_forward=0"},
	}[what]
	out, err := n.h.Command(command[0], command[1:]...).CombinedOutput()
	n.h.history.add("%s: %v %s", strings.Join(command, " "), err, strings.TrimSpace(string(out))) // a bridge may not exist
	n.h.command(t, "reload")
}
