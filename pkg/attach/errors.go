package attach

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Error codes of our own, beyond those of CNI SPEC.md section "Error". README lists them.
const (
	CodeAttached       = 100 // this attachment exists already
	CodeAliveElsewhere = 101 // the same container ID lives in another namespace
	CodePortTaken      = 102 // another living attachment publishes the port
	CodeBridgeFull     = 103 // the bridge has no port left
	CodeForeignLink    = 104 // an interface of the derived name belongs to somebody else
	CodeAddressClash   = 105 // the bridge has other addresses than the network's gateway
	CodeDrift          = 106 // CHECK: the kernel is not what it should be
	CodeAddressTaken   = 107 // another living attachment has the address on the same bridge
	CodeRuleset        = 108 // nftables is not there, or its table patchbay is not one that can be used
	CodeIPAM           = 110 // the IPAM plugin cannot be run, or what it answers cannot be used
)

var (
	errAttached       = errors.New("attached already")
	errAliveElsewhere = errors.New("this container ID is in use")
	errInterrupted    = errors.New("interrupted by a signal")
	errOutput         = errors.New("the runtime does not read it")
	errStillReserved  = errors.New("the addresses of this attachment are not freed")
	errUnusable       = errors.New("gave what cannot be used")
	errNoPrevResult   = errors.New("prevResult: missing")
)

// cause is a row of the table that gives an error its code and its remedy.
type cause struct {
	is   error
	code uint
	fix  string
}

// causes is the one place where an error becomes a CNI error. The first row that fits counts.
func causes() []cause {
	return []cause{
		// What only STATUS says has no code here: its answer has one (notReadyError).
		{errNoAddress, 0, "delete containers that are not needed, or add a range to ipam.ranges; with statusOnFull \"warn\" this is no error"},
		{errNoRouter, 0, "set it to 1 on the host (sysctl -w), or let the plugin write below /proc/sys; a network without isGateway and isDefaultGateway needs no forwarding"},
		{errInterrupted, types.ErrTryAgainLater, "nothing was left behind; call ADD again"},
		{errOutput, types.ErrIOFailure, "nothing was left behind; keep the plugin's stdout open until it exits"},
		{errAttached, CodeAttached, "call DEL first, or use another container ID or interface name"},
		{errAliveElsewhere, CodeAliveElsewhere, "call DEL with this container ID and interface name if the other one is no longer wanted"},
		{errNoPrevResult, types.ErrInvalidNetworkConfig, "CHECK needs the result of ADD as prevResult"},
		{errStillReserved, CodeIPAM, "install the IPAM plugin again, as it was in CNI_PATH, then call DEL again"},
		{errUnusable, CodeIPAM, "mend the configuration of the IPAM plugin, the section ipam or its server's"},
		{errNoHostInterface, types.ErrInvalidNetworkConfig, "put a plugin before this one that makes a host-side interface, or put this one first"},
		{link.ErrNoNetns, types.ErrInvalidEnvironmentVariables, "CNI_NETNS must be the path of a network namespace, such as /run/netns/NAME or /proc/PID/ns/net"},
		{link.ErrNotNetns, types.ErrInvalidEnvironmentVariables, "CNI_NETNS must be the path of a network namespace; after a reboot a pin in /run/netns can be left as a plain file"},
		{link.ErrHostNetns, types.ErrInvalidNetNS, "give the container a network namespace of its own; for LXC, lxc.net.0.type = empty instead of none"},
		{link.ErrNotBridge, types.ErrInvalidNetworkConfig, "set the key bridge to another name, or remove that interface"},
		{link.ErrClash, CodeAddressClash, "use a bridge of its own for this network, or set forceAddress to replace the address; a bridge that nothing is plugged into any more can be removed (ip link del)"},
		{link.ErrBridgeFull, CodeBridgeFull, "Linux gives a bridge 1023 ports; use a second bridge for further containers"},
		{link.ErrForeign, CodeForeignLink, "remove or rename that interface; it does not carry the alias of this attachment"},
		{link.ErrUnfinished, types.ErrTryAgainLater, "the kernel was too busy to finish it; call ADD again"},
		{link.ErrDADFailed, types.ErrTryAgainLater, "find the host that uses the address (ip neigh), or exclude the address in ipam.exclude"},
		{link.ErrRouteExists, types.ErrInvalidNetworkConfig, "give the route another priority: the container has one through another network"},
		{link.ErrExists, types.ErrInvalidEnvironmentVariables, "use another CNI_IFNAME, or remove the interface from the namespace"},
		{nft.ErrTaken, CodeAddressTaken, "give each of the two networks a subnet of its own, or a bridge of its own; patchbay show tells who is attached"},
		{nft.ErrPortTaken, CodePortTaken, "use another hostPort, or end the other one (patchbay ports tells who publishes what); a port of one address and the same port of any are in each other's way"},
		{errWanted, CodePortTaken, "take another port, or stop that process (ss -lnp tells which it is)"},
		{errNoFamily, types.ErrInvalidNetworkConfig, "leave hostIP out, or give the container an address of that family"},
		{errBridgeShared, types.ErrInvalidNetworkConfig, "give one of the two networks a bridge of its own (key bridge)"},
		{nft.ErrNewer, CodeRuleset, "install the newer patchbay again, or let this one build the table anew: patchbay reload"},
		{nft.ErrForeign, CodeRuleset, "rename or remove that table (nft delete table inet patchbay), if nobody needs it"},
		{nft.ErrUnsupported, CodeRuleset, "load the modules as root of the host (modprobe nf_tables nft_chain_nat nft_nat nft_masq nft_ct nft_fib_inet), or do without ipMasq, portMappings and ingressPolicy"},
		{nft.ErrNotBuilt, CodeRuleset, "another program removes the table; see who does (nft monitor), then patchbay reload"},
		{store.ErrBusy, types.ErrTryAgainLater, "wait for the other process to end, then call again"},
		{store.ErrExhausted, types.ErrTryAgainLater, "delete containers that are not needed, or add a range to ipam.ranges"},
		{store.ErrRequested, types.ErrInvalidNetworkConfig, "ask for a free address within ipam.ranges, or for none"},
		{store.ErrNewer, types.ErrPluginNotAvailable, "install the newer patchbay again, or DEL that attachment, which this one can"},
		{store.ErrIrregular, types.ErrIOFailure, "remove it; only stateDir, ipam.dataDir and /var/lib/patchbay themselves may be symbolic links"},
		{syscall.ENOSPC, types.ErrIOFailure, "make room in the state directory (df -h, df -i)"},
		{syscall.EROFS, types.ErrIOFailure, "set stateDir, and ipam.dataDir, to a directory that can be written"},
		{syscall.EPERM, types.ErrInternal, "run as root, or with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW; a user namespace has them for its own network namespaces only"},
		{syscall.EOPNOTSUPP, types.ErrInternal, "this kernel lacks what is named: load its module (modprobe bridge veth) as root of the host; a container or a user namespace cannot"},
		{fs.ErrPermission, types.ErrIOFailure, "run as root, or set stateDir, and ipam.dataDir, to directories that can be written; a user namespace needs a /run of its own"},
	}
}

// CNIError turns any error of this package into what a runtime gets: a code, one sentence that
// names the thing, and evidence with the fix.
func CNIError(err error) *types.Error {
	var mistake *config.Error
	if errors.As(err, &mistake) {
		return types.NewError(codeOf(mistake.Kind), mistake.Msg, mistake.Details)
	}
	var drift *DriftError
	if errors.As(err, &drift) {
		return types.NewError(CodeDrift, drift.Error(), drift.details())
	}
	var plugin *delegate.Error
	if errors.As(err, &plugin) && plugin.Code != 0 {
		return types.NewError(plugin.Code, sentence(err), plugin.Details)
	}
	c := causeOf(err)
	var notReady *notReadyError
	switch {
	case errors.As(err, &notReady) && notReady.limited:
		c.code = types.ErrLimitedConnectivity
	case errors.As(err, &notReady):
		c.code = types.ErrPluginNotAvailable
	}
	return types.NewError(c.code, sentence(err), c.fix)
}

func causeOf(err error) cause {
	for _, c := range causes() {
		if errors.Is(err, c.is) {
			return c
		}
	}
	var plugin *delegate.Error
	if errors.As(err, &plugin) {
		return ipamCause(plugin)
	}
	var file *fs.PathError
	if errors.As(err, &file) {
		return cause{err, types.ErrIOFailure, "look at the file that is named"}
	}
	return cause{err, types.ErrInternal, "the kernel refused what is named; try again, and look at dmesg if it stays so"}
}

// sentence keeps an error of several lines (errors.Join) on one.
func sentence(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

func codeOf(kind config.Kind) uint {
	switch kind {
	case config.Undecodable:
		return types.ErrDecodingFailure
	case config.Unsupported:
		return types.ErrUnsupportedField
	case config.Environment:
		return types.ErrInvalidEnvironmentVariables
	case config.Version:
		return types.ErrIncompatibleCNIVersion
	}
	return types.ErrInvalidNetworkConfig
}
