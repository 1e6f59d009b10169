package cluster

import (
	"net/netip"
	"sync"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// pinging is echoes that are sent one after the other until stop.
type pinging struct {
	stopped chan struct{}
	wait    sync.WaitGroup
	total   []nettest.PingResult
}

// ping starts to send echoes from a pod to each address.
func ping(from pod, to []netip.Addr) *pinging {
	p := &pinging{stopped: make(chan struct{}), total: make([]nettest.PingResult, len(to))}
	for i, addr := range to {
		p.wait.Go(func() {
			for {
				r := from.Ping(addr, nettest.PingOptions{Count: 20})
				p.total[i].Sent += r.Sent
				p.total[i].Received += r.Received
				if p.total[i].Err = r.Err; r.Err != nil {
					return
				}
				select {
				case <-p.stopped:
					return
				default:
				}
			}
		})
	}
	return p
}

// stop ends it, and fails the test if an echo was lost.
func (p *pinging) stop(n *node) {
	n.lab.t.Helper()
	close(p.stopped)
	p.wait.Wait()
	for _, r := range p.total {
		n.lab.t.Logf("echoes: %s", r)
		if r.Err != nil || r.Received != r.Sent || r.Sent < 20 {
			n.lab.t.Errorf("echoes: %s", r)
		}
	}
}
