package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

const (
	minMTU  = 68   // RFC 791 section 3.2: the minimum of an IPv4 link
	minMTU6 = 1280 // RFC 8200 section 5; with a smaller MTU the kernel disables IPv6 on an interface
	maxMTU  = 65535
)

// Parse decodes and checks a network configuration and the value of CNI_ARGS. Every
// error is an *Error.
func Parse(data []byte, args string) (*Config, error) {
	return Called{}.Parse(data, args)
}

// Parse parses as the function Parse does, for a program that was called under another name (Called).
func (called Called) Parse(data []byte, args string) (*Config, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	return called.parse(top, args)
}

// parse decodes and checks an object.
func (called Called) parse(top section, args string) (*Config, error) {
	d := &decoder{}
	c := &Config{Ident: ident(d, top, called)}
	d.network(top, c)
	if d.err == nil && !c.CalledAsIPAM() {
		d.bridge(top, c)
		c.Bandwidth = d.bandwidth(top)
	}
	c.WarnOnFull = d.warnOnFull(top)
	c.Args = d.args(args)
	c.IPAM = d.ipam(top, c)
	if !c.CalledAsIPAM() { // an IPAM plugin does not read the main plugin's keys
		d.macAddress(top, c)
		d.dns(top, c)
		c.PrevResult = d.prevResult(top, c.CNIVersion)
		d.checkCombinations(c)
	}
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

// ParseLenient decodes what can be decoded and never fails: DEL must work with a
// configuration that has become invalid or was cut off
// (docs/architecture.md#principles).
func ParseLenient(data []byte) Ident { return Called{}.ParseLenient(data) }

// ParseLenient parses as the function ParseLenient does, for a program that was called under another name (Called).
func (called Called) ParseLenient(data []byte) Ident {
	id := ident(&decoder{}, objectLenient(data), called)
	if !isPath(id.StateDir) {
		id.StateDir = DefaultStateDir
	}
	if !isPath(id.LogFile) {
		id.LogFile = ""
	}
	if !isPath(id.DataDir) {
		id.DataDir = id.defaultDataDir()
	}
	if !ValidName(id.Name) {
		id.Name = ""
	}
	return id
}

// ident decodes the part that every verb needs. It keeps errors of type in d.
func ident(d *decoder, top section, called Called) Ident {
	id := Ident{
		Called:     called,
		CNIVersion: d.text(top, "cniVersion"),
		Name:       d.text(top, "name"),
		Type:       d.text(top, "type"),
		StateDir:   d.text(top, "stateDir"),
		LogFile:    d.text(top, "logFile"),
	}
	raw, found := top.raw("ipam")
	if found {
		ipam := objectLenient(raw) // Parse checks the whole object later
		ipam.path, ipam.read = "ipam.", top.read
		id.IPAMType = d.text(ipam, "type")
		if !id.DelegatesIPAM() {
			id.DataDir = d.text(ipam, "dataDir")
		}
	}
	if id.CNIVersion == "" {
		id.CNIVersion = "0.1.0"
	}
	if id.StateDir == "" {
		id.StateDir = DefaultStateDir
	}
	if id.DataDir == "" {
		id.DataDir = id.defaultDataDir()
	}
	return id
}

// defaultDataDir returns DefaultSharedDir if the program is called as host-local: then
// the addresses are where host-local keeps them.
func (i *Ident) defaultDataDir() string {
	if i.BuiltIn() && i.IPAMType != TypeName {
		return DefaultSharedDir
	}
	return i.ownDataDir()
}

// ownDataDir returns the data directory in the state directory.
func (i *Ident) ownDataDir() string { return filepath.Join(i.StateDir, "ipam") }

// SharedDir returns host-local's default data directory, in which a network that was
// migrated from host-local has its addresses; "" if the configuration sets dataDir or
// names a delegated IPAM plugin.
func (i *Ident) SharedDir() string {
	if i.DelegatesIPAM() || i.DataDir != i.ownDataDir() {
		return ""
	}
	return DefaultSharedDir
}

// network checks the keys that identify the network.
func (d *decoder) network(top section, c *Config) {
	if plugins, found := top.raw("plugins"); found && c.Type == "" && plugins[0] == '[' {
		d.fail(&Error{
			Kind: Invalid, Msg: "this is a network configuration list",
			Details: "pass one object of its plugins, with name and cniVersion of the list",
		})
	}
	if !slices.Contains(version.All.SupportedVersions(), c.CNIVersion) {
		d.fail(&Error{
			Kind: Version, Msg: "incompatible CNI versions",
			Details: fmt.Sprintf("config is %q, plugin supports %q", c.CNIVersion, version.All.SupportedVersions()),
		})
	}
	if c.Name == "" {
		d.fail(invalid("name", `give the network a "name"`, "missing network name"))
	}
	if c.Name != "" && !ValidName(c.Name) {
		d.fail(invalid("name", "use letters, digits, dot, underscore and dash, a letter or digit first", "invalid characters in network name %q", c.Name))
	}
	if most := 255; len(c.Name) > most { // NAME_MAX of a directory name
		d.fail(invalid("name", fmt.Sprintf("use at most %d bytes", most), "%d bytes are too long", len(c.Name)))
	}
	if c.Type == "" {
		d.fail(invalid("type", `set it to "`+TypeName+`"`, "missing"))
	}
	if c.Called.AsIPAM && !c.BuiltIn() {
		d.fail(invalid("ipam.type", `set it to "`+TypeName+`"`, "%q names another IPAM plugin", c.IPAMType))
	}
	// Check stateDir first, because dataDir is derived from it.
	d.absolute("stateDir", c.StateDir)
	d.absolute("ipam.dataDir", c.DataDir)
	if c.LogFile != "" {
		d.absolute("logFile", c.LogFile)
	}
}

// absolute rejects a path that is not absolute.
func (d *decoder) absolute(key, path string) {
	if !isPath(path) {
		d.fail(invalid(key, "give a path that begins with /", "%q is not an absolute path", path))
	}
}

// isPath reports whether a path is absolute and has no zero byte, with which no path
// of the kernel exists.
func isPath(path string) bool { return filepath.IsAbs(path) && !strings.ContainsRune(path, 0) }

// bridge decodes the keys of the main plugin.
func (d *decoder) bridge(top section, c *Config) {
	d.bridgeName(top, c)
	c.IsGateway = d.flag(top, "isGateway")
	c.IsDefaultGateway = d.flag(top, "isDefaultGateway")
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	c.ForceAddress = d.flag(top, "forceAddress")
	c.HairpinMode = d.flag(top, "hairpinMode")
	c.PromiscMode = d.flag(top, "promiscMode")
	c.EnableDAD = d.flag(top, "enabledad")
	c.DisableContainerInterface = d.flag(top, "disableContainerInterface")
	c.MTU = d.mtu(top)
	c.ReadyFile = d.readyFile(top)
	c.Tuning = d.tuning(top)
	c.SBR = d.sbr(top)
	c.Masq = d.masq(top)
	d.outbound(top, c)
	c.Publish = d.publish(top)
	d.policies(top, c)
	d.egress(top, c)
	d.spoofCheck(top, c)
	c.STPGuard = d.flagOr(top, "stpGuard", true)
	c.VLANs = d.vlans(top)
	c.PortIsolation = d.flag(top, "portIsolation")
	c.Tap = d.tap(top)
	d.checkVLANGateway(c)
}

// mtu decodes the MTU: of args.cni, or else of the network, as in the reference tuning.
func (d *decoder) mtu(top section) int {
	mtu := d.number(top, "mtu", minMTU, maxMTU)
	if own := d.number(d.inner(d.inner(top, "args"), "cni"), "mtu", minMTU, maxMTU); own != 0 {
		return own
	}
	return mtu
}

// readyFile decodes the key "readyFile".
func (d *decoder) readyFile(top section) string {
	path := d.text(top, "readyFile")
	if path != "" {
		d.absolute("readyFile", path)
	}
	return path
}

// bridgeName decodes the key "bridge".
func (d *decoder) bridgeName(top section, c *Config) {
	c.Bridge = d.text(top, "bridge")
	if c.Bridge == "" {
		c.Bridge = DefaultBridge
	}
	if err := ValidateInterfaceName(c.Bridge); err != nil {
		d.fail(invalid("bridge", "give the name of a bridge: 1 to 15 bytes without /, :, % and white space", "%q cannot name an interface: %v", c.Bridge, err))
	}
}

// warnOnFull decodes statusOnFull. It applies to the built-in IPAM under every main plugin.
func (d *decoder) warnOnFull(top section) bool {
	answer := d.text(top, "statusOnFull")
	if answer != "" && answer != "error" && answer != "warn" {
		d.fail(invalid("statusOnFull", `give "error" or "warn"`, "%q is not known", answer))
	}
	return answer == "warn"
}

// checkCombinations checks keys against each other.
func (d *decoder) checkCombinations(c *Config) {
	if d.err != nil {
		return
	}
	if c.HairpinMode && c.PromiscMode {
		d.fail(invalid("hairpinMode", "set one of the two to false", "cannot be true together with promiscMode"))
	}
	if c.DisableContainerInterface && c.IPAMType != "" {
		d.fail(invalid("disableContainerInterface", `leave "ipam" out, or set the key to false`, "cannot be true together with ipam"))
	}
	d.checkPorts(c)
	d.checkSBR(c)
	d.checkTap(c)
	if c.IPAM == nil {
		d.checkResultWithoutAddress(c)
		return // the addresses of a delegated IPAM plugin are not known yet
	}
	has6 := false
	for _, set := range c.IPAM.Pool.Sets {
		has6 = has6 || !set.Is4()
		d.checkGateways(c, set)
	}
	if has6 && c.MTU != 0 && c.MTU < minMTU6 {
		d.fail(invalid("mtu", fmt.Sprintf("give at least %d, or no IPv6 ranges", minMTU6), "%d is too small for IPv6", c.MTU))
	}
}

// checkGateways rejects a gateway that the bridge would get with the prefix length of
// a subnet that does not contain it: no packet of the subnet would reach it. Without
// isGateway it may be a router on the link, and in a subnet of one address the
// container has a host route to it.
func (d *decoder) checkGateways(c *Config, set ipam.Set) {
	for _, r := range set {
		if c.IsGateway && r.Gateway.IsValid() && !r.Subnet.IsSingleIP() && !r.Subnet.Contains(r.Gateway) {
			d.fail(invalid("ipam", "give a gateway within the subnet, or leave isGateway and isDefaultGateway out", "gateway %s is not in subnet %s", r.Gateway, r.Subnet))
		}
	}
}

// checkResultWithoutAddress rejects a network without addresses if its result cannot
// be written: results before 0.3.0 must have an address (CNI SPEC 0.2.0, "Result").
// ADD would find out only when it prints the result.
func (d *decoder) checkResultWithoutAddress(c *Config) {
	if singleAddressResult(c.CNIVersion) && !hasAddress(c.PrevResult) && !c.DelegatesIPAM() {
		d.fail(invalid("cniVersion", `use 0.3.0 or later, or give addresses with "ipam"`, "a result of version %s must have an address", c.CNIVersion))
	}
}

// hasAddress reports whether a previous plugin gave the container an address other
// than that of lo.
func hasAddress(prev *types100.Result) bool {
	return prev != nil && slices.ContainsFunc(prev.IPs, func(ip *types100.IPConfig) bool { return !ip.Address.IP.IsLoopback() })
}

// singleAddressResult reports whether results of a version have one address per family
// instead of a list.
func singleAddressResult(cniVersion string) bool {
	return strings.HasPrefix(cniVersion, "0.1.") || strings.HasPrefix(cniVersion, "0.2.")
}

// dns decodes DNS settings: the runtime's capability "dns" replaces the key "dns".
// ipam.resolvConf is read later, by ADD.
func (d *decoder) dns(top section, c *Config) {
	own, runtime := d.inner(top, "dns"), d.inner(d.inner(top, "runtimeConfig"), "dns")
	c.DNS = types.DNS{
		Nameservers: d.addresses(own, "nameservers"),
		Domain:      d.text(own, "domain"),
		Search:      d.texts(own, "search"),
		Options:     d.texts(own, "options"),
	}
	// The members of the capability have other names (CNI CONVENTIONS.md) than those of a result.
	fromRuntime := types.DNS{
		Nameservers: d.addresses(runtime, "servers"),
		Search:      d.texts(runtime, "searches"),
		Options:     d.texts(runtime, "options"),
	}
	if !fromRuntime.IsEmpty() {
		c.DNS = fromRuntime
	}
	d.atMostDNS("dns", c.DNS)
}

// atMostDNS limits the lists of DNS settings.
func (d *decoder) atMostDNS(key string, dns types.DNS) {
	d.atMost(key+": name servers", len(dns.Nameservers), maxDNS)
	d.atMost(key+": search domains", len(dns.Search), maxDNS)
	d.atMost(key+": options", len(dns.Options), maxDNS)
}

// addresses decodes a list of IP addresses and returns it as strings.
func (d *decoder) addresses(s section, key string) []string {
	list := d.texts(s, key)
	if !d.atMost(s.path+key, len(list), maxDNS) {
		return nil
	}
	for _, text := range list {
		if _, err := netip.ParseAddr(text); err != nil {
			d.fail(invalid(s.path+key, "give IP addresses", "%q is not an IP address", text))
		}
	}
	return list
}
