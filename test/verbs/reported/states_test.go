package reported

import "testing"

// Claim: STATUS returns code 50 or 51, with ADD's message, where every ADD fails, and 0 where ADD succeeds: for each state of bridge,
// kernel, files and pools
// Claim: A sysctl that is already correct, or that the network does not need, is never fatal; IPv6 that is off is enabled on interfaces
// that Patchbay creates; an interface of another owner that does not forward is named
// Claim: Details follow from the object of an error; a verb has one deadline for all locks, and code 11 names the process that holds the
// lock
func TestHostStates(t *testing.T) { runRows(t, states()) }

func states() []row {
	const ipv6, sysctls, forwarding, truth, object, held = "IPv6 switched off", "sysctls that are right or not needed", "an interface that does not forward", "STATUS is 50 if every ADD fails", "details follow from the object", "a stopped process holds a lock"
	return []row{
		{"14", "all.disable_ipv6=1 before the bridge is created, dual stack", ipv6, ipv6OffEverywhere},
		{"14.1", "default.disable_ipv6=1 alone, and lo alone", ipv6, ipv6OffByDefault},
		{"14.2", "off in the container, as Docker and containerd set it, addresses of static", ipv6, ipv6OffInContainer},
		{"14.3", "off on an adopted bridge", ipv6, ipv6OffOnAdoptedBridge},
		{"14.4", "a kernel without IPv6", ipv6, ipv6NotInKernel},
		{"14.5", "off after containers were attached: CHECK, doctor, reload", ipv6, ipv6OffLater},
		{"14.6", "off, and /proc/sys read-only", ipv6, ipv6OffReadOnly},

		{"15", "sysctls read-only, ip_forward is 1, IPv4", sysctls, readOnlyRouted},
		{"15.1", "sysctls read-only, a network that is not routed", sysctls, readOnlyPlain},
		{"15.2", "sysctls read-only, published ports", sysctls, readOnlyPorts},
		{"15.3", "sysctls read-only, dual stack, forwarding is on", sysctls, readOnlyDualStack},
		{"15.4", "only those of IPv6 read-only", sysctls, readOnlyIPv6},
		{"15.5", "sysctls read-only, ip_forward is 0", sysctls, readOnlyNotForwarding},
		{"15.6", "sysctls read-only in up and attach", sysctls, readOnlyPeople},

		{"16", "ip_forward is 1, default.forwarding 0", forwarding, defaultNotForwarding},
		{"16.1", "ip_forward is 1, the uplink's forwarding 0", forwarding, uplinkNotForwarding},
		{"16.2", "an adopted bridge that does not forward", forwarding, adoptedNotForwarding},
		{"16.3", "IPv6: default.forwarding and the uplink's are 0", forwarding, ipv6InterfacesNotForwarding},
		{"16.4", "our bridge is set to 0 later: CHECK, doctor, reload", forwarding, bridgeNotForwardingLater},
		{"16.5", "default.forwarding 0, and /proc/sys read-only", forwarding, defaultNotForwardingReadOnly},

		{"17", "another address, another link, a full or isolated bridge, no IPv6", truth, sameSentence(bridgeStates())},
		{"17.1", "sysctls, nftables, capabilities", truth, sameSentence(kernelStates())},
		{"17.2", "directories and files", truth, sameSentence(directoryStates())},
		{"17.3", "pools and IPAM plugins", truth, sameSentence(poolStates())},

		{"18", "netlink refuses, by errno", object, netlinkRefuses},
		{"18.1", "a sysctl cannot be written, by errno", object, sysctlRefuses},
		{"18.2", "a state file cannot be written, by errno", object, stateRefuses},
		{"18.3", "the caller may not open /proc/1/ns/net", object, namespaceRefuses},
		{"18.4", "ipam.resolvConf cannot be read", object, configuredFileRefuses},
		{"18.5", "the undo fails", object, undoRefuses},

		{"20", "a record: DEL", held, recordHeld},
		{"20.1", "ruleset and addresses: DEL waits once", held, allHeld},
		{"20.2", "the ruleset: ADD, which undoes", held, rulesetHeldInADD},
		{"20.3", "the addresses: ADD, also as IPAM of another main plugin", held, networkHeldInADD},
		{"20.4", "a record and the addresses: GC of four", held, heldInGC},
		{"20.5", "the ruleset: reload, doctor, gc", held, heldInCommands},
		{"20.6", "a record and the addresses: CHECK and STATUS", held, heldAndChecked},
	}
}
