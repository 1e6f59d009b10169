package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// byKernel makes the kernel calls of Patchbay in this process, without startup and without decisions: no ADD with the same calls can be faster.
func byKernel(host ns.NetNS) (verbs, error) {
	k := &kernel{}
	err := host.Do(func(ns.NetNS) (err error) {
		if k.host, err = link.OpenHost(); err != nil {
			return err
		}
		return k.makeBridge()
	})
	return verbs{add: k.add, del: k.del}, err
}

type kernel struct {
	one  sync.Mutex // link.Host is not safe for concurrent use; measurements are never concurrent
	host *link.Host
}

const alias = "patchbay:bench"

func bridge() link.BridgeSpec { return link.BridgeSpec{Name: "cni0"} }

func gateway() netip.Prefix { return netip.MustParsePrefix("10.88.0.1/16") }

func (k *kernel) makeBridge() error {
	b, err := k.host.EnsureBridge(bridge())
	if err != nil {
		return err
	}
	if err := k.host.SetAddresses(b, link.AddressPlan{Add: []netip.Prefix{gateway()}}); err != nil {
		return err
	}
	return k.host.EnableForwarding(true)
}

func (k *kernel) add(_ context.Context, one container) error {
	k.one.Lock()
	defer k.one.Unlock()
	sandbox, err := link.OpenSandbox(one.path, false)
	if err != nil {
		return err
	}
	defer sandbox.Close()
	b, err := k.host.EnsureBridge(bridge())
	if err != nil {
		return err
	}
	if err := k.host.Plug(sandbox, b, one.veth()); err != nil {
		return err
	}
	return k.up(sandbox, b, one)
}

func (k *kernel) up(sandbox *link.Sandbox, b *link.Bridge, one container) error {
	addresses := []netip.Prefix{netip.PrefixFrom(one.addr, gateway().Bits())}
	applied, err := sandbox.Up(link.Setup{
		IfName: "eth0", Addresses: addresses,
		Routes: []link.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), GW: gateway().Addr()}},
	})
	if err != nil {
		return err
	}
	if err := k.host.WaitPort(one.veth().HostName, b); err != nil {
		return err
	}
	return sandbox.Announce(applied.Link, addresses)
}

func (k *kernel) del(_ context.Context, one container) error {
	k.one.Lock()
	defer k.one.Unlock()
	name := one.veth().HostName
	if _, err := k.host.Link(name); err != nil {
		return errors.Join(errors.New("nothing was attached"), err)
	}
	return k.host.Unplug(name, alias)
}

func (c container) veth() link.Veth {
	tail := c.addr.AsSlice()
	return link.Veth{
		HostName: "veth" + c.id[:11], HostMAC: append([]byte{0xfe, 0}, tail...), Alias: alias,
		IfName: "eth0", MAC: append([]byte{0x02, 0}, tail...), MTU: 1500,
	}
}
