package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: A key with null or with the zero value of its type counts as not set, also in CNI_ARGS
func TestParseArgs(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Args
	}{
		{"", Args{}},
		{";", Args{}},
		{"IP=10.1.2.3", Args{IPs: addrsOf("10.1.2.3")}},
		{"IP=10.1.2.3/24", Args{IPs: addrsOf("10.1.2.3")}},
		{"IP=10.1.2.3/24,2001:db8::3/64", Args{IPs: addrsOf("10.1.2.3", "2001:db8::3")}},
		{"IP=::ffff:10.1.2.3", Args{IPs: addrsOf("10.1.2.3")}},
		{"GATEWAY=10.1.2.1, 2001:db8::1", Args{Gateways: addrsOf("10.1.2.1", "2001:db8::1")}},
		{"MAC=02:00:00:00:00:01", Args{MAC: mac("02:00:00:00:00:01")}},
		{"IP=10.1.2.3;IP=10.1.2.4", Args{IPs: addrsOf("10.1.2.4")}},
		{"IgnoreUnknown=1", Args{}},
		{"IgnoreUnknown=0", Args{}},
		{"IgnoreUnknown=False;IP=10.1.2.3", Args{IPs: addrsOf("10.1.2.3")}},
		{"IgnoreUnknown=1;FOO=bar", Args{}},
		{"FOO=bar;IgnoreUnknown=true", Args{}},
		{"FOO=bar;IgnoreUnknown=TRUE;IP=10.1.2.3", Args{IPs: addrsOf("10.1.2.3")}},
		{"ip=10.1.2.3;IgnoreUnknown=1", Args{}},
		{
			"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=f00d;K8S_POD_UID=1-2",
			Args{PodNamespace: "default", PodName: "web-0", PodUID: "1-2", SandboxID: "f00d"},
		},
		{"K8S_POD_NAME=", Args{}},
		{"IP=", Args{}},
		{"IP=;MAC=;GATEWAY=;K8S_POD_NAME=web-0", Args{PodName: "web-0"}},
		{"IgnoreUnknown=", Args{}},
		{"IgnoreUnknown=1;IgnoreUnknown=;FOO=bar", Args{}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			got, err := ParseArgs(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, netips()); diff != "" {
				t.Errorf("ParseArgs(%q) (-want +got):\n%s", tc.text, diff)
			}
			whole, err := Parse([]byte(conf("")), tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, whole.Args, netips()); diff != "" {
				t.Errorf("Parse with CNI_ARGS %q (-want +got):\n%s", tc.text, diff)
			}
		})
	}
}

func TestParseArgsRefuses(t *testing.T) {
	const (
		pairHelp    = "CNI_ARGS holds pairs KEY=VALUE, separated by semicolons"
		unknownHelp = "add IgnoreUnknown=1, or use IP, GATEWAY, MAC, K8S_*"
		ipsHelp     = "give addresses like 10.1.2.3 or 10.1.2.3/24"
		macHelp     = "give six bytes like 02:00:00:12:34:56"
	)
	for _, tc := range []struct{ text, msg, details string }{
		{"IP", `CNI_ARGS: invalid pair "IP"`, pairHelp},
		{"IP=10.1.2.3=4", `CNI_ARGS: invalid pair "IP=10.1.2.3=4"`, pairHelp},
		{"IgnoreUnknown=1;junk", `CNI_ARGS: invalid pair "junk"`, pairHelp},
		{"IgnoreUnknown=yes", `CNI_ARGS: IgnoreUnknown: want 1, 0, true or false, got "yes"`, pairHelp},
		{"FOO=bar", `CNI_ARGS: unknown key "FOO"`, unknownHelp},
		{"FOO=bar;IgnoreUnknown=0", `CNI_ARGS: unknown key "FOO"`, unknownHelp},
		{"ignoreunknown=1", `CNI_ARGS: unknown key "ignoreunknown"`, unknownHelp},
		{"ip=10.1.2.3", `CNI_ARGS: unknown key "ip"`, unknownHelp},
		{"K8S_POD_FOO=1", `CNI_ARGS: unknown key "K8S_POD_FOO"`, unknownHelp},
		{"B=1;A=2", `CNI_ARGS: unknown key "B"`, unknownHelp},
		{"=1", `CNI_ARGS: unknown key ""`, unknownHelp},
		{"FOO=", `CNI_ARGS: unknown key "FOO"`, unknownHelp},
		{"IP=10.1.2", `CNI_ARGS: IP: "10.1.2" is not an IP address`, ipsHelp},
		{"IP=10.1.2.3,,10.1.2.4", `CNI_ARGS: IP: "" is not an IP address`, ipsHelp},
		{"IP=fe80::1%eth0", `CNI_ARGS: IP: "fe80::1%eth0" is not an IP address`, ipsHelp},
		{"IP=10%d", `CNI_ARGS: IP: "10%d" is not an IP address`, ipsHelp},
		{"GATEWAY=gw", `CNI_ARGS: GATEWAY: "gw" is not an IP address`, ipsHelp},
		{"MAC=1", `CNI_ARGS: MAC: "1" is not a MAC address`, macHelp},
		{"MAC=01:00:5e:00:00:01", `CNI_ARGS: MAC: "01:00:5e:00:00:01" is a multicast address, which an interface cannot have`, macHelp},
		{"MAC=00:00:00:00:00:00", `CNI_ARGS: MAC: "00:00:00:00:00:00" is the zero address`, macHelp},
		{"MAC=%s", `CNI_ARGS: MAC: "%s" is not a MAC address`, macHelp},
	} {
		t.Run(tc.text, func(t *testing.T) {
			want := &Error{Kind: Environment, Msg: tc.msg, Details: tc.details}
			got, err := ParseArgs(tc.text)
			sameError(t, want, err)
			if diff := cmp.Diff(Args{}, got, netips()); diff != "" {
				t.Errorf("arguments beside an error (-want +got):\n%s", diff)
			}
			refuses(t, conf(""), tc.text, want)
		})
	}
}

// A gateway of CNI_ARGS must be within a subnet and cannot be a container's address.
func TestParseGatewayArgs(t *testing.T) {
	const pools = `"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8::/64"}]]}`
	c, err := Parse([]byte(conf(pools)), "GATEWAY=10.1.2.9,2001:db8::9")
	if err != nil {
		t.Fatal(err)
	}
	sameAddrs(t, addrsOf("10.1.2.9", "2001:db8::9"), c.IPAM.Gateways)
	if diff := cmp.Diff(prefixesOf("10.1.2.9/32", "2001:db8::9/128"), c.IPAM.Pool.Exclude, netips()); diff != "" {
		t.Errorf("exclude (-want +got):\n%s", diff)
	}
	refuses(t, conf(pools), "GATEWAY=10.1.3.9", &Error{
		Kind: Environment, Msg: "CNI_ARGS: GATEWAY: 10.1.3.9 is in no subnet of the network",
		Details: "request a gateway within a subnet of ipam.ranges, or leave GATEWAY out",
	})
	refuses(t, conf(pools), "GATEWAY=10.1.2.9;IP=10.1.2.9", &Error{
		Kind: Environment, Msg: "CNI_ARGS: GATEWAY: 10.1.2.9 is also requested as the container's address",
		Details: "request two different addresses",
	})
}
