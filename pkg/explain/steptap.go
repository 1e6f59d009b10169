package explain

import (
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// makeTap makes the tap, and joins it with the container interface, which gets no address.
func (p *Plan) makeTap() []Command {
	r, t := p.Record, p.Record.Tap
	add := []string{"tuntap", "add", "dev", t.Name, "mode", "tap"}
	if t.Owner != nil {
		add = append(add, "user", strconv.FormatUint(uint64(*t.Owner), 10))
	}
	if t.Group != nil {
		add = append(add, "group", strconv.FormatUint(uint64(*t.Group), 10))
	}
	add = append(add, "vnet_hdr")
	if t.MultiQueue {
		add = append(add, "multi_queue")
	}
	configure := []string{"link", "set", "dev", t.Name, "alias", alias(r.Alias), "address", p.hostMAC, "mtu", strconv.Itoa(p.mtu)}
	bare := []string{"link", "set", "dev", r.IfName}
	if link.HasIPv6(p.mtu) {
		configure, bare = append(configure, "addrgenmode", "none"), append(bare, "addrgenmode", "none")
	}
	all := []Command{
		{Why: "the tap that a virtual machine monitor opens, for one user or group", Argv: p.inside(add...)},
		{Why: "the alias names the attachment; addresses are those of the guest", Argv: p.inside(configure...)},
		{Why: "frames to it are dropped until a program opens it", Argv: p.inside("link", "set", "dev", t.Name, "up")},
	}
	for _, words := range bandwidth.JoinCommands(r.IfName, t.Name) {
		all = append(all, Command{Why: "each frame that arrives at one of the two leaves by the other, before the kernel reads it", Argv: append([]string{words[0], "-n", p.Netns.Word}, words[1:]...)})
	}
	if link.HasIPv6(p.mtu) {
		all = append(all, Command{Why: "no address for the container interface either", Argv: p.inside(bare...)})
	}
	all = append(all, Command{Why: "the interface is up only now: rules are in place", Argv: p.inside("link", "set", "dev", r.IfName, "up")})
	if len(r.Addresses) > 0 {
		all = append(all, Command{Why: "ADD then announces the addresses of the guest (gratuitous ARP, neighbour advertisement); no command for that"})
	}
	return all
}
