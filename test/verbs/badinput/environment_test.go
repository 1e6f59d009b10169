package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironment: CNI variables that are missing or invalid, and standard input that is not a configuration.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestEnvironment(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.try(t, variables())
	b.try(t, namespaces(t))
	b.try(t, input())
}

func variables() []row {
	const env = 4
	l2 := network()
	return []row{
		{name: "CNI_CONTAINERID/missing", config: l2, unset: []string{"CNI_CONTAINERID"}, code: env, msg: "required env variables [CNI_CONTAINERID] missing", details: "the runtime has to set them"},
		{name: "CNI_NETNS/missing", config: l2, unset: []string{"CNI_NETNS"}, code: env, msg: "required env variables [CNI_NETNS] missing", details: "the runtime has to set them"},
		{name: "CNI_IFNAME/missing", config: l2, unset: []string{"CNI_IFNAME"}, code: env, msg: "required env variables [CNI_IFNAME] missing", details: "the runtime has to set them"},
		{name: "three of them/missing", config: l2, unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}, code: env, msg: "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing", details: "the runtime has to set them"},
		{name: "DEL without CNI_IFNAME", config: l2, env: []string{"CNI_COMMAND=DEL"}, unset: []string{"CNI_IFNAME"}, code: env, msg: "required env variables [CNI_IFNAME] missing", details: "the runtime has to set them"},
		{name: "CNI_COMMAND/unknown", config: l2, env: []string{"CNI_COMMAND=ATTACH"}, code: env, msg: "unknown CNI_COMMAND: ATTACH", details: "ADD, CHECK, DEL, GC, STATUS or VERSION", version: "1.1.0"},
		{name: "CNI_CONTAINERID/slash", config: l2, env: []string{"CNI_CONTAINERID=../c1"}, code: env, msg: `CNI_CONTAINERID: invalid characters in containerID: "../c1"`, details: "use letters, digits"},
		{name: "CNI_CONTAINERID/too long", config: l2, env: []string{"CNI_CONTAINERID=" + strings.Repeat("c", 201)}, code: env, msg: "CNI_CONTAINERID: 201 bytes are too long", details: "use at most 200"},
		{name: "CNI_IFNAME/16 bytes", config: l2, env: []string{"CNI_IFNAME=eth4567890123456"}, code: env, msg: `CNI_IFNAME: "eth4567890123456" cannot name an interface: name is too long`, details: "1 to 15 bytes"},
		{name: "CNI_IFNAME/slash", config: l2, env: []string{"CNI_IFNAME=eth/0"}, code: env, msg: `CNI_IFNAME: "eth/0" cannot name an interface: name contains / or : or whitespace characters`, details: "1 to 15 bytes"},
		{name: "CNI_IFNAME/a pattern", config: l2, env: []string{"CNI_IFNAME=eth%d"}, code: env, msg: `CNI_IFNAME: "eth%d" cannot name an interface: name contains % or control characters`, details: "1 to 15 bytes"},
		{name: "CNI_IFNAME/exists", config: l2, env: []string{"CNI_IFNAME=lo"}, code: env, msg: "interface lo in /run/netns/web: name already in use", details: "use another CNI_IFNAME"},
		{name: "CNI_ARGS/no pair", config: l2, args: "IP", code: env, msg: `CNI_ARGS: invalid pair "IP"`, details: "pairs KEY=VALUE"},
		{name: "CNI_ARGS/unknown key", config: l2, args: "COLOUR=red", code: env, msg: `CNI_ARGS: unknown key "COLOUR"`, details: "add IgnoreUnknown=1"},
		{name: "CNI_ARGS/IP wrong", config: subnet(), args: "IP=10.1.2", code: env, msg: `CNI_ARGS: IP: "10.1.2" is not an IP address`, details: "give addresses"},
		{name: "CNI_ARGS/MAC of a group", config: l2, args: "MAC=01:00:5e:00:00:01", code: env, msg: `CNI_ARGS: MAC: "01:00:5e:00:00:01" is a multicast address, which an interface cannot have`, details: "give six bytes"},
		{name: "STATUS of 1.0.0", config: l2, env: []string{"CNI_COMMAND=STATUS"}, code: 1, msg: "config version does not allow STATUS", details: "STATUS came with 1.1.0"},
		{name: "GC of 1.0.0", config: l2, env: []string{"CNI_COMMAND=GC"}, code: 1, msg: "config version does not allow GC", details: "GC came with 1.1.0"},
		{name: "CHECK of 0.3.1", config: network(`"cniVersion": "0.3.1"`), env: []string{"CNI_COMMAND=CHECK"}, code: 1, msg: "config version does not allow CHECK", details: "CHECK came with 0.4.0", version: "0.3.1"},
		{name: "CHECK without prevResult", config: l2, env: []string{"CNI_COMMAND=CHECK"}, code: 7, msg: "prevResult: missing", details: "pass the result of ADD as prevResult"},
	}
}

// namespaces returns rows whose CNI_NETNS is not a network namespace for a container.
func namespaces(t *testing.T) []row {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const env = 4
	l2 := network()
	return []row{
		{name: "CNI_NETNS/missing path", config: l2, env: []string{"CNI_NETNS=/run/netns/none"}, code: env, msg: "/run/netns/none: no such network namespace", details: "set CNI_NETNS to the path of a network namespace"},
		{name: "CNI_NETNS/plain file", config: l2, env: []string{"CNI_NETNS=" + plain}, code: env, msg: plain + ": not a network namespace", details: "a plain file in /run/netns is left over"},
		{name: "CNI_NETNS/mount namespace", config: l2, env: []string{"CNI_NETNS=/proc/self/ns/mnt"}, code: env, msg: "/proc/self/ns/mnt: not a network namespace", details: "set CNI_NETNS to the path of a network namespace"},
		{name: "CNI_NETNS/the host's own", config: l2, env: []string{"CNI_NETNS=/proc/self/ns/net"}, code: 8, msg: "/proc/self/ns/net is the network namespace of the host", details: "lxc.net.0.type = empty"},
	}
}

// input returns rows whose standard input is not a configuration.
func input() []row {
	const undecodable = 6
	return []row{
		{name: "stdin/empty", code: undecodable, msg: "network configuration is empty", details: "pass the plugin's configuration", version: "0.1.0"},
		{name: "stdin/truncated", config: `{"cniVersion": "1.0.0", "name": "net", "ty`, code: undecodable, msg: "network configuration is not a JSON object: unexpected end of JSON input", details: `reading stopped at byte 42 of 42`},
		{name: "stdin/10 MB", config: network(`"comment": "` + strings.Repeat("x", 10<<20) + `"`), code: undecodable, msg: "network configuration is larger than 4194304 bytes", details: "one plugin's configuration"},
		{name: "stdin/a list", config: `[]`, code: undecodable, msg: "network configuration is not a JSON object: it is of type array", details: "pass one object", version: "0.1.0"},
		{name: "prevResult/wrong shape", config: network(`"prevResult": {"cniVersion": "1.0.0", "ips": "10.1.2.3"}`), code: undecodable, msg: "prevResult: cannot be decoded as a result of version 1.0.0", details: "ips"},
	}
}
