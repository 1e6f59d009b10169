package liveness

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestLiveRecordIsOfOneAttachment: a record that was read before a DEL and an ADD of the same container does not belong to the
// present host interface, although that has the same name and alias.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestLiveRecordIsOfOneAttachment(t *testing.T) {
	h := nettest.Host(t)
	h.NoOracle("the test makes a veth pair and a record by hand, and examines neither afterwards")
	key := store.Key{Network: "net", ContainerID: "c1", IfName: "eth0"}
	n := identity.Of(key)
	h.Run(t, "ip", "link", "add", n.HostInterface, "type", "veth", "peer", "name", "peer")
	h.Run(t, "ip", "link", "set", n.HostInterface, "alias", n.Alias)

	recordOf := func(address string, after time.Duration) *store.Record {
		return &store.Record{
			Version: store.RecordVersion(), Network: key.Network, ContainerID: key.ContainerID, IfName: key.IfName,
			Owner: store.OwnerCNI, Role: store.RolePort, HostLink: n.HostInterface, Alias: n.Alias, BootID: store.BootID(),
			Created:   time.Now().Add(after).UTC(),
			Addresses: []store.Address{{Address: netip.MustParsePrefix(address)}},
		}
	}
	before, now := recordOf("10.1.0.2/24", -time.Minute), recordOf("10.1.0.3/24", 0)
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
		if got := New(host).liveRecord(stale); got == nil || got.Addresses[0] != now.Addresses[0] {
			t.Errorf("got %+v, want the present record, which has %s", got, now.Addresses[0].Address)
		}
		if err := state.Remove(); err != nil {
			t.Error(err)
		}
		if got := New(host).liveRecord(stale); got != nil {
			t.Errorf("the record was removed, got %+v", got)
		}
	})
}
