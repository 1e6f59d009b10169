package portowner

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// second returns the call of a verb for the same container on another network, to which the runtime passes the same port mappings.
func (b *attachment) second(t *testing.T, verb string, result ...json.RawMessage) nettest.Call {
	t.Helper()
	other := &attachment{Container: b.Container, h: b.h, config: elsewhere(), mappings: b.mappings}
	if len(result) > 0 {
		other.prev = result[0]
	}
	call := other.call(t, verb)
	call.IfName = "eth1"
	return call
}

// TestPortsOfOneContainer: a runtime attaches a container to two networks, one after the other or at once, and passes its port mappings to both. One
// attachment publishes each port; CHECK of both passes, another container is refused the port, and the DEL of the other attachment
// leaves it.
//
// Claim: A container on several networks, each of which is passed the container's port mappings, publishes each port once
func TestPortsOfOneContainer(t *testing.T) {
	t.Parallel()
	h := host(t)
	b, stranger := on(h, "web", nil, mapping(8080), mapping(8081)), on(h, "stranger", elsewhere(), mapping(8080))
	b.serve(t)
	for _, c := range []struct {
		network string
		atOnce  bool
	}{{"net", false}, {"net", true}, {strings.Repeat("long", 15), false}} { // the long name cuts the comment of the elements
		b.config = network(c.network, "cni0")
		var wg sync.WaitGroup
		var first, second nettest.Answer
		wg.Go(func() { first = b.do(t, "ADD") })
		if !c.atOnce {
			wg.Wait()
		}
		wg.Go(func() { second = h.CNI(t, b.second(t, "ADD")) })
		wg.Wait()
		b.keep(t, first)
		b.answers(t, gateway4+":8080", "["+gateway6+"]:8080", "127.0.0.1:8081")
		h.CNI(t, b.second(t, "CHECK", second.OK(t).Stdout)).OK(t)
		b.do(t, "CHECK").OK(t)
		if e := stranger.do(t, "ADD").Error(t); e.Code != codePortTaken {
			t.Errorf("another container: code %d, %s", e.Code, e.Msg)
		}
		if !c.atOnce {
			h.CNI(t, b.second(t, "DEL")).OK(t)
			b.answers(t, gateway4+":8080", "127.0.0.1:8081")
		}
		b.del(t)
		h.CNI(t, b.second(t, "DEL")).OK(t)
		silent(t, h, "127.0.0.1:8080", "127.0.0.1:8081")
		h.NoLeaks(t)
	}
	stranger.add(t)
	stranger.del(t)
}
