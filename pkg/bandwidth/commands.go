package bandwidth

import (
	"fmt"
	"strconv"
)

// Commands returns what Limit sends to the kernel as commands of tc(8) and ip(8), for `patchbay explain`; ipv6 is whether the ifb device has
// IPv6. A Spec with subnets has none: its filters compare words of the headers.
func (s Spec) Commands(i Interface, ipv6 bool) (commands [][]string, complete bool) {
	if s.hasSubnets() {
		return nil, false
	}
	if s.Ingress.Rate != 0 {
		commands = append(commands, s.Ingress.bucket(i.MTU).command(i.Name))
	}
	if s.Egress.Rate == 0 {
		return commands, true
	}
	configure := []string{"ip", "link", "set", "dev", s.Device, "alias", s.Alias}
	if ipv6 {
		configure = append(configure, "addrgenmode", "none")
	}
	return append(commands,
		[]string{"ip", "link", "add", "name", s.Device, "mtu", strconv.Itoa(i.MTU), "numtxqueues", "1", "numrxqueues", "1", "type", "ifb"},
		configure,
		[]string{"ip", "link", "set", "dev", s.Device, "up"},
		s.Egress.bucket(i.MTU).command(s.Device),
		[]string{"tc", "qdisc", "add", "dev", i.Name, "clsact"},
		[]string{
			"tc", "filter", "add", "dev", i.Name, "ingress", "protocol", "all", "pref", strconv.Itoa(priorityAll), "u32", "match", "u32", "0", "0",
			"action", "mirred", "egress", "redirect", "dev", s.Device,
		}), true
}

// command returns the command of tc(8) that makes the bucket the root qdisc of an interface.
func (b bucket) command(ifname string) []string {
	return []string{
		"tc", "qdisc", "add", "dev", ifname, "root", "handle", fmt.Sprintf("%x:", rootHandle>>16), "tbf",
		"rate", strconv.FormatUint(8*b.rate, 10) + "bit", "burst", strconv.FormatUint(uint64(b.burst), 10) + "b", "limit", strconv.FormatUint(uint64(b.queue), 10) + "b",
	}
}
