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
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
)

type initFlags struct {
	etcdFlags
	config lan.Config
}

func initCommand() command {
	f := &initFlags{}
	return command{
		name: "init", takes: "NETWORK", words: 1, short: "write the configuration of a network to etcd, once for all hosts",
		long: `Writes which subnet the LAN has, which part of it is cut into blocks, and how large a block is. Call it
once, on any host. If etcd has the same configuration already, nothing is changed; one with other
values is an error.

Choose a --pool that nothing else on the LAN uses: neither a DHCP server, nor a host with a fixed
address. A host of the LAN within the pool is named by --exclude. The pool needs more blocks than there
are hosts.

  patchbay-lan init lan --subnet 192.0.2.0/24 --pool 192.0.2.128/25 --block 28 --gateway 192.0.2.1`,
		flags: f.register, run: f.init,
	}
}

func (f *initFlags) register(flags *flag.FlagSet) {
	prefixFlag(flags, &f.config.Subnet, "subnet", "`subnet` of the LAN, such as 192.0.2.0/24 or 2001:db8:0:1::/64")
	prefixFlag(flags, &f.config.Pool, "pool", "`part` of the subnet that containers get addresses of (default: all of it)")
	flags.IntVar(&f.config.Block, "block", 0, "prefix `length` of a block (default: 64 addresses, /26 or /122)")
	flags.Func("gateway", "`address` of the router; without it containers have no default route", func(text string) (err error) {
		f.config.Gateway, err = netip.ParseAddr(text)
		return err
	})
	flags.Func("exclude", "`address` or CIDR that no container gets; repeat it for more", func(text string) error {
		p, err := netip.ParsePrefix(text)
		if addr, failed := netip.ParseAddr(text); failed == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		f.config.Exclude = append(f.config.Exclude, p)
		return err
	})
	f.etcdFlags.register(flags)
}

// prefixFlag registers an option whose value is an address and a prefix length.
func prefixFlag(flags *flag.FlagSet, into *netip.Prefix, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		*into, err = netip.ParsePrefix(text)
		return err
	})
}

func (f *initFlags) init(out io.Writer, args []string) error {
	if !f.config.Subnet.IsValid() {
		return errors.New("init: --subnet is missing; see patchbay-lan help init")
	}
	c, err := f.config.Complete()
	if err != nil {
		return err
	}
	return f.using(args[0], func(client *clientv3.Client) error {
		created, err := registry.Initialize(context.Background(), client, args[0], c)
		if err != nil {
			return err
		}
		what := "unchanged"
		if created {
			what = "created"
		}
		sayLine(out, "%s: %s, subnet %s, %s", args[0], what, c.Subnet, size(c))
		return nil
	})
}

// size says how many hosts and containers a network has addresses for.
func size(c lan.Config) string {
	return fmt.Sprintf("%d blocks of /%d in %s", c.Blocks(), c.Block, c.Pool)
}
