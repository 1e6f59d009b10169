package badinput

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestBadPorts: every way to ask for a port, or for isolation, that cannot be.
func TestBadPorts(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	nettest.Need(t, nettest.Tool("nft"))
	neighbour := subnetWith(published(`{"hostPort": 8080, "containerPort": 80}, {"hostPort": 9090, "containerPort": 90, "hostIP": "10.1.2.1", "protocol": "udp"}`) + `, "isGateway": true, "markMasqBit": 20`)
	b.attach(t, "neighbour", neighbour)
	owner := regexp.MustCompile(`patchbay:[0-9a-f]{12} net/neighbour/eth0`).FindString(b.Run(t, "nft", "list", "ruleset"))
	b.try(t, badMappings())
	b.try(t, mappingsTogether())
	b.try(t, portKeys())
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the cursor went on; it is no reservation
	b.try(t, portsTaken(owner))
}

// published are the ports that a runtime asks for.
func published(mappings string) string {
	return `"runtimeConfig": {"portMappings": [` + mappings + `]}`
}

// badMapping is a row whose second mapping is bad; of a key that is there twice the last counts.
func badMapping(name, mapping, msg, details string) row {
	return row{
		name: "portMappings/" + name, code: 7, details: details, msg: "runtimeConfig.portMappings[1]." + msg,
		config: subnetWith(published(`{"hostPort": 22, "containerPort": 22}, {"hostPort": 81, "containerPort": 80, ` + mapping + `}`)),
	}
}

func badMappings() []row {
	const port, number, addr = "give a port from 1 to 65535", "give a whole number", "give an address of the host, or leave the key out for any"
	return []row{
		badMapping("hostPort 0", `"hostPort": 0`, "hostPort: 0 is no port", port),
		badMapping("hostPort 70000", `"hostPort": 70000`, "hostPort: 70000 is no port", port),
		badMapping("hostPort -1", `"hostPort": -1`, "hostPort: -1 is no port", port),
		badMapping("hostPort of text", `"hostPort": "80"`, `hostPort: want a whole number, got "80"`, number),
		badMapping("containerPort 0", `"containerPort": 0`, "containerPort: 0 is no port", port),
		badMapping("containerPort 70000", `"containerPort": 70000`, "containerPort: 70000 is no port", port),
		badMapping("containerPort missing", `"containerPort": null`, "containerPort: 0 is no port", port),
		badMapping("containerPort of text", `"containerPort": "http"`, `containerPort: want a whole number, got "http"`, number),
		badMapping("protocol tpc", `"protocol": "tpc"`, `protocol: "tpc" is not known`, `give "tcp", "udp" or "sctp"`),
		badMapping("protocol of number", `"protocol": 6`, "protocol: want a text, got 6", "give a text"),
		badMapping("hostIP garbage", `"hostIP": "eth0"`, `hostIP: "eth0" is no address of a host`, addr),
		badMapping("hostIP subnet", `"hostIP": "10.1.2.1/24"`, `hostIP: "10.1.2.1/24" is no address of a host`, addr),
		badMapping("hostIP multicast", `"hostIP": "224.0.0.1"`, `hostIP: "224.0.0.1" is no address of a host`, addr),
		badMapping("hostIP multicast of IPv6", `"hostIP": "ff02::1"`, `hostIP: "ff02::1" is no address of a host`, addr),
		badMapping("hostIP ::1", `"hostIP": "::1"`, "hostIP: ::1 cannot be published on", "use 127.0.0.1"),
		badMapping("hostIP of no family of ours", `"hostIP": "2001:db8::1"`, "hostIP: 2001:db8::1 is of a family that network net has no addresses of", "a range of that family to ipam"),
		badMapping("hostIP of number", `"hostIP": 1`, "hostIP: want a text, got 1", "give a text"),
		badMapping("range of text", `"range": "2"`, `range: want a whole number, got "2"`, number),
		badMapping("range -1", `"range": -1`, "range: -1 is out of range", "give a number from 1 to 65535"),
		badMapping("range beyond the last port", `"hostPort": 65000, "range": 537`, "range: 537 ports would end at 65536", "the last port there is is 65535"),
		badMapping("range beyond the container's last port", `"containerPort": 65535, "range": 2`, "range: 2 ports would end at 65536", "the last port there is is 65535"),
	}
}

// mappingsTogether are mappings of which each by itself is good.
func mappingsTogether() []row {
	together := func(name, first, second, msg, details string) row {
		return row{
			name: "portMappings/" + name, code: 7, msg: "runtimeConfig.portMappings: " + msg, details: details,
			config: subnetWith(published(`{"hostPort": 81, "containerPort": 80` + first + `}, {"hostPort": 81, "containerPort": 80` + second + `}`)),
		}
	}
	const once, most = "publish each port of the host once", "publish at most 4096 ports of one container"
	return []row{
		together("twice", ``, ``, "81/tcp and 81/tcp have 81/tcp in common", once),
		together("twice of one address", `, "hostIP": "10.1.2.1"`, `, "hostIP": "::ffff:10.1.2.1"`, "81/tcp of 10.1.2.1 and 81/tcp of 10.1.2.1 have 81/tcp in common", once),
		together("any and one", ``, `, "hostIP": "10.1.2.1"`, "81/tcp and 81/tcp of 10.1.2.1 have 81/tcp in common", once),
		together("one and any of its family", `, "hostIP": "10.1.2.1"`, `, "hostIP": "0.0.0.0"`, "81/tcp of 10.1.2.1 and 81/tcp of 0.0.0.0 have 81/tcp in common", once),
		together("ranges that overlap", `, "range": 20`, `, "hostPort": 100, "range": 20`, "81-100/tcp and 100-119/tcp have 100/tcp in common", once),
		together("a range of 5000", ``, `, "hostPort": 2000, "range": 5000`, "5001 ports are too many", most),
		together("4097 in sum", `, "range": 2048`, `, "hostPort": 4000, "range": 2049`, "4097 ports are too many", most),
		{
			name: "portMappings/no addresses", config: network(`"bridge": "br0"`, published(`{"hostPort": 81, "containerPort": 80}`)), code: 7,
			msg: "runtimeConfig.portMappings: network net has no addresses that ports could lead to", details: `give the network addresses with "ipam"`,
		},
		{
			name: "portMappings/wrong type", config: subnetWith(`"runtimeConfig": {"portMappings": "80:80"}`), code: 7,
			msg: `runtimeConfig.portMappings: want a list of objects, got "80:80"`, details: "give a list of objects",
		},
	}
}

// portKeys are the network's own keys; no port is published.
func portKeys() []row {
	key := func(members, msg, details string) row {
		return row{name: members, config: subnetWith(members), code: 7, msg: msg, details: details}
	}
	iptables := func(members, msg string) row {
		return row{name: members, config: subnetWith(members), code: 2, msg: msg + " is for iptables alone", details: "leave the key out"}
	}
	const flag, backend = "give true or false", `give "nftables" or "iptables"`
	local := published(`{"hostPort": 81, "containerPort": 80, "hostIP": "127.0.0.1"}`)
	const unreached = "runtimeConfig.portMappings[0].hostIP: 127.0.0.1 is not reached where hostLocalhost or snat is false"
	return []row{
		key(`"snat": "no"`, `snat: want true or false, got "no"`, flag),
		key(`"masqAll": 1`, `masqAll: want true or false, got 1`, flag),
		key(`"masqAll": true, "snat": false`, `masqAll: cannot be true where snat is false`, "leave snat out, or set masqAll to false"),
		key(`"markMasqBit": 32`, `markMasqBit: 32 is out of range`, "give a number from 0 to 31"),
		key(`"markMasqBit": -1`, `markMasqBit: -1 is out of range`, "give a number from 0 to 31"),
		key(`"markMasqBit": "13"`, `markMasqBit: want a whole number, got "13"`, "give a whole number"),
		key(`"hostLocalhost": "yes"`, `hostLocalhost: want true or false, got "yes"`, flag),
		key(`"hostLocalhost": false, `+local, unreached, "leave hostLocalhost and snat out"),
		key(`"snat": false, `+local, unreached, "leave hostLocalhost and snat out"),
		key(`"backend": "ipvs"`, `backend: "ipvs" is not known`, backend),
		key(`"backend": false`, `backend: want a text, got false`, "give a text"),
		key(`"ingressPolicy": "closed"`, `ingressPolicy: "closed" is not known`, `give "open", "same-bridge" or "isolated"`),
		key(`"ingressPolicy": true`, `ingressPolicy: want a text, got true`, "give a text"),
		key(`"firewall": "ufw"`, `firewall: "ufw" is not known`, `give "report", "auto" or "none"`),
		key(`"firewall": false`, `firewall: want a text, got false`, "give a text"),
		iptables(`"externalSetMarkChain": "KUBE-MARK-MASQ"`, `externalSetMarkChain: "KUBE-MARK-MASQ"`),
		iptables(`"conditionsV4": ["-d", "192.0.2.0/24"]`, `conditionsV4: ["-d","192.0.2.0/24"]`),
		iptables(`"conditionsV6": ["-d", "2001:db8::/64"]`, `conditionsV6: ["-d","2001:db8::/64"]`),
	}
}

// portsTaken are ports that another attachment has; network other shares nothing else with it.
func portsTaken(owner string) []row {
	taken := func(name, thing, mapping string, keys ...string) row {
		return row{
			name: "taken/" + name, code: 102, msg: fmt.Sprintf("%s belongs to another attachment: %q", thing, owner), details: "use another hostPort, or end the other one (patchbay ports",
			config: subnetWith(strings.Join(append([]string{published(mapping)}, keys...), ", ")),
		}
	}
	return []row{
		taken("the same", "port 8080/tcp", `{"hostPort": 8080, "containerPort": 80}`),
		taken("one where it has any", "port 8080/tcp", `{"hostPort": 8080, "containerPort": 80, "hostIP": "192.0.2.1"}`),
		taken("any where it has one", "port 9090/udp of 10.1.2.1", `{"hostPort": 9090, "containerPort": 80, "protocol": "udp"}`),
		taken("the same one", "port 9090/udp of 10.1.2.1", `{"hostPort": 9090, "containerPort": 80, "protocol": "udp", "hostIP": "10.1.2.1"}`),
		taken("the last of a range", "port 8080/tcp", `{"hostPort": 8000, "containerPort": 80, "range": 81}`),
		taken("with another mark", "port 8080/tcp", `{"hostPort": 8080, "containerPort": 80}`, `"markMasqBit": 20`),
	}
}
