// Package registry keeps the blocks of a LAN in an etcd: it implements lan.Registry with single transactions and one lease for
// each host. It uses no lock, election or software transactional memory of etcd's library: a claim is one request, and one more
// for each other host that was faster.
//
// No method waits for more than Timeout. None of them keeps a goroutine: a lease is renewed by a request, when the caller wants
// that.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/lan"
)

// Timeout is the time limit of each request.
const Timeout = 5 * time.Second

// Registry is the etcd of one network, as one start of the program on one host uses it. It is not safe for use by several
// goroutines.
type Registry struct {
	dial   func() (*clientv3.Client, error)
	client *clientv3.Client // nil until the first Confirm
	keys   lan.Keys
	self   lan.Owner
	ttl    time.Duration // of the lease

	lease      clientv3.LeaseID
	registered int64 // revision of the host's key; 0: not registered by this start
	seen       map[netip.Prefix]int64

	Calls Calls
}

// Calls counts requests to etcd.
type Calls struct{ Grant, Renew, List, Txn int }

// New returns the Registry of a host. dial is called by Confirm until it succeeds: with a user and a password it fails while etcd
// does not answer. ttl is the time after which etcd forgets a host that does not renew its lease.
func New(dial func() (*clientv3.Client, error), network string, self lan.Owner, ttl time.Duration) *Registry {
	return &Registry{dial: dial, keys: lan.Keys{Network: network}, self: self, ttl: ttl, seen: map[netip.Prefix]int64{}}
}

// Close closes the connection.
func (r *Registry) Close() error {
	if r.client == nil {
		return nil
	}
	return r.client.Close()
}

// List returns all keys of a network.
func List(ctx context.Context, client *clientv3.Client, network string) (lan.Snapshot, error) {
	keys := lan.Keys{Network: network}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	answer, err := client.Get(ctx, keys.Prefix(), clientv3.WithPrefix())
	if err != nil {
		return lan.Snapshot{}, fmt.Errorf("list the keys of network %s: %w", network, err)
	}
	return lan.ReadSnapshot(keys, keyValues(answer)), nil
}

func keyValues(answer *clientv3.GetResponse) []lan.KeyValue {
	all := make([]lan.KeyValue, 0, len(answer.Kvs))
	for _, kv := range answer.Kvs {
		all = append(all, lan.KeyValue{Key: string(kv.Key), Value: kv.Value, Revision: kv.ModRevision, Lease: kv.Lease})
	}
	return all
}

// list returns all keys, and keeps the revisions of the blocks.
func (r *Registry) list(ctx context.Context) (lan.Snapshot, error) {
	r.Calls.List++
	s, err := List(ctx, r.client, r.keys.Network)
	if err != nil {
		return lan.Snapshot{}, err
	}
	r.seen = map[netip.Prefix]int64{}
	for p, h := range s.Blocks {
		r.seen[p] = h.Revision
	}
	return s, nil
}

// Confirm implements lan.Registry. It takes two requests; the first of a start, and one after the lease has ended, takes up to
// three.
func (r *Registry) Confirm(ctx context.Context) (lan.Snapshot, time.Duration, error) {
	if r.client == nil {
		client, err := r.dial()
		if err != nil {
			return lan.Snapshot{}, 0, fmt.Errorf("connect to etcd: %w", err)
		}
		r.client = client
	}
	if r.registered != 0 {
		ttl, err := r.renew(ctx, r.lease)
		if err == nil {
			s, err := r.list(ctx)
			if err != nil || s.Nodes[r.self.Node].Revision == r.registered {
				return s, ttl, err
			}
			return r.register(ctx, s)
		}
		if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return lan.Snapshot{}, 0, err
		}
	}
	s, err := r.list(ctx)
	if err != nil {
		return lan.Snapshot{}, 0, err
	}
	return r.register(ctx, s)
}

// register writes the key of the host: on the lease that its key has, as long as that has not ended, so that its blocks stay. From
// then on the requests of an earlier start are refused, because they compare the revision of that key.
func (r *Registry) register(ctx context.Context, before lan.Snapshot) (lan.Snapshot, time.Duration, error) {
	if before.Config == nil {
		return lan.Snapshot{}, 0, fmt.Errorf("network %s: %w; run patchbay-lan init %s on one host", r.keys.Network, lan.ErrUninitialized, r.keys.Network)
	}
	if why := before.Conflict(r.self); why != "" {
		return lan.Snapshot{}, 0, fmt.Errorf("%w: %s", lan.ErrOtherHost, why)
	}
	key := before.Nodes[r.self.Node]
	if key.Revision != 0 && r.registered != 0 && key.Revision != r.registered && key.BootID != r.self.BootID {
		return lan.Snapshot{}, 0, fmt.Errorf("%w: a host with the same name and machine-id has registered at %s; give each host a machine-id of its own (machine-id(5)), and start this program again", lan.ErrOtherHost, key.Time.Local())
	}
	lease, ttl, err := r.leaseOf(ctx, key)
	if err != nil {
		return lan.Snapshot{}, 0, err
	}
	s, err := r.write(ctx, before, lease)
	if err != nil {
		return lan.Snapshot{}, 0, fmt.Errorf("register node %s: %w", r.self.Node, err)
	}
	return s, ttl, nil
}

// write writes the key of the host, and moves the blocks that were on its lease to another lease, if it has one now.
func (r *Registry) write(ctx context.Context, s lan.Snapshot, lease clientv3.LeaseID) (lan.Snapshot, error) {
	key, value := s.Nodes[r.self.Node], r.self
	value.Time, value.State = time.Now().UTC().Truncate(time.Second), lan.Usable
	name := r.keys.Node(r.self.Node)
	// What was listed about this host must still hold: a request of an earlier start may have been carried out since.
	unchanged := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(name), "=", key.Revision)}
	then := []clientv3.Op{clientv3.OpPut(name, string(value.Encode()), clientv3.WithLease(lease))}
	var moved []netip.Prefix
	for p, h := range s.Blocks {
		if !h.SameHost(r.self) {
			continue
		}
		unchanged = append(unchanged, r.isSeen(p))
		if key.Lease != 0 && h.Lease == key.Lease && h.Lease != int64(lease) {
			then, moved = append(then, clientv3.OpPut(r.keys.Block(p), string(h.Encode()), clientv3.WithLease(lease))), append(moved, p)
		}
	}
	answer, err := r.commit(ctx, unchanged, nil, then...)
	if err != nil {
		return lan.Snapshot{}, err
	}
	if !answer.Succeeded {
		return lan.Snapshot{}, errors.New("its keys were changed meanwhile")
	}
	r.lease, r.registered = lease, answer.Header.Revision
	s.Nodes[r.self.Node] = lan.Held{Owner: value, Revision: r.registered, Lease: int64(lease)}
	for _, p := range moved {
		s.Blocks[p] = lan.Held{Owner: s.Blocks[p].Owner, Revision: r.registered, Lease: int64(lease)}
		r.seen[p] = r.registered
	}
	return s, nil
}

// leaseOf renews the lease of a key, or makes a new one: also if that of the key has another time than this start wants. The blocks move to
// the new one, and the old one ends by itself.
func (r *Registry) leaseOf(ctx context.Context, key lan.Held) (clientv3.LeaseID, time.Duration, error) {
	if key.Lease != 0 {
		id := clientv3.LeaseID(key.Lease)
		ttl, err := r.renew(ctx, id)
		if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) || err == nil && ttl == r.ttl.Truncate(time.Second) {
			return id, ttl, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r.Calls.Grant++
	granted, err := r.client.Grant(ctx, int64(r.ttl/time.Second))
	if err != nil {
		return 0, 0, fmt.Errorf("make a lease: %w", err)
	}
	return granted.ID, time.Duration(granted.TTL) * time.Second, nil
}

func (r *Registry) renew(ctx context.Context, id clientv3.LeaseID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r.Calls.Renew++
	answer, err := r.client.KeepAliveOnce(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("renew the lease: %w", err)
	}
	return time.Duration(answer.TTL) * time.Second, nil
}

// commit is one transaction: a condition, what is done if it holds, and what is read if not. It reads no values of many keys:
// etcd carries out one transaction at a time.
func (r *Registry) commit(ctx context.Context, condition []clientv3.Cmp, otherwise []clientv3.Op, then ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r.Calls.Txn++
	return r.client.Txn(ctx).If(condition...).Then(then...).Else(otherwise...).Commit()
}

// isRegistered is the condition that the key of the host is the one of this start.
func (r *Registry) isRegistered() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(r.keys.Node(r.self.Node)), "=", r.registered)
}

// isSeen is the condition that a block is as this host has last seen it.
func (r *Registry) isSeen(block netip.Prefix) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(r.keys.Block(block)), "=", r.seen[block])
}

// isOurs are the conditions that a block is on the lease of this host, and as this host has last seen it.
func (r *Registry) isOurs(block netip.Prefix) []clientv3.Cmp {
	return []clientv3.Cmp{r.isRegistered(), r.isSeen(block), clientv3.Compare(clientv3.LeaseValue(r.keys.Block(block)), "=", r.lease)}
}

// readNode reads the key of the host.
func (r *Registry) readNode() clientv3.Op { return clientv3.OpGet(r.keys.Node(r.self.Node)) }

// checkNode returns an error if a refused transaction has answered that the host is not registered.
func (r *Registry) checkNode(answer *clientv3.TxnResponse) error {
	node := answer.Responses[0].GetResponseRange().Kvs
	if len(node) == 0 || node[0].ModRevision != r.registered {
		return fmt.Errorf("node %s: %w", r.self.Node, lan.ErrUnregistered)
	}
	return nil
}

// Claim implements lan.Registry by one transaction. Of a refused one the answer has the keys of all blocks, and the last claim of this one.
func (r *Registry) Claim(ctx context.Context, block netip.Prefix, value lan.Owner, used int64) (bool, lan.Snapshot, error) {
	key, last, text := r.keys.Block(block), r.keys.Used(block), string(value.Encode())
	answer, err := r.commit(ctx, []clientv3.Cmp{
		clientv3.Compare(clientv3.CreateRevision(key), "=", 0),
		clientv3.Compare(clientv3.ModRevision(last), "=", used),
		r.isRegistered(),
	}, []clientv3.Op{
		r.readNode(), clientv3.OpGet(r.keys.Blocks(), clientv3.WithPrefix(), clientv3.WithKeysOnly()), clientv3.OpGet(last),
	}, clientv3.OpPut(key, text, clientv3.WithLease(r.lease)), clientv3.OpPut(last, text))
	if err != nil {
		return false, lan.Snapshot{}, fmt.Errorf("claim block %s: %w", block, err)
	}
	if answer.Succeeded {
		r.seen[block] = answer.Header.Revision
		return true, lan.Snapshot{}, nil
	}
	if err := r.checkNode(answer); err != nil {
		return false, lan.Snapshot{}, err
	}
	var all []lan.KeyValue
	for _, response := range answer.Responses[1:] {
		all = append(all, keyValues((*clientv3.GetResponse)(response.GetResponseRange()))...)
	}
	return false, lan.ReadSnapshot(r.keys, all), nil
}

// Mark implements lan.Registry by one transaction.
func (r *Registry) Mark(ctx context.Context, block netip.Prefix, value lan.Owner) (bool, error) {
	answer, err := r.commit(ctx, r.isOurs(block), []clientv3.Op{r.readNode()},
		clientv3.OpPut(r.keys.Block(block), string(value.Encode()), clientv3.WithLease(r.lease)))
	if err != nil {
		return false, fmt.Errorf("write the state of block %s: %w", block, err)
	}
	if answer.Succeeded {
		r.seen[block] = answer.Header.Revision
		return true, nil
	}
	return false, r.checkNode(answer)
}

// Delete implements lan.Registry by one transaction.
func (r *Registry) Delete(ctx context.Context, block netip.Prefix) error {
	answer, err := r.commit(ctx, r.isOurs(block), []clientv3.Op{r.readNode()}, clientv3.OpDelete(r.keys.Block(block)))
	if err != nil {
		return fmt.Errorf("release block %s: %w", block, err)
	}
	if answer.Succeeded {
		delete(r.seen, block)
		return nil
	}
	return r.checkNode(answer)
}
