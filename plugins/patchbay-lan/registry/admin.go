package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/lan"
)

// Initialize writes the configuration of a network. It returns false if etcd has the same one already. One with other values is an error.
func Initialize(ctx context.Context, client *clientv3.Client, network string, c lan.Config) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	key := lan.Keys{Network: network}.Config()
	answer, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(c.Encode()))).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return false, fmt.Errorf("initialize network %s: %w", network, err)
	}
	if answer.Succeeded {
		return true, nil
	}
	has := answer.Responses[0].GetResponseRange().Kvs[0].Value
	if string(has) != string(c.Encode()) {
		return false, fmt.Errorf("network %s is initialized with other values: %s, not %s", network, has, c.Encode())
	}
	return false, nil
}

// Node is a host of a network.
type Node struct {
	lan.Held
	Blocks []netip.Prefix
	Left   time.Duration // until its lease ends
	Age    time.Duration // since it last renewed its lease
}

// Nodes returns the hosts of a snapshot by name, with the time that is left of each lease.
func Nodes(ctx context.Context, client *clientv3.Client, s lan.Snapshot) (map[string]Node, error) {
	all := map[string]Node{}
	for name, h := range s.Nodes {
		all[name] = Node{Held: h}
	}
	for _, p := range slices.SortedFunc(maps.Keys(s.Blocks), netip.Prefix.Compare) {
		n := all[s.Blocks[p].Node]
		if n.Lease == 0 {
			n.Held = s.Blocks[p]
		}
		n.Blocks = append(n.Blocks, p)
		all[s.Blocks[p].Node] = n
	}
	for name, n := range all {
		left, age, err := timeOf(ctx, client, n.Lease)
		if err != nil {
			return nil, err
		}
		n.Left, n.Age = left, age
		all[name] = n
	}
	return all, nil
}

func timeOf(ctx context.Context, client *clientv3.Client, lease int64) (left, age time.Duration, err error) {
	if lease == 0 {
		return 0, 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	answer, err := client.TimeToLive(ctx, clientv3.LeaseID(lease))
	if err != nil {
		return 0, 0, fmt.Errorf("read a lease: %w", err)
	}
	return time.Duration(max(0, answer.TTL)) * time.Second, time.Duration(answer.GrantedTTL-max(0, answer.TTL)) * time.Second, nil
}

// Forget ends the lease of a host, and deletes what it has in other keys. All of it is gone at once, and may be claimed.
func Forget(ctx context.Context, client *clientv3.Client, network string, n Node) error {
	ctx, cancel := context.WithTimeout(ctx, 2*Timeout)
	defer cancel()
	if n.Lease != 0 {
		if _, err := client.Revoke(ctx, clientv3.LeaseID(n.Lease)); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return fmt.Errorf("forget node %s: end its lease: %w", n.Node, err)
		}
	}
	keys := lan.Keys{Network: network}
	s, err := List(ctx, client, network)
	if err != nil {
		return err
	}
	for p, h := range s.Blocks {
		if !h.SameHost(n.Owner) {
			continue
		}
		key := keys.Block(p)
		if _, err := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", h.Revision)).Then(clientv3.OpDelete(key)).Commit(); err != nil {
			return fmt.Errorf("forget node %s: delete block %s: %w", n.Node, p, err)
		}
	}
	return nil
}
