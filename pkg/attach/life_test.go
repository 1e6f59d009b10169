package attach

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestLivingIsOfOneLife: a record that was read before a DEL and an ADD of the same container is not
// that of the link which is there now, though the link has the same name and alias.
func TestLivingIsOfOneLife(t *testing.T) {
	h := nettest.Host(t)
	h.NoOracle("the test makes a cable and a record by hand, and looks at neither afterwards")
	key := store.Key{Network: "net", ContainerID: "c1", IfName: "eth0"}
	n := namesOf(key)
	h.Run(t, "ip", "link", "add", n.hostLink, "type", "veth", "peer", "name", "peer")
	h.Run(t, "ip", "link", "set", n.hostLink, "alias", n.alias)

	life := func(address string, after time.Duration) *store.Record {
		return &store.Record{
			Version: store.RecordVersion(), Network: key.Network, ContainerID: key.ContainerID, IfName: key.IfName,
			Owner: store.OwnerCNI, Role: store.RolePort, HostLink: n.hostLink, Alias: n.alias, BootID: store.BootID(),
			Created:   time.Now().Add(after).UTC(),
			Addresses: []store.Address{{Address: netip.MustParsePrefix(address)}},
		}
	}
	before, now := life("10.1.0.2/24", -time.Minute), life("10.1.0.3/24", 0)
	h.Do(func() {
		host, err := link.OpenHost()
		if err != nil {
			t.Error(err)
			return
		}
		defer host.Close()
		state, err := store.Open(context.Background(), store.Dirs{State: "/run/patchbay", Data: "/run/patchbay/ipam"}, key)
		if err != nil {
			t.Error(err)
			return
		}
		stale := store.Entry{Path: state.Path(), Key: key, Record: before}
		if err := state.Save(now); err != nil {
			t.Error(err)
		}
		if got := newJudge(host).living(stale); got == nil || got.Addresses[0] != now.Addresses[0] {
			t.Errorf("got %+v, want the life of now, which has %s", got, now.Addresses[0].Address)
		}
		if err := state.Forget(); err != nil {
			t.Error(err)
		}
		if got := newJudge(host).living(stale); got != nil {
			t.Errorf("there is no record any more, got %+v", got)
		}
	})
}
