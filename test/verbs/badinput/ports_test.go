package badinput

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestBadPorts: invalid port mappings and isolation.
//
// Claim: Every mistake in a port mapping or in a key of ports and isolation is a specific error before anything is changed
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
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the round robin position changed; it is not a reservation
	b.try(t, portsTaken(owner))
}

// published returns a network and the port mappings that a runtime passes.
func published(mappings string) string {
	return `"runtimeConfig": {"portMappings": [` + mappings + `]}`
}

// badMapping returns a row whose second mapping is invalid; of a duplicate key the last one counts.
func badMapping(name, mapping, msg, details string) row {
	return row{
		name: "portMappings/" + name, code: 7, details: details, msg: "runtimeConfig.portMappings[1]." + msg,
		config: subnetWith(published(`{"hostPort": 22, "containerPort": 22}, {"hostPort": 81, "containerPort": 80, ` + mapping + `}`)),
	}
}

func badMappings() []row {
	const port, number, addr = "give a port from 1 to 65535", "give a whole number", "give an address of the host, or leave the key out for any"
	return []row{
		badMapping("hostPort 70000", `"hostPort": 70000`, "hostPort: 70000 is not a port", port),
		badMapping("hostPort -1", `"hostPort": -1`, "hostPort: -1 is not a port", port),
		badMapping("hostPort of text", `"hostPort": "80"`, `hostPort: want a whole number, got "80"`, number),
		badMapping("containerPort 0", `"containerPort": 0`, "containerPort: 0 is not a port", port),
		badMapping("containerPort 70000", `"containerPort": 70000`, "containerPort: 70000 is not a port", port),
		badMapping("containerPort missing", `"containerPort": null`, "containerPort: 0 is not a port", port),
		badMapping("containerPort of text", `"containerPort": "http"`, `containerPort: want a whole number, got "http"`, number),
		badMapping("protocol tpc", `"protocol": "tpc"`, `protocol: "tpc" is not known`, `give "tcp", "udp" or "sctp"`),
		badMapping("protocol of number", `"protocol": 6`, "protocol: want a string, got 6", "give a string"),
		badMapping("hostIP garbage", `"hostIP": "eth0"`, `hostIP: "eth0" is not an address of a host`, addr),
		badMapping("hostIP subnet", `"hostIP": "10.1.2.1/24"`, `hostIP: "10.1.2.1/24" is not an address of a host`, addr),
		badMapping("hostIP multicast", `"hostIP": "224.0.0.1"`, `hostIP: "224.0.0.1" is not an address of a host`, addr),
		badMapping("hostIP multicast of IPv6", `"hostIP": "ff02::1"`, `hostIP: "ff02::1" is not an address of a host`, addr),
		badMapping("hostIP of number", `"hostIP": 1`, "hostIP: want a string, got 1", "give a string"),
		badMapping("range of text", `"range": "2"`, `range: want a whole number, got "2"`, number),
		badMapping("range -1", `"range": -1`, "range: -1 is out of range", "give a number from 1 to 65535"),
		badMapping("range beyond the last port", `"hostPort": 65000, "range": 537`, "range: 537 ports would end at 65536", "the highest port is 65535"),
		badMapping("range beyond the container's last port", `"containerPort": 65535, "range": 2`, "range: 2 ports would end at 65536", "the highest port is 65535"),
	}
}

// mappingsTogether returns rows of mappings that are valid alone and conflict with each other.
func mappingsTogether() []row {
	together := func(name, first, second, msg, details string) row {
		return row{
			name: "portMappings/" + name, code: 7, msg: "runtimeConfig.portMappings: " + msg, details: details,
			config: subnetWith(published(`{"hostPort": 81, "containerPort": 80` + first + `}, {"hostPort": 81, "containerPort": 80` + second + `}`)),
		}
	}
	const once, most = "publish each port of the host once", "publish at most 4096 ports of one container"
	return []row{
		together("twice, for two ports", ``, `, "containerPort": 90`, "81/tcp -> 80 and 81/tcp -> 90 both publish 81/tcp", once),
		together("twice of one address, for two ports", `, "hostIP": "10.1.2.1"`, `, "containerPort": 90, "hostIP": "::ffff:10.1.2.1"`, "81/tcp of 10.1.2.1 -> 80 and 81/tcp of 10.1.2.1 -> 90 both publish 81/tcp", once),
		together("any and one, for two ports", ``, `, "containerPort": 90, "hostIP": "10.1.2.1"`, "81/tcp -> 80 and 81/tcp of 10.1.2.1 -> 90 both publish 81/tcp", once),
		together("one and any of its family, for two ports", `, "hostIP": "10.1.2.1"`, `, "containerPort": 90, "hostIP": "0.0.0.0"`, "81/tcp of 10.1.2.1 -> 80 and 81/tcp of 0.0.0.0 -> 90 both publish 81/tcp", once),
		together("ranges that overlap", `, "range": 20`, `, "hostPort": 100, "range": 20`, "81-100/tcp -> 80 and 100-119/tcp -> 80 both publish 100/tcp", once),
		together("a range of 5000", ``, `, "hostPort": 2000, "range": 5000`, "5001 ports are too many", most),
		together("4097 in sum", `, "range": 2048`, `, "hostPort": 4000, "range": 2049`, "4097 ports are too many", most),
		{
			name: "portMappings/wrong type", config: subnetWith(`"runtimeConfig": {"portMappings": "80:80"}`), code: 7,
			msg: `runtimeConfig.portMappings: want a list of objects, got "80:80"`, details: "give a list of objects",
		},
	}
}

// portKeys returns rows of the network's own keys; no port is published.
func portKeys() []row {
	key := func(members, msg, details string) row {
		return row{name: members, config: subnetWith(members), code: 7, msg: msg, details: details}
	}
	iptables := func(members, msg string) row {
		return row{name: members, config: subnetWith(members), code: 2, msg: msg + " applies to iptables only", details: "leave the key out"}
	}
	const flag, backend = "give true or false", `give "nftables" or "iptables"`
	return []row{
		key(`"snat": "no"`, `snat: want true or false, got "no"`, flag),
		key(`"masqAll": 1`, `masqAll: want true or false, got 1`, flag),
		key(`"masqAll": true, "snat": false`, `masqAll: cannot be true where snat is false`, "leave snat out, or set masqAll to false"),
		key(`"markMasqBit": 32`, `markMasqBit: 32 is out of range`, "give a number from 0 to 31"),
		key(`"markMasqBit": -1`, `markMasqBit: -1 is out of range`, "give a number from 0 to 31"),
		key(`"markMasqBit": "13"`, `markMasqBit: want a whole number, got "13"`, "give a whole number"),
		key(`"hostLocalhost": "yes"`, `hostLocalhost: want true or false, got "yes"`, flag),
		key(`"backend": "ipvs"`, `backend: "ipvs" is not known`, backend),
		key(`"backend": false`, `backend: want a string, got false`, "give a string"),
		key(`"ingressPolicy": "closed"`, `ingressPolicy: "closed" is not known`, `give "open", "same-bridge", "isolated" or "published"`),
		key(`"egress": ["10.0.0.0/8"]`, `egress: want an object, got ["10.0.0.0/8"]`, "give an object"),
		key(`"egress": {"alow": ["10.0.0.0/8"]}`, `egress: "alow" is not known`, `give "allow" and "default"`),
		key(`"egress": {"allow": "10.0.0.0/8"}`, `egress.allow: want a list of strings, got "10.0.0.0/8"`, "give a list of strings"),
		key(`"egress": {"allow": ["10.0.0.0/8", "::/0", "example.com"]}`, `egress.allow[2]: "example.com" is not a CIDR`, "names are not resolved"),
		key(`"egress": {"allow": ["10.1.2.3/8"]}`, `egress.allow[0]: "10.1.2.3/8" has bits set behind its prefix length`, "give 10.0.0.0/8, or 10.1.2.3 for the address alone"),
		key(`"egress": {"allow": ["fe80::1%eth0"]}`, `egress.allow[0]: "fe80::1%eth0" is not a CIDR`, "give a CIDR such as 10.0.0.0/8"),
		key(`"egress": {"allow": ["::ffff:10.0.0.0/104"]}`, `egress.allow[0]: "::ffff:10.0.0.0/104" is an IPv4-mapped IPv6 prefix, which no packet has as destination`, "give it as an IPv4 CIDR"),
		key(`"egress": {"default": "reject"}`, `egress.default: "reject" is not known`, `give "drop" or "accept"`),
		key(`"egress": {"default": true}`, `egress.default: want a string, got true`, "give a string"),
		key(`"egress": {"allow": []}, "spoofCheck": "none"`, `spoofCheck: cannot be "none" with egress: a container could choose another address`, "leave one of the two keys out"),
		key(`"egress": {"allow": []}, "spoofCheck": "mac"`, `spoofCheck: cannot be "mac" with egress: a container could choose another address`, "leave one of the two keys out"),
		key(`"outboundAddr4": "2001:db8::5"`, `outboundAddr4: "2001:db8::5" is not an IPv4 address`, "use outboundAddr6"),
		key(`"outboundAddr6": "192.0.2.5"`, `outboundAddr6: "192.0.2.5" is not an IPv6 address`, "use outboundAddr4"),
		key(`"outboundAddr4": "0.0.0.0"`, `outboundAddr4: "0.0.0.0" cannot be the source of a packet to another host`, "give a unicast address"),
		key(`"outboundAddr4": "224.0.0.1"`, `outboundAddr4: "224.0.0.1" cannot be the source of a packet to another host`, "give a unicast address"),
		key(`"outboundAddr6": "fe80::1"`, `outboundAddr6: "fe80::1" cannot be the source of a packet to another host`, "give a unicast address"),
		key(`"outboundAddr4": "192.0.2.5/24"`, `outboundAddr4: "192.0.2.5/24" is not an IP address`, "without a prefix length"),
		key(`"outboundAddr4": "eth0"`, `outboundAddr4: "eth0" is not an IP address`, "give one address"),
		key(`"outboundAddr4": "192.0.2.5", "masqFamilies": ["ipv6"]`, `outboundAddr4: masqFamilies does not contain "ipv4"`, "leave one of the two keys out"),
		key(`"ingressPolicy": true`, `ingressPolicy: want a string, got true`, "give a string"),
		key(`"spoofCheck": "ip"`, `spoofCheck: "ip" is not known`, `give "none", "mac" or "full"`),
		key(`"spoofCheck": "none", "macspoofchk": true`, `spoofCheck: cannot be "none" where macspoofchk is true`, "leave out one of the two keys"),
		key(`"macspoofchk": "yes"`, `macspoofchk: want true or false, got "yes"`, flag),
		key(`"stpGuard": 0`, `stpGuard: want true or false, got 0`, flag),
		key(`"firewall": "ufw"`, `firewall: "ufw" is not known`, `give "report", "auto" or "none"`),
		key(`"firewall": false`, `firewall: want a string, got false`, "give a string"),
		iptables(`"externalSetMarkChain": "KUBE-MARK-MASQ"`, `externalSetMarkChain: "KUBE-MARK-MASQ"`),
		iptables(`"conditionsV4": ["-d", "192.0.2.0/24"]`, `conditionsV4: ["-d","192.0.2.0/24"]`),
		iptables(`"conditionsV6": ["-d", "2001:db8::/64"]`, `conditionsV6: ["-d","2001:db8::/64"]`),
	}
}

// portsTaken returns rows of ports that another attachment has published; the other network has nothing else in
// common.
func portsTaken(owner string) []row {
	_, attachment, _ := strings.Cut(owner, " ") // the comment of an element is a hash and the attachment
	taken := func(name, thing, mapping string, keys ...string) row {
		return row{
			name: "taken/" + name, code: 102, msg: fmt.Sprintf("host %s is already published by %s", thing, attachment), details: "remove that mapping or choose another hostPort (patchbay ports",
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
