// Package lan decides which blocks of addresses a host of a LAN has, when many hosts share one subnet and an etcd: it
// claims a block, writes it to the host's network configuration, and gives it back when it is empty.
//
// A block belongs to one host at a time, because etcd creates its key once. Three rules keep an address unique when
// hosts and etcd do not see each other:
//
//   - All keys of a host are on one lease. A host that has not renewed it for half of its time removes its network
//     configuration, so that no container gets an address of a block that another host may claim soon.
//   - When the program starts, it removes the network configuration until etcd has confirmed the blocks.
//   - A block that another host, or this host before a reboot, had is probed before its first use. If a host of the LAN
//     answers, the block is in quarantine.
//
// The package opens no file and no socket: etcd is a Registry, the host a Host. A test runs it against models of both, with
// partitions, power failures and clocks that differ.
//
//	r := lan.NewRunner(lan.Options{Network: "lan", Self: self, Registry: registry, Host: host, Random: rand.IntN})
//	r.Start()
//	for { r.Step(ctx); time.Sleep(lan.Interval) }
package lan
