package attach

import (
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Error codes of Patchbay, beyond those of CNI SPEC.md section "Error": a plugin may use 100 and above. docs/troubleshooting.md lists them.
const (
	CodeAttached     = 100 // the attachment exists
	CodeIDInUse      = 101 // the container ID is attached in another network namespace
	CodePortTaken    = 102 // another live attachment publishes the host port
	CodeBridgeFull   = 103 // the bridge has no free port
	CodeForeignLink  = 104 // an interface with the derived name has another owner
	CodeAddressClash = 105 // the addresses of the bridge conflict with the gateway of the network
	CodeDrift        = 106 // CHECK: the kernel's state differs from the record or prevResult
	CodeAddressTaken = 107 // a live attachment on the same bridge, or a host of the LAN, has the address
	CodeRuleset      = 108 // nf_tables is not available, or another program or a newer version made the table
	CodeSysctl       = 109 // a sysctl that the network needs is off and cannot be set
	CodeIPAM         = 110 // the delegated IPAM plugin cannot be run, or returned an invalid result
)

// ErrNoPrevResult is about a call that needs the result of ADD, or of the plugin before it, and got none.
var ErrNoPrevResult = errors.New("prevResult: missing")

// ErrIDInUse is about a container ID and interface name that another attachment of the network has.
var ErrIDInUse = errors.New("container ID in use")

var (
	errAttached      = errors.New("already attached")
	errInterrupted   = errors.New("interrupted by a signal")
	errOutput        = errors.New("the runtime closed stdout")
	errStillReserved = errors.New("addresses of this attachment not released")
	errAllowList     = errors.New("read the allow list of sysctls")
	errResolvConf    = errors.New("read ipam.resolvConf")
)

var (
	errNoAddress    = errors.New("no IP address available")
	errNoRouter     = errors.New("IP forwarding is disabled and cannot be enabled")
	errTapTaken     = errors.New("name of another interface")
	errMACUnknown   = errors.New("no earlier plugin reports the MAC address of the container interface")
	errInUse        = errors.New("in use and cannot become a bridge port")
	errStrayGateway = errors.New("gateway not on bridge")
	errNoRole       = errors.New("neither the main plugin nor the IPAM plugin of this configuration")
)

// Predicates, not noun phrases: the thing that they are about stands before them, as in "port 22/tcp is in use by a process of
// the host (sshd)" and "IPAM plugin static returned an invalid result: 10.1.0.1/24 cannot be assigned to a container: it is the
// gateway".
var (
	errUnusable     = errors.New("returned an invalid result")
	errBridgeShared = errors.New("serves another network")
	errPortInUse    = errors.New("is in use by a process of the host")

	errNotReady     = errors.New("does not exist: the network of this host is not set up yet")
	errOfRuntime    = errors.New("was attached by a runtime, which would not know of a change of its ports")
	errNotLive      = errors.New("is stale: its host interface does not exist")
	errNoRecord     = errors.New("has no readable record")
	errOwnPort      = errors.New("is already published by this attachment")
	errNotPublished = errors.New("is not published by this attachment")
	errNoFamily     = errors.New("cannot be published: the container has no address of that family")
	errManyPorts    = errors.New("ports of one container are too many")

	// errOnBridge is about an address that a live attachment on the same bridge has. That attachment is of another network, or
	// no address file of this network reserves its address.
	errOnBridge = errors.New("on the same bridge")

	// errReserved is about an address that a delegated IPAM plugin returned, and that the host or another container uses.
	errReserved = errors.New("cannot be assigned to a container")

	// errAnswers is about a host of the LAN that answered an ARP or neighbour solicitation probe for an address.
	errAnswers = errors.New("answers for it")
)

// fixRequested is the remedy if a requested address cannot be assigned.
const fixRequested = "request a free address within ipam.ranges, or leave the request out"

// fixTapTaken is the remedy if the name of the tap is in use.
const fixTapTaken = "set tap.name to an unused name, or remove the interface from the namespace"

// fixPrivileges names the capabilities that ADD uses; each is needed in the user namespace that owns the network namespace.
const fixPrivileges = "run as root, or with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW"

// fixUserNamespace follows fixPrivileges: the kernel checks a capability against the user namespace that owns the object.
const fixUserNamespace = "; in a user namespace, capabilities apply only to its own network namespaces"

// cause is a row of the table that gives an error its code and its remedy.
type cause struct {
	is   error
	code uint
	fix  string
}

// causes maps sentinel errors to CNI codes and remedies. The first row that matches counts, so a specific sentinel stands before
// the one that it may be wrapped together with.
func causes() []cause {
	return append(slices.Concat(causesOfVLANs(), causesOfPorts()), []cause{
		{errNoAddress, types.ErrTryAgainLater, "delete unused containers, or add a range to ipam.ranges; set statusOnFull to \"warn\" to make STATUS succeed nevertheless"},
		{errNotReady, types.ErrTryAgainLater, "wait for the program that creates the file, or start it; if patchbay-agent does, patchbay doctor reports why it does not"},
		{errInterrupted, types.ErrTryAgainLater, "call ADD again"},
		{errOutput, types.ErrIOFailure, "keep the plugin's stdout open until it exits"},
		{errAttached, CodeAttached, "call DEL first, or use another container ID or interface name"},
		{ErrIDInUse, CodeIDInUse, "use another container ID, or call DEL for the other attachment if it is no longer needed"},
		{errNoRole, types.ErrInvalidNetworkConfig, `install this program under the name in "type", or set type to "patchbay"; for use as IPAM plugin, install the main plugin in CNI_PATH`},
		{ErrNoPrevResult, types.ErrInvalidNetworkConfig, "pass the result of ADD as prevResult"},
		{errStillReserved, CodeIPAM, "install the IPAM plugin again in CNI_PATH, then call DEL again"},
		{errAnswers, CodeAddressTaken, "choose an address that no host of the LAN uses; if a host answers for unused addresses too (proxy ARP), set \"probe\": false in ipam"},
		{errOnBridge, CodeAddressTaken, "choose another address, or give each network its own subnet or bridge; patchbay ls lists the attachments"},
		{errUnusable, CodeIPAM, "correct the configuration of the IPAM plugin: the section ipam, or that of its server"},
		{errMACUnknown, types.ErrInvalidNetworkConfig, `set spoofCheck to "none", or put a plugin before this one whose result has the MAC address of the container interface`},
		{errInUse, types.ErrInvalidNetworkConfig, "name in prevResult a veth whose peer is in this container, or an unused tap; name neither to have a veth pair created"},
		{bandwidth.ErrBurst, types.ErrInvalidNetworkConfig, "give a burst of at least one packet, or leave the key out for the default"},
		{bandwidth.ErrUnsupported, types.ErrInternal, "load the modules as root of the host (modprobe -a sch_tbf sch_htb sch_ingress cls_u32 act_mirred ifb), or remove the bandwidth limits from the configuration"},
		{bandwidth.ErrNotOwned, CodeForeignLink, "remove that qdisc or interface (tc qdisc show, ip -details link), or limit the traffic in one plugin of the list only"},
		{errTapTaken, types.ErrInvalidNetworkConfig, fixTapTaken},
		{link.ErrNoTun, types.ErrInternal, "load the module as root of the host (modprobe tun), or remove the key tap; a container needs the device /dev/net/tun too"},
		{link.ErrNoNetns, types.ErrInvalidEnvironmentVariables, "set CNI_NETNS to the path of a network namespace, such as /run/netns/NAME or /proc/PID/ns/net"},
		{link.ErrNotNetns, types.ErrInvalidEnvironmentVariables, "set CNI_NETNS to the path of a network namespace; a plain file in /run/netns is left over from one that no longer exists"},
		{link.ErrNetns, types.ErrInternal, fixPrivileges + ", and CAP_SYS_PTRACE for the namespace of another user's process" + fixUserNamespace},
		{link.ErrHostNetns, types.ErrInvalidNetNS, "give the container a network namespace of its own; for LXC, set lxc.net.0.type = empty instead of none"},
		{link.ErrNotBridge, types.ErrInvalidNetworkConfig, "set the key bridge to the name of a bridge, or to an unused name: ADD creates that bridge"},
		{link.ErrNoIPv6, CodeSysctl, "boot the host without ipv6.disable=1, or remove the IPv6 ranges from the network"},
		{link.ErrShortMTU, types.ErrInvalidNetworkConfig, "set an MTU of at least 1280 on that bridge (ip link set BRIDGE mtu 1280), or remove the IPv6 ranges from the network"},
		{link.ErrClash, CodeAddressClash, "set the key bridge to a bridge that only this network uses, or set forceAddress: it adds the gateway and removes only addresses that overlap its subnet"},
		{errStrayGateway, types.ErrInvalidNetworkConfig, "choose a gateway that is reached through this bridge; if a router there has that address, add a route to it without a gateway: {\"dst\": \"ADDRESS/32\", \"scope\": 253}, /128 for IPv6"},
		{link.ErrBridgeFull, CodeBridgeFull, "use a second bridge for further containers: Linux allows 1023 ports on a bridge"},
		{link.ErrNotOwned, CodeForeignLink, "remove or rename that interface: its alias is not the one of this attachment"},
		{link.ErrUnfinished, types.ErrTryAgainLater, "call ADD again: the kernel did not finish in time"},
		{link.ErrVanished, types.ErrTryAgainLater, "find the program that deletes it (ip monitor link), then call ADD again"},
		{link.ErrDADFailed, types.ErrTryAgainLater, "find the host that uses the address (ip neigh), or add the address to ipam.exclude"},
		{link.ErrRouteExists, types.ErrInvalidNetworkConfig, "set another priority for this route: the container has one to the same destination through another network"},
		{link.ErrLocked, types.ErrTryAgainLater, "find the process that holds the lock (lsof on that path), then call again"},
		{link.ErrExists, types.ErrInvalidEnvironmentVariables, "use another CNI_IFNAME, or remove the interface from the namespace"},
		{nft.ErrTaken, CodeAddressTaken, "give each network its own subnet or bridge; patchbay show lists the attachments"},
		{nft.ErrPortTaken, CodePortTaken, "remove that mapping or choose another hostPort (patchbay ports lists them); a mapping for one address conflicts with a wildcard mapping of the same port"},
		{errPortInUse, CodePortTaken, "choose another hostPort, or stop that process (ss -lnp shows it)"},
		{errBridgeShared, types.ErrInvalidNetworkConfig, "give one of the two networks its own bridge (key bridge)"},
		{nft.ErrNewer, CodeRuleset, "install the newer patchbay again, or build the table anew with this version: patchbay reload"},
		{nft.ErrForeign, CodeRuleset, "rename or remove that table (nft delete table inet patchbay) after checking which program made it"},
		{nft.ErrUnsupported, CodeRuleset, "load the modules as root of the host (modprobe nf_tables nft_chain_nat nft_nat nft_masq nft_ct nft_fib_inet), or remove ipMasq, portMappings and ingressPolicy from the configuration"},
		{nft.ErrNotBuilt, CodeRuleset, "find the program that removes the table (nft monitor), then run patchbay reload"},
		{store.ErrExhausted, types.ErrTryAgainLater, "delete unused containers, or add a range to ipam.ranges"},
		{store.ErrSecond, types.ErrInvalidNetworkConfig, "request at most one address from each set of ipam.ranges"},
		{store.ErrRequested, types.ErrInvalidNetworkConfig, fixRequested},
		{store.ErrNewer, types.ErrPluginNotAvailable, "install the newer patchbay again, or call DEL for that attachment, which this version can remove"},
		{store.ErrUnsafe, types.ErrIOFailure, "make root the owner of that directory and remove write permission for others (chown root:root, chmod go-w), or set stateDir and ipam.dataDir to such a directory"},
		{store.ErrIrregular, types.ErrIOFailure, "remove it; only stateDir, ipam.dataDir and /var/lib/patchbay themselves may be symbolic links"},
		{errAllowList, types.ErrIOFailure, "make " + config.SysctlAllowList + " a regular file of root of at most 64 KiB that no other user may write to, or remove it to allow every sysctl of a container"},
		{safefile.ErrNotRegular, types.ErrIOFailure, "set the key to the path of a regular file"},
		{safefile.ErrTooLarge, types.ErrIOFailure, "set the key to the path of a smaller file"},
		{errResolvConf, types.ErrIOFailure, "set ipam.resolvConf to a file that the plugin can read, or remove the key"},
	}...)
}

// causesOfPorts are the rows of causes about ports of an attachment that exists.
func causesOfPorts() []cause {
	return []cause{
		{errOfRuntime, types.ErrInvalidNetworkConfig, "change the port mappings of the container in the runtime"},
		{errNotLive, types.ErrInvalidEnvironmentVariables, "remove it (patchbay down or detach, or patchbay gc), and attach the container again"},
		{errNoRecord, types.ErrInvalidEnvironmentVariables, "remove the attachment (patchbay down or detach), and attach the container again; patchbay doctor has the reason"},
		{errOwnPort, CodePortTaken, "remove that mapping first (patchbay ports rm)"},
		{errNotPublished, types.ErrInvalidEnvironmentVariables, "name a port that it publishes"},
		{errNoFamily, types.ErrInvalidNetworkConfig, "leave the address of the host out, or name one of the other family"},
		{errManyPorts, types.ErrInvalidNetworkConfig, fmt.Sprintf("publish at most %d ports of one container", config.MostPorts)},
	}
}

// causesOfVLANs are the rows of causes about vlan and vlanTrunk.
func causesOfVLANs() []cause {
	return []cause{
		{link.ErrNoVLANs, types.ErrUnsupportedField, "use a kernel with CONFIG_BRIDGE_VLAN_FILTERING, or remove vlan and vlanTrunk from the configuration"},
		{link.ErrNoVLANLink, types.ErrUnsupportedField, "load the module as root of the host (modprobe 8021q), or remove isGateway and isDefaultGateway: a router in the VLAN is then the gateway"},
		{link.ErrNotFiltered, types.ErrInvalidNetworkConfig, "turn it on where no port loses its traffic (ip link set BRIDGE type bridge vlan_filtering 1), or set the key bridge to another bridge"},
		{link.ErrNotVLANLink, types.ErrInvalidNetworkConfig, "rename or remove that interface: its name is that of the gateway's interface of the VLAN"},
		{link.ErrVLANOfBridge, types.ErrInvalidNetworkConfig, "choose another VLAN, or remove isGateway and isDefaultGateway"},
	}
}
