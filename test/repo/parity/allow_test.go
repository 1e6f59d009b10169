package parity

import "regexp"

// allowance is an intended difference from the reference.
type allowance struct {
	name   string
	reason string
	// fact, reference and ours are patterns for the whole name and both values.
	fact, reference, ours string
	only                  string // a pattern of the rows that may use it, or refused; empty for all
	chance                bool   // whether a row uses it depends on random MACs
}

// refused matches the rows in which both sides refuse an ADD.
const refused = "refused"

// Patterns that many allowances have.
const (
	anything = `.+`
	nothing  = ``
	after    = `after (ADD|DEL) (one|two): host `
	endOf    = `HOST-END-OF-(one|two)`
	mac      = `([0-9a-f]{2}:){5}[0-9a-f]{2}`
)

// allowances are the closed list of what may differ; docs/migration.md#differences has it for users.
func allowances() []allowance {
	return []allowance{
		{"name of the host interface", "follows from the attachment; the reference's is random", `(one|two) host end name`, `veth[0-9a-f]{8}`, `veth[a-z2-7]{11}`, "", false},
		{"MACs", "follow from the attachment unless one is requested", `(one|two) (host end )?MAC`, mac, `(fe|02)(:[0-9a-f]{2}){5}`, "", false},
		{"alias", "names the owner of a link, for people and for DEL", `(one|two) host end alias|bridge alias`, nothing, `patchbay:.*`, "", false},
		{"MAC of a created bridge", "fixed, of its own; the reference's is a port's, and changes with them unless the bridge has an address", `bridge MAC`, mac, `02(:[0-9a-f]{2}){5}`, "", false},
		{"MAC of the bridge stays", "as above, and an adopted bridge keeps its own", `after (ADD|DEL) (one|two): the bridge has the MAC of before`, `false`, `true`, "", true},
		{"mtu in results", "of each interface", `result (one|two) interfaces\[[0-2]\]\.mtu`, nothing, `[0-9]+`, "", false},
		{"mtu 0", "is that of the bridge, or of the uplink for a created bridge", `(one|` + after + `|two) ?link (eth0|cni0|` + endOf + `) mtu`, `1500`, `1[34]00`, `mtu 0, .*`, false},
		{"MTU of the bridge stays", "the reference's follows its ports, and is 1500 when the last one is gone", `after (ADD|DEL) (one|two): host link cni0 mtu`, `1[45][05]0`, `1[45][05]0`, "", false},
		{"nodad", "ADD does not wait for duplicate address detection", `.*address .*`, `scope 0 flags permanent broadcast <nil>`, `scope 0 flags permanent,nodad broadcast <nil>`, "", false},
		{"no IPv6 address of a port", "a bridge port needs none", after + `address ` + endOf + ` fe80:: of its MAC`, anything, nothing, "", false},
		{"IPv6 of a port", "is switched off by its address generation mode; the reference writes accept_ra", `host sysctl ipv6/conf/` + endOf + `/(accept_ra|addr_gen_mode)`, `0|`, `1|`, "", false},
		{"accept_ra of an adopted bridge", "is its owner's", `host sysctl ipv6/conf/cni0/accept_ra`, `0`, nothing, `bridge .* that is there.*|.*, a bridge .*|bridge that is there.*|forceAddress.*`, false},
		{"other subnets with forceAddress", "stay; only what overlaps the gateway's subnet is removed", after + `(address cni0 10\.9\.0\.1/24|route 10\.9\.0\.0/24 via <nil> dev cni0 metric 0 table 254)`, nothing, anything, `forceAddress`, false},
		{"accept_dad of a created bridge", "is 0: its link-local address follows from a unique MAC", `host sysctl ipv6/conf/(cni0|br1|nerdctl0)/accept_dad`, nothing, `0`, "", false},
		{"address of a bridge without carrier", "comes with the carrier; the reference's is of a MAC that it has no more", after + `address cni0 fe80:: of its MAC`, anything, nothing, `disableContainerInterface`, false},
		{"one queue", "what Linux uses of a veth anyway", `.*link .* queues`, `2 sending, 2 receiving`, `1 sending, 1 receiving`, "", false},
		{"txqueuelen", "of the host end is Linux's own; the reference's message says 0", after + `link ` + endOf + ` txqueuelen`, `0`, `1000`, "", false},
		{"ifb device in results", "is not part of the attachment for one plugin; as bandwidth of a list Patchbay appends it, too", `result (one|two) interfaces( length|\[3\]\..*)`, anything, `3|`, `bandwidth.*`, false},
		{"IPv6 of an ifb device", "is switched off: packets only pass through it", after + `address IFB-OF-(one|two) fe80:: of its MAC`, anything, nothing, `bandwidth.*`, false},
		{"addr_gen_mode of an ifb device", "is what switches it off", `host sysctl ipv6/conf/IFB-OF-(one|two)/addr_gen_mode`, nothing, `1`, `bandwidth.*`, false},
		{"txqueuelen of an ifb device", "is Linux's own; the reference's message says 0", after + `link IFB-OF-(one|two) txqueuelen`, `0`, `32`, `bandwidth.*`, false},
		{"directory of the addresses", "below stateDir, unless dataDir says otherwise", `directory of the addresses`, `/var/lib/cni/networks`, `/run/patchbay/ipam`, "", false},
		{"spanning tree", "is not for containers (stpGuard)", after + `link ` + endOf + ` port`, `.*Learning.*`, `.*Guard RootBlock.*`, "", false},
		{"accept_ra, autoconf", "off in a container whose IPv6 addresses are IPAM's, or whose bridge no router is on", `(one|two) sysctl ipv6/conf/eth0/(accept_ra|autoconf)`, nothing, `0`, "", false},
		{"mtu, advmss of routes", "are applied", `(one|two) route .*`, `.* mtu 0 advmss 0 hops 0`, `.* mtu (1300|1320|0) advmss (12[01]0|0) hops 0`, "", false},
		{"priority before 0.3.0", "a route's is applied; the reference loses it between its two programs", `(one|two) route 203\.0\.113\.0/24 via 10\.1\.0\.1 dev eth0 metric [07] table 254`, `.*`, `.*`, `0\.[12]\.0, everything`, false},
		{"CHECK without ipam", "succeeds", `CHECK (one|two)`, `fails: no plugin name provided`, passes, "", false},
		{"CHECK: MAC of the bridge", "the reference's has changed since", `CHECK (one|two)`, `fails: Bridge interface cni0 Mac doesn't match: .*`, passes, "", true},
		{"CHECK: routes of other tables", "are looked for there", `CHECK (one|two)`, `fails: Expected Route .* Table:[0-9]+ .* not found in routing table`, passes, "", false},
		{"CHECK: gateway moved by sbr", "is looked for in every table", `CHECK (one|two)`, `fails: Failed to find Gateway 10\.1\.0\.1 for interface eth0`, passes, `sbr.*`, false},
		{"sbr: routes of the other family", "are not copied to a table that no rule of their family leads to", `(one|two) route fd00:1::/64 via <nil> dev eth0 metric 256 table 100`, anything, nothing, `sbr.*`, false},
		{"default route of ipam", "is the one that isDefaultGateway asks for; the reference adds both, and fails", `ADD (one|two)`, `fails: .*failed to add route .*: file exists`, passes, "", false},
		{"several IPv4 gateways", "are given to a bridge; the reference takes one", `ADD (one|two)`, `fails: .*failed to set bridge addr: "cni0" already has an IP address different from .*`, passes, "", false},
		{"CNI_ARGS of two programs", "need no IgnoreUnknown: IP, GATEWAY and MAC are known to one program", `ADD (one|two)`, `fails: .*unknown args \["(IP|MAC)=.*`, passes, "", false},
		{"DEL needs nothing", "also with CNI_ARGS and VLANs that ADD refuses", `DEL (one|two)`, `fails: .*(unknown args|invalid VLAN ID|maxID is missing|trunk id parameter).*`, passes, refused, false},
		{"scope 253 of a route", "makes a route on the link; the reference gives it a gateway, and fails", `ADD (one|two)`, `fails: .*\(Scope: link, .*network is unreachable`, passes, "", false},
		{"gateway outside its subnet", "is refused where the bridge would get it", `ADD (one|two)`, passes, `fails: .* is not in subnet .*`, "", false},
		{"gateway 0.0.0.0 of a route", "is refused; scope 253 makes a route on the link", `ADD (one|two)`, passes, `fails: .*ipam\.routes\[0\]\.gw: 0\.0\.0\.0 is unspecified.*`, "", false},
		{"wording of errors", "differ where both refuse", `(ADD|CHECK) (one|two)`, `fails: .*`, `fails: .*`, refused, false},
		{"an ADD that fails leaves nothing", "nor does one that is refused make a bridge", `after (ADD|DEL) (one|two): (host (link|address|route) .*(veth[0-9a-f]{8}|cni0).*|the bridge has the MAC of before)|(one|two|host) sysctl .*|bridge (MAC|alias)|.*: file (last_reserved_ip\.[0-9]|10\.1\.0\.[0-9])|directory of the addresses`, anything, nothing, refused, false},
	}
}

// covers reports whether the allowance allows a difference of a row.
func (a allowance) covers(d difference, row string, refuses bool) bool {
	switch {
	case a.only == refused && !refuses, a.only != refused && a.only != "" && !matches(a.only, row):
		return false
	}
	return matches(a.fact, d.fact) && matches(a.reference, d.reference) && matches(a.ours, d.ours)
}

func matches(pattern, text string) bool {
	return regexp.MustCompile(`(?s)^(?:` + pattern + `)$`).MatchString(text)
}
