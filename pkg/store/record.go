package store

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// recordVersion is the version of the record format. Version 2 added Publish and
// Policy; version 3 what the keys of bandwidth, tuning, sbr, VLANs and egress need.
// Records of older versions are still read.
const recordVersion = 3

// newer raises RecordVersion by one for each of its characters. The linker sets it
// (-X) for test/faults/versions, which runs two versions of patchbay in turns; everywhere
// else it is empty.
var newer string

// RecordVersion returns the version of the record format that this program writes.
// A record with a larger version was written by a newer patchbay.
func RecordVersion() int { return recordVersion + len(newer) }

// Roles of an attachment.
const (
	RolePort    = "port"    // Patchbay created a veth pair and made it a bridge port
	RoleChained = "chained" // a previous plugin created the host interface; Patchbay made it a bridge port
	RoleIPAM    = "ipam"    // addresses only: another plugin creates the interface
	RolePart    = "part"    // another plugin created the interface; Patchbay is a later plugin of its list, and may have assigned the addresses
)

// States of a delegated IPAM plugin.
const (
	IPAMPending = "pending" // its ADD was called or is about to be; DEL must call it too
	IPAMDone    = "done"    // its ADD has returned Addresses
)

// Owners of an attachment: which caller created it. Only that caller removes it.
const (
	OwnerCNI = "cni" // a runtime, by CNI verbs; GC covers only these
	OwnerCLI = "cli" // a user, by `patchbay up`
	OwnerLXC = "lxc" // LXC, by its network hook
)

// Key identifies an attachment: network name, CNI_CONTAINERID and CNI_IFNAME (CNI
// SPEC section 2).
type Key struct {
	Network, ContainerID, IfName string
}

// String returns "network/containerID/ifname".
func (k Key) String() string { return k.Network + "/" + k.ContainerID + "/" + k.IfName }

// ParseKey parses what String returned, with an optional owner and colon before
// it, as in "lxc:net/c1/eth0"; without one the owner is OwnerCNI. The text may have
// been cut: whole reports whether it has all three parts. No part of a key can
// contain a colon or a slash (CNI SPEC section 1).
func ParseKey(text string) (key Key, owner string, whole bool) {
	owner = OwnerCNI
	if by, rest, found := strings.Cut(text, ":"); found {
		owner, text = by, rest
	}
	parts := strings.SplitN(text, "/", 3)
	whole = len(parts) == 3
	parts = append(parts, "", "")
	return Key{Network: parts[0], ContainerID: parts[1], IfName: parts[2]}, owner, whole
}

// Record is the desired state of an attachment: all that DEL and CHECK need to
// know. ADD writes it before it creates anything, so that whatever a killed ADD
// has created is named by a record. A new field also needs a line in recordtext.go,
// which writes the file: TestRecordText compares it with encoding/json.
type Record struct {
	// Version is the version of the record's format.
	Version int `json:"version"`

	// Network, ContainerID and IfName are the key: CNI's network name,
	// CNI_CONTAINERID and CNI_IFNAME.
	Network     string `json:"network"`
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`

	// Owner is the caller that created the attachment, Role the part of Patchbay
	// that serves it.
	Owner   string    `json:"owner"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`

	// BootID, HostCookie and HostInode identify the boot and the host's network
	// namespace. After a reboot, or in a new namespace, nothing in the kernel
	// that the record names exists any more.
	BootID     string `json:"bootID"`
	HostCookie uint64 `json:"hostCookie,omitempty"`
	HostInode  uint64 `json:"hostInode,omitempty"`

	// Netns is the path of the container's network namespace, CNI_NETNS. Its cookie
	// and inode distinguish it from a later namespace at the same path.
	Netns       string `json:"netns,omitempty"`
	NetnsCookie uint64 `json:"netnsCookie,omitempty"`
	NetnsInode  uint64 `json:"netnsInode,omitempty"`

	// NetnsMade says that `patchbay up` created the namespace, so `down` deletes it.
	NetnsMade bool `json:"netnsMade,omitempty"`

	// BridgeMAC is the MAC of a bridge that Patchbay created. Containers have it in
	// their neighbour tables, so a bridge that is created again gets the same one.
	Bridge    string `json:"bridge,omitempty"`
	BridgeMAC string `json:"bridgeMAC,omitempty"`

	// HostLink is the host interface; "" for RoleIPAM, and for RolePart if the container
	// interface has no other end on the host. HostIndex is its index, only for RoleChained
	// and RolePart: another interface may get the name later.
	HostLink  string `json:"hostLink,omitempty"`
	HostIndex int    `json:"hostIndex,omitempty"`

	// Alias is the alias of the host interface, not cut to 255 bytes; MAC is the
	// address of the container interface.
	Alias string `json:"alias,omitempty"`
	MAC   string `json:"mac,omitempty"`

	Addresses []Address `json:"addresses,omitempty"`

	// HostRoutes are the addresses that the host routes to the bridge one by one
	// (/32, /128), because the bridge has no address of their subnet.
	HostRoutes []netip.Addr `json:"hostRoutes,omitempty"`

	// Routes are the routes that DEL must delete: for RoleChained, those that ADD
	// added to an interface that DEL keeps.
	Routes []Route `json:"routes,omitempty"`

	// Planned are the routes that CHECK expects; nil in records of older versions.
	Planned []Route `json:"planned,omitzero"`

	// DataDir is the directory of the address files; "" without addresses of the
	// built-in IPAM.
	DataDir string `json:"dataDir,omitempty"`

	// IPAMType is the type of the delegated IPAM plugin, "" without one, and IPAM
	// its state.
	IPAMType string `json:"ipamType,omitempty"`
	IPAM     string `json:"ipam,omitempty"`

	// Masquerade and Publish are nil if the ruleset has no elements of that kind.
	Masquerade *Masquerade `json:"masquerade,omitempty"`
	Publish    *Publish    `json:"publish,omitempty"`

	// Policy is the ingressPolicy; "" for open.
	Policy string `json:"policy,omitempty"`

	// FirewallAuto says that the chain DOCKER-USER has rules for the bridge, where docker runs ("firewall": "auto").
	FirewallAuto bool `json:"firewallAuto,omitempty"`

	// Egress is nil if the attachment may open connections to every destination.
	Egress *Egress `json:"egress,omitzero"`

	// SpoofCheck is nil if it is not known, as in records of older versions.
	SpoofCheck *SpoofCheck `json:"spoofCheck,omitempty"`

	// Hairpin is the hairpin mode of the bridge port; STPGuard says that it has BPDU
	// guard and root block.
	Hairpin  bool `json:"hairpin,omitempty"`
	STPGuard bool `json:"stpGuard,omitempty"`

	// PortIsolation says that the bridge port is isolated: frames pass only between it and ports that are not.
	PortIsolation bool `json:"portIsolation,omitempty"`

	// VLANs is nil if the port has the VLANs that the bridge gives every port.
	VLANs *VLANs `json:"vlans,omitempty"`

	// Bandwidth is nil if the traffic is not limited.
	Bandwidth *Bandwidth `json:"bandwidth,omitempty"`

	// Gateway says that the bridge has the gateway addresses of Addresses (isGateway).
	Gateway bool `json:"gateway,omitempty"`

	// Segment is the layer 2 segment of the attachment if that is a VLAN of the bridge: "br0.100", which is also the
	// name of the interface that has the gateway addresses.
	Segment string `json:"segment,omitempty"`

	// Tap is nil if the container interface has the addresses itself.
	Tap *Tap `json:"tap,omitempty"`

	// Tuning and SourceRouting are nil if the configuration has no such keys.
	Tuning        *Tuning        `json:"tuning,omitempty"`
	SourceRouting *SourceRouting `json:"sourceRouting,omitempty"`

	// Pod is nil if CNI_ARGS names no pod.
	Pod *Pod `json:"pod,omitempty"`

	// Parts are the later plugins of the list whose part this record has: Publish is
	// that of portmap, Policy that of firewall. The DEL of each removes its part.
	Parts []string `json:"parts,omitempty"`
}

// HasPart reports whether a later plugin of the list has extended the record.
func (r *Record) HasPart(plugin string) bool { return slices.Contains(r.Parts, plugin) }

// PointToPoint reports whether packets of the container arrive by its host interface
// itself, and not by a bridge: that of the plugin ptp.
func (r *Record) PointToPoint() bool {
	return r.Role == RolePart && r.HostLink != "" && r.Bridge == r.HostLink
}

// Route is a route in the container.
type Route struct {
	Dst      netip.Prefix `json:"dst"`
	GW       netip.Addr   `json:"gw,omitzero"`
	Priority int          `json:"priority,omitempty"`
	Table    int          `json:"table,omitempty"`
}

// Masquerade says which packets of an attachment leave with the host's address.
type Masquerade struct {
	// Addresses are the source addresses, with the prefix length of their subnets:
	// packets within a subnet are not masqueraded.
	Addresses []netip.Prefix `json:"addresses"`

	// Exclude are the destinations that see the container's address.
	Exclude []netip.Prefix `json:"exclude,omitempty"`

	// RandomFully is nft's "fully-random": the source port is chosen at random.
	RandomFully bool `json:"randomFully,omitempty"`

	// Outbound4 and Outbound6 replace the source address of packets that leave; if
	// not set, the host's address of the outgoing interface does.
	Outbound4 netip.Addr `json:"outbound4,omitzero"`
	Outbound6 netip.Addr `json:"outbound6,omitzero"`
}

// Egress says to which destinations an attachment may open connections.
type Egress struct {
	// Allow are the destinations, sorted, none within another.
	Allow []netip.Prefix `json:"allow"`

	// DNS are the name servers that may be reached at port 53.
	DNS []netip.Addr `json:"dns,omitempty"`

	// DHCP says that the container interface has addresses of a DHCP server, which
	// the attachment may reach on its link.
	DHCP bool `json:"dhcp,omitempty"`
}

// SpoofCheck says which source addresses frames of an attachment may have.
type SpoofCheck struct {
	// MAC is the only allowed source MAC; "" for any.
	MAC string `json:"mac,omitempty"`

	// Full allows only the record's Addresses as source addresses (IP, ARP and ND).
	Full bool `json:"full,omitempty"`
}

// Publish is the published ports of an attachment, with their options.
type Publish struct {
	Ports []Port `json:"ports"`

	// Plain is set by snat: false. The container sees every client's address.
	Plain bool `json:"plain,omitempty"`

	// All is masqAll. The container sees the host's address for every client.
	All bool `json:"all,omitempty"`

	// MarkBit is markMasqBit, the packet mark bit that identifies packets to masquerade.
	MarkBit int `json:"markBit"`

	// Localhost says that the ports are also published on 127.0.0.1.
	Localhost bool `json:"localhost,omitempty"`
}

// Port is one port mapping, or several with consecutive ports.
type Port struct {
	// Protocol is tcp, udp or sctp.
	Protocol string `json:"protocol"`

	// HostIP is the host address. If it is not set the port is published on all
	// addresses of Container's family.
	HostIP netip.Addr `json:"hostIP,omitzero"`

	// HostPort and ContainerPort are the first of Count ports; a Count of 0 means 1.
	HostPort      uint16     `json:"hostPort"`
	Count         int        `json:"count,omitempty"`
	Container     netip.Addr `json:"container"`
	ContainerPort uint16     `json:"containerPort"`
}

// HostAddress returns the host address on which the port is published; the
// unspecified address if that is every address of the family.
func (p Port) HostAddress() netip.Addr {
	switch {
	case p.HostIP.IsValid():
		return p.HostIP
	case p.Container.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Len returns the number of ports.
func (p Port) Len() int { return max(1, p.Count) }

// Pod identifies the pod, from the K8S_POD_ keys of CNI_ARGS.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// Address is an address of the container, with the prefix length of its subnet.
type Address struct {
	Address netip.Prefix `json:"address"`
	// Gateway is the default gateway of the container.
	Gateway netip.Addr `json:"gateway,omitzero"`

	// BridgeGateway is the network's gateway, which the bridge has if isGateway is
	// set. It is set only if the container requested another one (GATEWAY in CNI_ARGS).
	BridgeGateway netip.Addr `json:"bridgeGateway,omitzero"`
}

// NetworkGateway returns the network's gateway, whatever the container requested.
func (a Address) NetworkGateway() netip.Addr {
	if a.BridgeGateway.IsValid() {
		return a.BridgeGateway
	}
	return a.Gateway
}

// Key returns the key of the record's attachment.
func (r *Record) Key() Key { return Key{r.Network, r.ContainerID, r.IfName} }

// BootID returns the kernel's identity of the current boot,
// /proc/sys/kernel/random/boot_id; "" if it cannot be read. A container shares it
// with its host.
func BootID() string {
	fd, err := unix.Open("/proc/sys/kernel/random/boot_id", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	id := make([]byte, 64)
	n, _ := unix.Read(fd, id)
	return strings.TrimSpace(string(id[:max(n, 0)]))
}
