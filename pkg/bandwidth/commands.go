package bandwidth

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Commands returns what Limit sends to the kernel as commands of tc(8) and ip(8), for `patchbay explain`; ipv6 is whether the ifb device has
// IPv6.
func (s Spec) Commands(i Interface, ipv6 bool) (commands [][]string) {
	if s.Ingress.Rate != 0 {
		commands = append(commands, s.ingressCommands(i)...)
	}
	if s.Egress.Rate == 0 {
		return commands
	}
	configure := []string{"ip", "link", "set", "dev", s.Device, "alias", s.Alias}
	if ipv6 {
		configure = append(configure, "addrgenmode", "none")
	}
	commands = append(commands,
		[]string{"ip", "link", "add", "name", s.Device, "mtu", strconv.Itoa(i.MTU), "numtxqueues", "1", "numrxqueues", "1", "type", "ifb"},
		configure,
		[]string{"ip", "link", "set", "dev", s.Device, "up"},
		s.Egress.bucket(i.MTU).command(s.Device),
		[]string{"tc", "qdisc", "add", "dev", i.Name, "clsact"},
	)
	const anyDevice = 1
	for _, f := range s.egressFilters(anyDevice) {
		commands = append(commands, f.command(i.Name, s.Device, "ingress"))
	}
	return commands
}

// ingressCommands returns the commands for the root qdisc of the host interface.
func (s Spec) ingressCommands(i Interface) [][]string {
	b := s.Ingress.bucket(i.MTU)
	if !s.hasSubnets() {
		return [][]string{b.command(i.Name)}
	}
	root, class, rate, burst := handleText(rootHandle), handleText(shapedClass), b.rateText(), b.burstText()
	commands := [][]string{
		{"tc", "qdisc", "add", "dev", i.Name, "root", "handle", root, "htb"},
		{"tc", "class", "add", "dev", i.Name, "parent", root, "classid", class, "htb", "rate", rate, "ceil", rate, "burst", burst, "cburst", burst, "quantum", strconv.Itoa(htbQuantum)},
		{"tc", "qdisc", "add", "dev", i.Name, "parent", class, "handle", handleText(leafHandle), "bfifo", "limit", strconv.FormatUint(uint64(b.queue), 10)},
	}
	for _, f := range s.ingressFilters() {
		commands = append(commands, f.command(i.Name, "", "parent", root))
	}
	return commands
}

// handleText returns a handle as tc(8) reads it: 5042: or 5042:1.
func handleText(handle uint32) string {
	if minor := handle & 0xffff; minor != 0 {
		return fmt.Sprintf("%x:%x", handle>>16, minor)
	}
	return fmt.Sprintf("%x:", handle>>16)
}

func (b bucket) rateText() string { return strconv.FormatUint(8*b.rate, 10) + "bit" }

func (b bucket) burstText() string { return strconv.FormatUint(uint64(b.burst), 10) + "b" }

// command returns the command of tc(8) that makes the bucket the root qdisc of an interface.
func (b bucket) command(ifname string) []string {
	return []string{
		"tc", "qdisc", "add", "dev", ifname, "root", "handle", handleText(rootHandle), "tbf",
		"rate", b.rateText(), "burst", b.burstText(), "limit", strconv.FormatUint(uint64(b.queue), 10) + "b",
	}
}

// command returns the command of tc(8) that adds the filter to an interface. A filter with a redirection leads to device.
func (f filter) command(ifname, device string, at ...string) []string {
	protocol := map[uint16]string{unix.ETH_P_IP: "ip", unix.ETH_P_IPV6: "ipv6", unix.ETH_P_ALL: "all"}[f.protocol]
	words := slices.Concat([]string{"tc", "filter", "add", "dev", ifname}, at, []string{"protocol", protocol, "pref", strconv.Itoa(int(f.priority)), "u32"})
	for _, k := range f.keys {
		words = append(words, "match", "u32", hexWord(k.value), hexWord(k.mask), "at", strconv.Itoa(int(k.offset)))
	}
	if f.redirect != 0 {
		return append(words, "action", "mirred", "egress", "redirect", "dev", device)
	}
	class := handleText(f.class)
	if f.class == rootHandle { // tc(8) reads 5042: as a handle only
		class += "0"
	}
	return append(words, "flowid", class)
}

func hexWord(word [4]byte) string { return fmt.Sprintf("0x%08x", binary.BigEndian.Uint32(word[:])) }

// JoinCommands returns what Join sends to the kernel as commands of tc(8), for `patchbay explain`.
func JoinCommands(a, b string) (commands [][]string) {
	const anyDevice = 1
	for _, way := range [][2]string{{a, b}, {b, a}} {
		commands = append(commands,
			[]string{"tc", "qdisc", "add", "dev", way[0], "clsact"},
			redirection(anyDevice).command(way[0], way[1], "ingress"))
	}
	return commands
}
