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

// FileEndings returns the ends of the names of files that runtimes read as network configurations.
func FileEndings() []string { return []string{".conflist", ".conf", ".json"} }

// Defaults of keys that name an interface or a directory. Other defaults are where the key is decoded: masquerade.go, ports.go, spoof.go,
// ipamconf.go; docs/configuration.md lists all.
const (
	DefaultBridge    = "cni0"                  // as in the reference bridge
	DefaultStateDir  = "/run/patchbay"         // records; usually a tmpfs, so a reboot deletes them with the interfaces
	DefaultSharedDir = "/var/lib/cni/networks" // address files of host-local
)

// Ident is the part of a configuration that every verb needs. DEL can usually read
// it from an invalid configuration too.
type Ident struct {
	CNIVersion string // "0.1.0" if the configuration has none, as libcni decodes it
	Name       string // network name; "" if it cannot be read
	Type       string // plugin type
	IPAMType   string // ipam.type; "" for a network without addresses
	StateDir   string // absolute path; DefaultStateDir if not set
	LogFile    string // absolute path; "" for no log
	DataDir    string // absolute path; if not set <StateDir>/ipam, or DefaultSharedDir if IPAMType is Called.Alias
	Called     Called
}

// Called says how this program was called. The zero value is a main plugin whose
// built-in IPAM has the ipam.type "patchbay" only.
type Called struct {
	Alias  string // another ipam.type of the built-in IPAM: a link to this program, such as host-local
	AsIPAM bool   // called as IPAM plugin by another main plugin
}

// BuiltIn reports whether ipam.type names the built-in IPAM.
func (i *Ident) BuiltIn() bool {
	return i.IPAMType == TypeName || i.Called.Alias != "" && i.IPAMType == i.Called.Alias
}

// DelegatesIPAM reports whether addresses come from a delegated IPAM plugin (CNI SPEC
// section 4). That plugin alone reads the other keys of the section "ipam".
func (i *Ident) DelegatesIPAM() bool { return i.IPAMType != "" && !i.BuiltIn() }

// CalledAsIPAM reports whether another main plugin called this program as IPAM plugin.
func (i *Ident) CalledAsIPAM() bool {
	return i.Called.AsIPAM && i.BuiltIn()
}

// Config is a complete configuration. All keys have been checked as far as that is
// possible without asking the kernel.
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
	ReadyFile                 string           // absolute path of a file without which ADD and STATUS fail; "" for none
	WarnOnFull                bool             // statusOnFull is "warn": STATUS of an exhausted pool succeeds with a warning
	MTU                       int              // bytes; 0 for the bridge's
	MAC                       net.HardwareAddr // of the container interface; nil to derive one
	DNS                       types.DNS        // replaces that of IPAM if not empty
	IPAM                      *IPAM            // nil without addresses, and for a delegated IPAM plugin
	Static                    *Static          // nil unless this program is the IPAM plugin static of the configuration; IPAM is nil then
	Masq                      *Masq            // nil without masquerading
	Publish                   Publish          // published ports and their options
	IngressPolicy             string           // PolicyOpen, PolicySameBridge, PolicyIsolated or PolicyPublished
	Egress                    *Egress          // nil without restriction
	Firewall                  string           // FirewallReport, FirewallAuto or FirewallNone
	SpoofCheck                SpoofCheck       // which source addresses containers may use
	Tuning                    Tuning           // settings of the container interface, sysctls of its namespace
	SBR                       *SBR             // source-based routing; nil without
	STPGuard                  bool             // BPDU guard and root block on bridge ports
	VLANs                     VLANs            // of the bridge port
	Tap                       *Tap             // the addresses are those of a guest behind it; nil without
	PortIsolation             bool             // isolated bridge port: frames pass only to and from ports without the flag
	Bandwidth                 *Bandwidth       // nil without limits
	Args                      Args
	PrevResult                *types100.Result // nil if the runtime passed none
}

// IPAM is the section "ipam", and what capabilities and CNI_ARGS add to it.
type IPAM struct {
	Pool       ipam.Pool
	Routes     []Route
	Requested  []netip.Addr // from runtimeConfig.ips, args.cni.ips and IP of CNI_ARGS, without duplicates
	Gateways   []netip.Addr // from GATEWAY of CNI_ARGS, each for the address of its subnet
	ResolvConf string       // absolute path of a resolv.conf(5); "" for none
	Sticky     bool         // an owner gets its previous address
	NoProbe    bool         // probe is false: do not ask on a LAN whether another host uses the address
}

// Route is a route in the container, as CNI SPEC section 5 defines it. With a zero
// value the kernel uses its default.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr
	MTU      int // bytes
	AdvMSS   int // bytes
	Priority int // metric
	Table    *int
	Scope    *int
}
