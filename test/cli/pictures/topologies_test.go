package pictures

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// topology is a host that the page shows, and that the tests of the formats draw.
type topology struct {
	name, title, about string
	make               func(s *scene)
}

func topologies() []topology {
	return []topology{
		{"gateway", "A bridge with a gateway", "Two pods on a bridge whose address is their gateway. Port 8080 of the host leads to one of them; the outside sees the host.", gateway},
		{"lan", "A bridge on the LAN", "The host's own bridge has the network card as its uplink: containers have addresses of the LAN, and its router is theirs.", lan},
		{"networks", "Containers with several networks", "A database with a front and a back network. Of two default routes the one with the smaller metric is used.", networks},
		{"limits", "Limits and policies", "Rates of what a container sends and receives, who may reach it, and where it may open connections to.", limits},
		{"drift", "What is wrong", "A host interface that was deleted, an address that was removed, and a ruleset without a published port.", drift},
	}
}

func gateway(s *scene) {
	conf := cni.Network(cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.88.0.0/24", "fd00:88::/64"))
	s.attach(s.Container("web"), "eth0", podArgs("default", "web-7d4b9c8f6d-abcde"), conf.With(cni.Ports(cni.Conf{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"})))
	s.attach(s.Container("db"), "eth0", podArgs("default", "db-0"), conf)
}

func lan(s *scene) {
	s.LAN(s.t)
	for _, name := range []string{"web", "mail"} {
		s.attach(s.Container(name), "eth0", "", cni.Network(cni.Conf{"name": "lan", "bridge": "br0", "ipam": cni.Conf{
			"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "gateway": "192.0.2.1"}}},
			"routes": []cni.Conf{{"dst": "0.0.0.0/0"}},
		}}))
	}
}

func networks(s *scene) {
	network := func(name, bridge, subnet string, priority int) cni.Conf {
		return cni.Network(cni.Gateway(), cni.Conf{"name": name, "bridge": bridge, "ipam": cni.Conf{
			"type": "patchbay", "ranges": cni.Ranges(subnet), "routes": []cni.Conf{{"dst": "0.0.0.0/0", "priority": priority}},
		}})
	}
	front, back := network("front", "front0", "10.1.0.0/24", 100), network("back", "back0", "10.2.0.0/24", 200)
	web, db := s.Container("web"), s.Container("db")
	s.attach(web, "eth0", "", front)
	s.attach(db, "eth0", "", front)
	s.attach(db, "net1", "", back)
	s.attach(s.Container("backup"), "eth0", "", back)
}

func limits(s *scene) {
	s.attach(s.Container("download"), "eth0", "", cni.Network(cni.DefaultGateway(), cni.Pool("10.3.0.0/24"), cni.Conf{
		"name": "jobs", "bridge": "jobs0", "ingressRate": 10_000_000, "egressRate": 2_500_000, "ingressPolicy": "published",
		"egress": cni.Conf{"allow": []string{"198.51.100.0/24", "203.0.113.7"}}, "dns": cni.Conf{"nameservers": []string{"192.0.2.53"}},
	}))
	s.attach(s.Container("tenant"), "eth0", "", cni.Network(cni.DefaultGateway(), cni.Pool("10.4.0.0/24"), cni.Conf{
		"name": "tenant", "bridge": "tenant0", "ingressPolicy": "isolated", "portIsolation": true,
	}))
}

func drift(s *scene) {
	gateway(s)
	s.attach(s.Container("gone"), "eth0", "", cni.Network(cni.Pool("10.88.0.0/24", "fd00:88::/64")))
	s.NoOracle("what was done by hand is not the plugin's to undo")
	for _, a := range s.view().Attachments {
		if a.Network == "net" && a.Pod() == nil {
			s.Run(s.t, "ip", "link", "del", a.HostLink.Name)
		}
	}
	s.Run(s.t, "sh", "-c", `sed -i 's/"created": *"[^"]*"/"created": "2026-01-01T00:00:00Z"/' /run/patchbay/net/gone*`) // no ADD is in progress
	s.Run(s.t, "ip", "-n", "db", "-6", "address", "flush", "dev", "eth0", "scope", "global")
	s.Run(s.t, "nft", "flush", "map", "inet", "patchbay", "publish4")
}

// each runs a test on a host of each topology.
func each(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Helper()
	for _, one := range topologies() {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			one.make(s)
			test(t, s)
		})
	}
}
