package containerd

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// referenceConflist is the default of containerd, unchanged.
func referenceConflist() string {
	with := strings.Replace(defaultConflist, `"type": "patchbay"`, `"type": "bridge"`, 1)
	return strings.Replace(with, `"type": "patchbay"`, `"type": "host-local"`, 1)
}

// TestPace prints how long a sandbox takes to start and to stop, with Patchbay and with the reference plugins, ten
// times in turns. It asserts nothing about time: containerd and runc take most of it, and the machine is shared.
func TestPace(t *testing.T) {
	ours, reference := newNode(t, debian(t), defaultConflist), newNode(t, debian(t), referenceConflist())
	reference.NoOracle("the reference leaves its chains of iptables and its cache of addresses")
	var start, remove [2][]time.Duration
	for range 10 {
		for i, n := range []*node{ours, reference} {
			begin := time.Now()
			id := n.runAll(names(1), 1)[0].id
			start[i] = append(start[i], time.Since(begin))
			begin = time.Now()
			n.removeAll([]string{id}, 1)
			remove[i] = append(remove[i], time.Since(begin))
		}
	}
	for what, took := range map[string][2][]time.Duration{"start": start, "stop and remove": remove} {
		us, them := median(took[0]), median(took[1])
		t.Logf("%s a sandbox: %s with ours, %s with the reference, %.2f of it", what, us.Round(time.Millisecond), them.Round(time.Millisecond), us.Seconds()/them.Seconds())
	}
	ours.NoLeaks(t)
}

func median(d []time.Duration) time.Duration { return slices.Sorted(slices.Values(d))[len(d)/2] }
