package config

import (
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// TypeName is the plugin type, and the ipam.type of the built-in IPAM.
const TypeName = "patchbay"

// Where things are when the configuration does not say.
const (
	DefaultBridge   = "cni0"          // as the reference bridge
	DefaultStateDir = "/run/patchbay" // records; usually a tmpfs, so that a reboot forgets what it destroyed

	DefaultSharedDir = "/var/lib/cni/networks" // addresses, where the built-in IPAM goes by the name of host-local
)

// Ident is what every verb needs and even a broken configuration usually still tells.
type Ident struct {
	CNIVersion string // "0.1.0" when the configuration has none, as libcni decodes it
	Name       string // network name; "" when unreadable
	Type       string // plugin type
	IPAMType   string // "" for a network without addresses
	StateDir   string // absolute; DefaultStateDir unless set
	LogFile    string // absolute; "" for no log
	DataDir    string // absolute; <StateDir>/ipam unless set, or DefaultSharedDir for an IPAMType of another name
	Called     Called
}

// Called says which other ipam.type is this program too; with the zero Called there is none.
type Called struct {
	Alias  string // an ipam.type whose program is a link to this one, such as host-local
	AsIPAM bool   // this process was called by that name: the main plugin is another one
}

// BuiltIn reports whether addresses come from the built-in IPAM, by whatever name.
func (i *Ident) BuiltIn() bool {
	return i.IPAMType == TypeName || i.Called.Alias != "" && i.IPAMType == i.Called.Alias
}

// Foreign reports whether addresses come from another plugin. Its section is its own business.
func (i *Ident) Foreign() bool { return i.IPAMType != "" && !i.BuiltIn() }

// Delegated reports whether another main plugin called us as its IPAM plugin.
func (i *Ident) Delegated() bool {
	return i.BuiltIn() && (i.Called.AsIPAM || i.Type != TypeName && i.IPAMType == TypeName)
}

// Config is a configuration in which everything has been checked that can be checked
// without the kernel.
type Config struct {
	Ident
	Bridge                    string
	IsGateway                 bool
	IsDefaultGateway          bool // implies IsGateway
	ForceAddress              bool
	HairpinMode               bool
	PromiscMode               bool
	EnableDAD                 bool
	DisableContainerInterface bool
	WarnOnFull                bool             // STATUS of a full pool: a line on stderr, no error
	MTU                       int              // bytes; 0: the bridge's
	MAC                       net.HardwareAddr // container end; nil: derived
	DNS                       types.DNS        // replaces IPAM's when not empty
	IPAM                      *IPAM            // nil: a network of layer 2 only, or a Foreign IPAM's
	Masq                      *Masq            // nil: containers keep their addresses
	Publish                   Publish          // what is asked for with published ports
	IngressPolicy             string           // PolicyOpen, PolicySameBridge, PolicyIsolated
	Firewall                  string           // FirewallReport, FirewallAuto, FirewallNone
	Args                      Args
	PrevResult                *types100.Result // nil unless the runtime passed one
}

// IPAM is the section "ipam" with what capabilities and arguments add to it.
type IPAM struct {
	Pool       ipam.Pool
	Routes     []Route
	Requested  []netip.Addr // from runtimeConfig.ips, args.cni.ips and CNI_ARGS IP, each once
	Gateways   []netip.Addr // from CNI_ARGS GATEWAY: each for the address whose subnet holds it
	ResolvConf string       // absolute path of a resolv.conf, or ""
	Sticky     bool         // an owner gets the address it had
}

// Route is a route of the container, as CNI SPEC.md section 5 (result, routes) defines it.
// Zero values mean that the kernel chooses.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr
	MTU      int // bytes
	AdvMSS   int // bytes
	Priority int // metric
	Table    *int
	Scope    *int
}
