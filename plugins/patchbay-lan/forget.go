package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/host"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
)

type forgetFlags struct {
	etcdFlags
	force bool
}

func forgetCommand() command {
	f := &forgetFlags{}
	return command{
		name: "forget", takes: "NETWORK NODE", words: 2, short: "release the blocks of a host that does not come back",
		long: `Deletes a host from etcd at once, instead of after --forget-after; its blocks may be claimed by others.
Call it for a host that is off, or gone. On a host that runs, stop patchbay-lan and call
"patchbay-lan release". A host that has renewed its lease in the last tenth of its time may still run:
forgetting it is refused without --force.`,
		flags: func(flags *flag.FlagSet) {
			flags.BoolVar(&f.force, "force", false, "although the host has renewed its lease a short time ago")
			f.etcdFlags.register(flags)
		},
		run: f.forget,
	}
}

func (f *forgetFlags) forget(out io.Writer, args []string) error {
	return f.usingNodes(args[0], func(client *clientv3.Client, _ lan.Snapshot, nodes map[string]registry.Node) error {
		n, known := nodes[args[1]]
		if !known {
			return fmt.Errorf("network %s has no host %s; patchbay-lan ls %s lists them", args[0], args[1], args[0])
		}
		if recent := n.Age < (n.Age+n.Left)/10; recent && !f.force {
			return fmt.Errorf("the host %s renewed its lease %s ago, so it may run: if it is off, wait or use --force; if it runs, stop patchbay-lan there and use patchbay-lan release", args[1], n.Age)
		}
		if err := registry.Forget(context.Background(), client, args[0], n); err != nil {
			return err
		}
		sayLine(out, "%s: forgot %s, released %d blocks", args[0], args[1], len(n.Blocks))
		return nil
	})
}

type releaseFlags struct {
	etcdFlags
	hostFlags
}

func releaseCommand() command {
	f := &releaseFlags{}
	return command{
		name: "release", takes: "NETWORK", words: 1, short: "release all blocks of this host, which leaves the network",
		long: `Removes the network configuration of this host, and deletes the host from etcd. It is refused while
patchbay-lan runs, and while a container of this host has an address of the network. Empty blocks of a
host that stays are released by "patchbay-lan run" itself.`,
		flags: func(flags *flag.FlagSet) {
			f.hostFlags.register(flags)
			f.etcdFlags.register(flags)
		},
		run: f.release,
	}
}

func (f *releaseFlags) release(out io.Writer, args []string) error {
	h, err := f.host(args[0])
	if err != nil {
		return err
	}
	lock, err := h.Lock()
	if errors.Is(err, host.ErrRunning) {
		return fmt.Errorf("%w: stop it first: %s", err, printable.Command("systemctl", "stop", "patchbay-lan@"+args[0]))
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	self, err := host.Self(f.node)
	if err != nil {
		return err
	}
	if err := h.Remove(); err != nil {
		return err
	}
	used, err := h.Used()
	if err != nil {
		return err
	}
	return f.using(args[0], func(client *clientv3.Client) error {
		s, err := list(client, args[0])
		if err != nil {
			return err
		}
		if n, known := s.Nodes[self.Node]; known && !n.SameHost(self) {
			return errors.New(s.Conflict(self))
		}
		nodes, err := registry.Nodes(context.Background(), client, s)
		if err != nil {
			return err
		}
		n := nodes[self.Node]
		n.Owner = self
		if err := unused(n.Blocks, used); err != nil {
			return err
		}
		if err := registry.Forget(context.Background(), client, args[0], n); err != nil {
			return err
		}
		sayLine(out, "%s: released %d blocks of %s", args[0], len(n.Blocks), self.Node)
		return nil
	})
}

// unused returns an error if an address is in one of the blocks.
func unused(blocks []netip.Prefix, used []netip.Addr) error {
	for _, addr := range used {
		for _, b := range blocks {
			if b.Contains(addr) {
				return fmt.Errorf("a container of this host has %s: detach the containers of this network first (patchbay ls, patchbay gc)", addr)
			}
		}
	}
	return nil
}
