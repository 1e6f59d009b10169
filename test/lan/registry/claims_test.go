// Package registry tests the registry of patchbay-lan with a real etcd: many hosts at once, restarts, and leases that end.
package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
	"github.com/patchbay-cni/patchbay/test/lan/etcd"
)

const ttl = 24 * time.Hour

func owner(i int) lan.Owner {
	return lan.Owner{Node: fmt.Sprintf("host-%04d", i), MachineID: fmt.Sprintf("%032d", i), BootID: "boot"}
}

// disk is a host without containers: its network configuration is a variable.
type disk struct{ blocks []netip.Prefix }

func (d *disk) Now() lan.Reading {
	now := time.Duration(time.Now().UnixNano())
	return lan.Reading{Boot: now, Real: now}
}
func (d *disk) Remove() error { d.blocks = nil; return nil }
func (d *disk) Write(_ lan.Config, blocks []netip.Prefix) error {
	d.blocks = slices.Clone(blocks)
	return nil
}
func (d *disk) Used() ([]netip.Addr, error) { return nil, nil }
func (d *disk) Probe(context.Context, []netip.Addr) ([]lan.Answer, error) {
	return nil, errors.New("a new block needs no probe")
}

func configured(t *testing.T, client *clientv3.Client, network, subnet string) {
	t.Helper()
	c, err := lan.Config{Subnet: netip.MustParsePrefix(subnet), Gateway: netip.MustParsePrefix(subnet).Addr().Next()}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if created, err := registry.Initialize(t.Context(), client, network, c); err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
}

// claimer is one of many hosts.
type claimer struct {
	registry *registry.Registry
	disk     disk
	problems []string
}

// claim claims the first block of a host, as `patchbay-lan run` does: a request that is not answered in time is repeated.
func (c *claimer) claim(network string, self lan.Owner, client *clientv3.Client) {
	c.registry = registry.New(func() (*clientv3.Client, error) { return client, nil }, network, self, ttl)
	r := lan.NewRunner(lan.Options{Network: network, Self: self, Registry: c.registry, Host: &c.disk, Random: rand.IntN, Time: time.Now})
	if err := r.Start(); err != nil {
		c.problems = append(c.problems, err.Error())
	}
	for deadline := time.Now().Add(3 * time.Minute); len(c.disk.blocks) == 0 && time.Now().Before(deadline); time.Sleep(lan.Interval) {
		for r.Step(context.Background()) {
		}
	}
	c.problems = append(c.problems, r.Status().Problems...)
}

// TestManyClaims: 1000 hosts claim a block of 1024 at the same moment.
//
// Claim: 1000 hosts that claim a block of a LAN at once get 1000 different blocks, with at most 3 requests to etcd for a claim on average
func TestManyClaims(t *testing.T) {
	const hosts, connections, runs = 1000, 50, 3
	server := etcd.Start(t)
	var clients []*clientv3.Client
	for range connections {
		clients = append(clients, server.Client(t))
	}
	for run := range runs {
		network := fmt.Sprintf("lan%d", run)
		configured(t, clients[0], network, "10.0.0.0/16")
		claimers := make([]claimer, hosts)
		var all sync.WaitGroup
		start := time.Now()
		for i := range claimers {
			all.Go(func() { claimers[i].claim(network, owner(i), clients[i%connections]) })
		}
		all.Wait()
		report(t, claimers, time.Since(start))
	}
}

func report(t *testing.T, claimers []claimer, took time.Duration) {
	t.Helper()
	owners := map[netip.Prefix]int{}
	var sum registry.Calls
	for i, c := range claimers {
		if len(c.disk.blocks) != 1 {
			t.Fatalf("host %d has the blocks %v: %q", i, c.disk.blocks, c.problems)
		}
		owners[c.disk.blocks[0]]++
		calls := c.registry.Calls
		sum.List, sum.Txn, sum.Grant, sum.Renew = sum.List+calls.List, sum.Txn+calls.Txn, sum.Grant+calls.Grant, sum.Renew+calls.Renew
	}
	claims := sum.Txn - len(claimers) // one transaction registers the host
	each := float64(sum.List+claims) / float64(len(claimers))
	t.Logf("%d hosts: %d blocks, %d duplicates, in %.1f s; requests: %d lists, %d transactions of claims, %.2f for a claim; to register: %d leases, %d transactions",
		len(claimers), len(owners), len(claimers)-len(owners), took.Seconds(), sum.List, claims, each, sum.Grant, len(claimers))
	if len(owners) != len(claimers) {
		t.Errorf("%d hosts have %d blocks", len(claimers), len(owners))
	}
	if each > 3 {
		t.Errorf("%.2f requests for a claim, at most 3 were promised", each)
	}
}
