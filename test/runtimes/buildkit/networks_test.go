package buildkit

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestNetworks: the pool is filled, its namespaces reach each other and the outside and are used again, a step with a
// hostname has a namespace of its own, the traffic of a step is counted, and when the daemon stops nothing is left.
//
// Claim: BuildKit's network providers work with the drop-in, under the names buildkit-cni-* and with a configuration, and leave nothing
func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"bridge", "cni"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, mode)
			steps := append(d.take(), d.create("builder"))
			d.traffic(steps)
			for _, path := range steps {
				d.must("close", path, nil)
			}
			if slices.Contains(d.existing(), steps[2]) {
				t.Error("the namespace with a hostname exists after its step")
			}
			if again := d.take(); !slices.Contains(steps, again[0]) {
				t.Errorf("namespaces %q of the pool are not used again: %q", steps, again)
			} else {
				d.must("close", again[0], nil)
				d.must("close", again[1], nil)
			}
			d.must("stop", nil, nil)
			if mode == "bridge" { // buildkitd deletes the bridge that it did not find
				if out, err := d.Command("ip", "link", "show", "buildkit0").CombinedOutput(); err == nil {
					t.Errorf("the bridge exists: %s", out)
				}
			}
			d.NoLeaks(t)
			d.Run(t, nettest.Patchbay(t), "doctor")
		})
	}
}

// traffic requires that a step reaches another one and the outside, and that BuildKit counts what it sends.
func (d *daemon) traffic(steps []string) {
	d.t.Helper()
	for i, path := range steps {
		d.ping(path, d.address(steps[(i+1)%len(steps)]))
		d.ping(path, netip.MustParseAddr(nettest.LANOutside4))
		d.Run(d.t, "nsenter", "--net="+path, "ping", "-c1", "-W5", "127.0.0.1")
		var sample struct{ RxPackets, TxPackets int64 }
		d.must("sample", path, &sample)
		if sample.RxPackets < 2 || sample.TxPackets < 2 {
			d.t.Errorf("packets of %s: %+v", path, sample)
		}
	}
}

// TestKilled: buildkitd is killed while steps run. The next one removes their namespaces, whose addresses are used again.
//
// Claim: BuildKit's network providers work with the drop-in, under the names buildkit-cni-* and with a configuration, and leave nothing
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"bridge", "cni"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, mode)
			d.Allow("link bkpx") // a veth pair of BuildKit's own proxy (proxyprovider), which it leaves if it is killed between creating and moving it
			before := append(d.take(), d.create("builder"))
			d.run.Kill(t)
			d.start()
			steps := d.take()
			for until := time.Now().Add(time.Minute); slices.ContainsFunc(d.existing(), func(path string) bool { return slices.Contains(before, path) }); {
				if time.Now().After(until) {
					t.Fatalf("namespaces of the killed daemon exist: %q", d.existing())
				}
				time.Sleep(10 * time.Millisecond)
			}
			d.traffic(steps)
			for _, path := range steps {
				d.must("close", path, nil)
			}
			d.must("stop", nil, nil)
			d.NoLeaks(t)
		})
	}
}

// TestSameBridge: the list of the provider bridge has the policy same-bridge, so a container of another bridge with
// this policy does not reach a step. The configuration of the provider cni has none.
//
// Claim: BuildKit's policy same-bridge keeps containers of other bridges away from a build step
func TestSameBridge(t *testing.T) {
	t.Parallel()
	for mode, reached := range map[string]bool{"bridge": false, "cni": true} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, mode)
			steps := d.take()
			other := d.Container("other")
			network := cni.Network(cni.DefaultGateway(), cni.Pool("10.99.0.0/24"), cni.Conf{"ingressPolicy": "same-bridge"})
			cni.Add(t, d.Node, other, network)
			to := d.address(steps[0])
			if err := d.PingOnce(to); err != nil {
				t.Errorf("from the host: %v", err)
			}
			if err := other.PingOnce(to); (err == nil) != reached {
				t.Errorf("from a container of another bridge: %v", err)
			}
			cni.Del(t, d.Node, other, network)
			for _, path := range steps {
				d.must("close", path, nil)
			}
			d.must("stop", nil, nil)
		})
	}
}

// addressOf returns the address of `ip -json address show`.
func addressOf(t *testing.T, text string) netip.Addr {
	t.Helper()
	var links []struct {
		Info []struct{ Local netip.Addr } `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(text), &links); err != nil || len(links) != 1 || len(links[0].Info) != 1 {
		t.Fatalf("addresses: %v: %s", err, text)
	}
	return links[0].Info[0].Local
}
