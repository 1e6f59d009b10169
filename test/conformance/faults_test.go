package conformance

import "slices"

// fault is a wrapper of a plugin that passes every check. $P is the plugin; script breaks what the check is about, so that it fails with
// a reason that begins so.
type fault struct{ check, reason, script string }

// Parts of scripts.
const (
	add  = `[ "$CNI_COMMAND" = ADD ]`
	del  = `[ "$CNI_COMMAND" = DEL ]`
	ns   = `ip netns exec "${CNI_NETNS##*/}"`
	then = `out=$($P); s=$?; `
	rest = `; printf '%s\n' "$out"; exit $s`
)

// output changes what a verb prints.
func output(verb, sed string) string {
	return then + `[ "$CNI_COMMAND" = ` + verb + ` ] && out=$(printf '%s\n' "$out" | sed '` + sed + `')` + rest
}

// afterAdd runs a step after an ADD that succeeded.
func afterAdd(step string) string { return then + add + ` && [ $s = 0 ] && ` + step + rest }

// beforeAll runs a step before the plugin.
func beforeAll(step string) string { return step + "\nexec $P" }

func faults() []fault {
	return slices.Concat(protocolFaults(), resultFaults(), verbFaults(), otherFaults())
}

// protocolFaults break the protocol: parameters, versions, errors.
func protocolFaults() []fault {
	return []fault{
		{"version-answer", "supportedVersions has \"0.0.9\", which is not released", output("VERSION", `s/"0.1.0"/"0.0.9"/`)},
		{"version-echo", "cniVersion is 1.1.0 for an input of 1.0.0", output("VERSION", `s/"cniVersion": "1.0.0"/"cniVersion": "1.1.0"/`)},
		{"version-environment", "VERSION fails: exit status without an error object", beforeAll(`[ -n "${CNI_PATH+x}" ] || exit 1`)},
		{"command-unknown", "CNI_COMMAND=REPAIR succeeds", `$P; exit 0`},
		{"command-unknown-code", "CNI_COMMAND=REPAIR: code 7 instead of 4", output("REPAIR", `s/"code": 4/"code": 7/`)},
		{"cniversion-unsupported", "ADD with cniVersion 9.9.9 succeeds", beforeAll(`exec <<E
$(sed 's/9[.]9[.]9/1.1.0/')
E`)},
		{"args-unset", "ADD fails: exit status without an error object", beforeAll(`[ -n "${CNI_ARGS+x}" ] || exit 1`)},
		{"path-unset", "ADD fails: exit status without an error object", beforeAll(`[ -n "${CNI_PATH+x}" ] || exit 1`)},
		{"add-without-netns", "ADD without CNI_NETNS succeeds", beforeAll(`[ -n "$CNI_NETNS" ] || export CNI_NETNS=/run/netns/c`)},
		{"del-without-ifname", "DEL without CNI_IFNAME succeeds", beforeAll(`[ -n "$CNI_IFNAME" ] || export CNI_IFNAME=eth0`)},
		{"parameter-missing-name", "the error of an ADD without CNI_CONTAINERID does not name it", output("ADD", `s/CNI_[A-Z]*/a variable/g`)},
		{"containerid-slash", "ADD succeeds", beforeAll(`export CNI_CONTAINERID=$(echo "$CNI_CONTAINERID" | tr / _)`)},
		{"ifname-16-bytes", "ADD succeeds", beforeAll(`export CNI_IFNAME=$(echo "$CNI_IFNAME" | cut -c-15)`)},
		{"ifname-other", "the container has no interface of this name", beforeAll(add + ` && export CNI_IFNAME=eth0`)},
		{"error-object", "ADD: stdout is not an error object: nothing is printed", `$P >&2`},
		{"error-cniversion", "the error object has no cniVersion", output("ADD", `/"cniVersion"/d`)},
		{"error-codes", "code 42 is reserved: /run/netns/absent: no such network namespace", output("ADD", `s/"code": [0-9]*/"code": 42/`)},
		{"name-absent", "ADD succeeds", beforeAll(`exec <<E
$(sed 's/^{/{"name": "net",/')
E`)},
	}
}

// resultFaults break results of ADD and the kernel's state.
func resultFaults() []fault {
	return []fault{
		{"result-1.0.0", "cniVersion of the result is 1.1.0", output("ADD", `s/"cniVersion": "1.0.0"/"cniVersion": "1.1.0"/`)},
		{"result-0.4.0", "ips.version is \"6\"", output("ADD", `s/"version": "4"/"version": "6"/`)},
		{"result-0.2.0", "the result of ADD: json: cannot unmarshal object into Go struct field result.ips of type [", output("ADD", `s/"ip4"/"ips"/`)},
		{"result-keys", "a result of version 0.3.0 has interfaces.gso", output("ADD", `s/"mac"/"gso": 1, "mac"/`)},
		{"result-only", "the result of ADD: more than one JSON value is printed", afterAdd(`out="$out {}"`)},
		{"result-sandbox", "the result has no interface eth0 whose sandbox is CNI_NETNS", output("ADD", `s/"sandbox": "/"sandbox": "\/proc\/self\/root/`)},
		{"result-mac", "interface cni0 has MAC in the result, and MAC in the kernel", output("ADD", `s/"mac": "../"mac": "fe/`)},
		{"result-interfaces-exist", "the kernel has no interface vetx", output("ADD", `s/"name": "veth/"name": "vetx/`)},
		{"result-interfaces-all", "interface extra is not in the result", afterAdd(`ip link add extra type bridge`)},
		{"result-ips-interface", "interface cni0 has not the address that refers to it", output("ADD", `s/"interface": 2/"interface": 0/`)},
		{"result-ips-complete", "the result has [10.88.0.2/24 fd00:88::2/64], the interface [10.88.0.2/24 203.0.113.7/32 fd", afterAdd(ns + ` ip address add 203.0.113.7/32 dev eth0`)},
		{"result-routes", "the container has no route to 198.51.100.0/24", afterAdd(ns + ` ip route delete 198.51.100.0/24`)},
		{"result-dns", "dns of the result differs from the configuration", output("ADD", `s/192.0.2.53/192.0.2.54/`)},
		{"result-prevresult", "the result has not the interface of prevResult", beforeAll(add + ` && exec <<E
$(sed 's/"prevResult"/"previous"/')
E`)},
		{"interface-up", "eth0 is not up", afterAdd(ns + ` ip link set eth0 down`)},
		{"interface-exists", "ADD succeeds", beforeAll(add + ` && ` + ns + ` ip link delete eth0 2>/dev/null`)},
		{"add-twice-keeps", "the second ADD: left behind or lost: -container -link", then + add + ` && [ $s != 0 ] && ` + ns + ` ip link delete eth0` + rest},
		{"default-route-absent", "the container has a default route", afterAdd(ns + ` ip route add default dev eth0`)},
		{"host-unchanged", "ADD changes -rule", afterAdd(`[ "${CNI_NETNS##*/}" = c ] && ip rule delete lookup 77`)},
		{"reach-peer", "the other container does not answer", afterAdd(`ip link set cni0 down`)},
	}
}

// verbFaults break DEL, CHECK, GC and STATUS.
func verbFaults() []fault {
	return []fault{
		{"del", "DEL leaves the interface", beforeAll(del + ` && exit 0`)},
		{"del-silent", "DEL prints on stdout: {}", then + del + ` && out="{}"` + rest},
		{"del-twice", "the second DEL fails: exit status without an error object", beforeAll(del + ` && ! ` + ns + ` ip link show eth0 >/dev/null 2>&1 && exit 1`)},
		{"del-netns-empty", "DEL fails: exit status without an error object", beforeAll(del + ` && [ -z "$CNI_NETNS" ] && exit 1`)},
		{"del-netns-empty-leaves", "DEL: left behind or lost: +file", beforeAll(del + ` && [ -z "$CNI_NETNS" ] && exit 0`)},
		{"netns-file-leaves", "ADD: left behind or lost: +link", then + add + ` && [ $s != 0 ] && ip link add leak$$ type bridge` + rest},
		{"refused-input-leaves", "ADDs: left behind or lost: +link", then + add + ` && [ $s != 0 ] && ip link add leak$$ type bridge` + rest},
		{"del-after-failed-add-leaves", "DEL: left behind or lost: +link", then + add + ` && [ $s != 0 ] && ip link add leak$$ type bridge` + rest},
		{"del-netns-gone", "DEL fails: exit status without an error object", beforeAll(del + ` && [ ! -e "$CNI_NETNS" ] && exit 1`)},
		{"del-releases-address", "ADD fails: no IP addresses available in range set: 10.88.0.1-10.88.0.6", beforeAll(del + ` && exit 0`)},
		{"del-other-interface", "DEL of eth1: left behind or lost: -container -file -link", beforeAll(del + ` && export CNI_IFNAME=eth0`)},
		{"del-masquerade", "DEL: left behind or lost: ~nft", beforeAll(add + ` && nft "add table inet leak; add chain inet leak c; add rule inet leak c counter"`)},
		{"del-state-absent", "DEL fails: exit status without an error object", beforeAll(del + ` && [ -z "$(find /run/patchbay -type f)" ] && exit 1`)},
		{"check-address-absent", "CHECK succeeds", beforeAll(`[ "$CNI_COMMAND" = CHECK ] && exit 0`)},
		{"check-bridge-down", "CHECK succeeds", beforeAll(`[ "$CNI_COMMAND" = CHECK ] && exit 0`)},
		{"check-masquerade-absent", "CHECK succeeds", beforeAll(`[ "$CNI_COMMAND" = CHECK ] && exit 0`)},
		{"check-later-route", "CHECK fails: exit status without an error object", beforeAll(`[ "$CNI_COMMAND" = CHECK ] && ` + ns + ` ip route | grep -q 203 && exit 1`)},
		{"check-changes-nothing", "CHECK: left behind or lost: +link", beforeAll(`[ "$CNI_COMMAND" = CHECK ] && ip link add extra type bridge`)},
		{"gc-all-valid", "GC: left behind or lost: -container -file -link", beforeAll(`[ "$CNI_COMMAND" = GC ] && exec <<E
$(sed 's/"cni.dev\/valid-attachments":\[[^]]*\]/"cni.dev\/valid-attachments":[]/')
E`)},
		{"gc-stale", "GC: left behind or lost: +file", beforeAll(`[ "$CNI_COMMAND" = GC ] && exit 0`)},
		{"gc-silent", "GC prints on stdout: {}", then + `[ "$CNI_COMMAND" = GC ] && out="{}"` + rest},
		{"status", "STATUS before the first ADD fails: exit status without an error object", beforeAll(`[ "$CNI_COMMAND" = STATUS ] && [ ! -e /sys/class/net/cni0 ] && exit 1`)},
		{"status-exhausted", "STATUS succeeds", beforeAll(`[ "$CNI_COMMAND" = STATUS ] && exit 0`)},
		{"status-exhausted-code", "STATUS: code 11 instead of 50 or 51", output("STATUS", `s/"code": 50/"code": 11/`)},
	}
}

// otherFaults break concurrency, failures, input and conventions.
func otherFaults() []fault {
	return []fault{
		{"concurrent-adds", "ADD fails: exit status without an error object", beforeAll(`mkdir /run/busy || exit 1; $P; s=$?; rmdir /run/busy; exit $s`)},
		{"concurrent-same-add", "both ADDs succeed", then + add + ` && s=0` + rest},
		{"exhausted-leaves", "ADD: left behind or lost: +link", then + add + ` && [ $s != 0 ] && ip link add leak$$ type bridge` + rest},
		{"netns-of-host", "ADD: left behind or lost: +link", beforeAll(`[ "$CNI_NETNS" = /proc/self/ns/net ] && ip link add leak type bridge`)},
		{"killed-add", "DEL: left behind or lost: +link", `ip link add leak$$ type bridge; ` + then + `ip link delete leak$$` + rest},
		{"result-unwritten", "ADD succeeds", then + `printf '%s\n' "$out" 2>/dev/null; exit 0`},
		{"keys-unknown", "ADD fails: exit status without an error object", beforeAll(`in=$(cat); case $in in *unknownKey*) exit 1 ;; esac; exec <<E
$in
E`)},
		{"input-10-mib", "ADD: stdout is not an error object: nothing is printed", beforeAll(`[ "$(wc -c)" -lt 1000000 ] || exit 2`)},
		{"cni-args-hostile", "ADD fails: exit status without an error object", beforeAll(`case $CNI_ARGS in *id*) exit 1 ;; esac`)},
		{"prevresult-hostile", "DEL: left behind or lost: -link", beforeAll(del + ` && ip link delete mine 2>/dev/null`)},
		{"state-unknown-files", "DEL: left behind or lost: -file", beforeAll(del + ` && find /run/patchbay -name "zz-*" -delete`)},
		{"capability-mac", "the result has another MAC address", beforeAll(`exec <<E
$(sed 's/"runtimeConfig"/"x"/')
E`)},
		{"capability-port-mappings", "the host's port does not lead to the container", beforeAll(`exec <<E
$(sed 's/8080/8082/')
E`)},
	}
}
