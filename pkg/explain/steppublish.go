package explain

import "github.com/patchbay-cni/patchbay/pkg/link"

// publish adds the rules before the container interface is up.
func (p *Plan) publish() (all []Command) {
	for _, words := range p.admit {
		all = append(all, Command{Why: `"firewall": "auto": docker drops what is forwarded, and lets pass what its chain DOCKER-USER accepts`, Argv: words})
	}
	for _, part := range []struct{ why, text string }{
		{"the tables of nftables with what is the same on every host, once for all networks", p.rules.Tables},
		{"the chains of the network, whose names have a hash of their rules", p.rules.Chains},
		{"the elements of the bridge and of this attachment, by which the rules know it", p.rules.Elements},
	} {
		if part.text != "" {
			all = append(all, Command{Why: part.why, Argv: []string{"nft", "-f", "-"}, Stdin: part.text})
		}
	}
	if p.localnet {
		all = append(all, Command{
			Why:  "published ports answer at 127.0.0.1; only after the rule that keeps others from 127.0.0.0/8",
			Argv: set([]link.Sysctl{sysctl("1", "ipv4", "conf", p.Record.RoutedBy(), "route_localnet")}),
		})
	}
	return all
}
