package explain

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The names of the steps, which the log of ADD has too.
const (
	stepNetns   = "namespace"
	stepReserve = "reserve"
	stepPlug    = "plug"
	stepAsk     = "ask"
	stepPublish = "publish"
	stepUp      = "up"
)

// Netns is the network namespace of the container.
type Netns struct {
	Word     string // for `ip -n`: a name, or a path
	Make     bool   // it does not exist yet
	Loopback bool   // with lo up, as `patchbay up` makes it
}

// NetnsAt returns the network namespace at a path, by its name if it has one.
func NetnsAt(path string) Netns {
	if slices.Contains([]string{"/run/netns", "/var/run/netns"}, filepath.Dir(path)) {
		return Netns{Word: filepath.Base(path)}
	}
	return Netns{Word: path}
}

// Plan is an attachment with all that its commands depend on.
type Plan struct {
	Record *store.Record // the desired state
	Netns  Netns
	Exists bool // it is an attachment that exists

	Servers []string // name servers of the network; of an attachment that exists they are not known

	// Unprinted are parts of the state that the commands do not make, as clauses.
	Unprinted []string

	bridge    bridge
	gate      bridge           // what has the gateway addresses; the same as bridge without a VLAN
	gateway   link.AddressPlan // of gate
	forward   map[bool]bool    // families for which the host does not forward yet, true for IPv4
	keepRA    []string         // interfaces that keep their routes by router advertisement
	hostMAC   string           // of the host interface
	mtu       int              // of the veth pair, in bytes
	routes    []link.Route     // of the container
	bySource  *sourceRouting   // nil without
	setup     link.Setup       // of the container interface
	down      bool             // the container interface is not configured (disableContainerInterface)
	tuning    link.Tuning      // of the container
	rules     nft.Script       // of the attachment
	admit     [][]string       // commands for the rules of "firewall": "auto"
	localnet  bool             // route_localnet must be set
	delegated string           // the IPAM plugin whose addresses are not known yet
	probes    bool             // ADD probes the addresses first
}

// bridge is a bridge, or its interface of a VLAN, as it is before the first command.
type bridge struct {
	name    string
	exists  bool
	ours    bool // Patchbay created it, or would
	up      bool
	mac     string        // that it has or gets
	mtu     int           // that it has or gets, in bytes
	promisc bool          // has to be set
	filter  bool          // VLAN filtering has to be turned on
	no6     bool          // IPv6 has to be enabled for the gateway addresses
	forward map[bool]bool // families whose forwarding on it has to be enabled
	ports   bool          // it has ports
	vlan    int           // ID of an interface of a VLAN
	found   *link.Bridge
}

// sourceRouting is the policy rules and routing tables of an attachment (key sbr).
type sourceRouting struct {
	sources []link.Source // with their tables
	shared  bool          // others fill the table: only the rules are added
	hints   bool          // the routes to the subnets stay in the main table too
	known   []link.Route  // of an attachment that exists: what its tables have; nil to follow from the configuration
}

// checkNames returns an error that wraps ErrUnprintable if a name of the attachment is no plain word: a program could take it for its own
// syntax, however it is quoted for the shell.
func (p *Plan) checkNames() error {
	names := []string{p.Record.IfName, p.Record.Bridge, p.Record.HostLink, p.Netns.Word}
	if p.Record.Tap != nil {
		names = append(names, p.Record.Tap.Name)
	}
	for _, name := range names {
		if !printable.IsPlain(name) {
			return fmt.Errorf("%w: %q is no plain name", ErrUnprintable, printable.Text(name, 0))
		}
	}
	return nil
}

// addresses returns the addresses of the container.
func (p *Plan) addresses() []netip.Prefix { return store.Prefixes(p.Record.Addresses) }

// inside returns a command for the container: `ip -n c1 ...`.
func (p *Plan) inside(words ...string) []string {
	return append([]string{"ip", "-n", p.Netns.Word}, words...)
}

// setInside returns the command that sets sysctls in the container.
func (p *Plan) setInside(sysctls []link.Sysctl) []string {
	return append([]string{"ip", "netns", "exec", p.Netns.Word}, set(sysctls)...)
}

// set returns the command that sets sysctls.
func set(sysctls []link.Sysctl) []string {
	words := []string{"sysctl", "-w"}
	for _, s := range sysctls {
		words = append(words, s.Dotted()+"="+s.Value)
	}
	return words
}

// sysctl returns a sysctl of net by its parts.
func sysctl(value string, parts ...string) link.Sysctl {
	return link.Sysctl{Name: filepath.Join(append([]string{"net"}, parts...)...), Value: value}
}

// hasFamily reports whether some of the addresses are of a family.
func hasFamily(prefixes []netip.Prefix, is4 bool) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// inMain returns the routes of the container that are added to the main table, or to a table of their own.
func (p *Plan) inMain() []link.Route {
	if p.bySource == nil || p.bySource.shared {
		return p.routes
	}
	return slices.DeleteFunc(slices.Clone(p.routes), func(r link.Route) bool { return r.Table == 0 })
}

// alias returns an alias as the kernel has it, at most 255 bytes.
func alias(text string) string { return text[:min(len(text), 255)] }
