package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

const (
	minMTU  = 68   // RFC 791: what every IPv4 link must carry
	minMTU6 = 1280 // RFC 8200 section 5; below it the kernel takes IPv6 away from a link
	maxMTU  = 65535
)

// Parse reads a network configuration and the value of CNI_ARGS. Every error is an *Error;
// when there is none, nothing in the configuration contradicts anything else in it.
func Parse(data []byte, args string) (*Config, error) {
	return Called{}.Parse(data, args)
}

// Parse is the function Parse for a program that has another name too.
func (called Called) Parse(data []byte, args string) (*Config, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	c := &Config{Ident: ident(d, top, called)}
	d.network(c)
	if d.err == nil && !c.Delegated() {
		d.bridge(top, c)
		d.refuse(top)
	}
	c.WarnOnFull = d.warnOnFull(top)
	c.Args = d.args(args)
	c.IPAM = d.ipam(top, c)
	if !c.Delegated() { // these are the main plugin's business
		d.hardware(top, c)
		d.dns(top, c)
		c.PrevResult = d.prevResult(top, c.CNIVersion)
		d.agree(c)
	}
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

// ParseLenient reads what can be read and never fails: DEL and GC must do their work with a
// configuration that has become invalid or was cut off (design principle 5).
func ParseLenient(data []byte) Ident { return Called{}.ParseLenient(data) }

// ParseLenient is the function ParseLenient for a program that has another name too.
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
		ipam := objectLenient(raw) // its shape is checked where its keys are read
		ipam.path = "ipam."
		id.IPAMType = d.text(ipam, "type")
		if !id.Foreign() {
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

func (i *Ident) defaultDataDir() string {
	if i.BuiltIn() && i.IPAMType != TypeName {
		return DefaultSharedDir // where host-local, whose name it has, would look
	}
	return filepath.Join(i.StateDir, "ipam")
}

// network checks what identifies the network.
func (d *decoder) network(c *Config) {
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
	if most := 255; len(c.Name) > most { // of a file name, NAME_MAX
		d.fail(invalid("name", fmt.Sprintf("use at most %d", most), "%d bytes are too long", len(c.Name)))
	}
	if c.Type == "" {
		d.fail(invalid("type", `set it to "`+TypeName+`"`, "missing"))
	}
	// The state directory first: the data directory is in it unless it was given.
	d.absolute("stateDir", c.StateDir)
	d.absolute("ipam.dataDir", c.DataDir)
	if c.LogFile != "" {
		d.absolute("logFile", c.LogFile)
	}
}

func (d *decoder) absolute(key, path string) {
	if !isPath(path) {
		d.fail(invalid(key, "give a path that begins with /", "%q is not an absolute path", path))
	}
}

// isPath refuses a zero byte too: the kernel knows no such path, and DEL must not fail for it.
func isPath(path string) bool { return filepath.IsAbs(path) && !strings.ContainsRune(path, 0) }

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
	c.MTU = d.number(top, "mtu", minMTU, maxMTU)
	c.Masq = d.masq(top)
	c.Publish = d.publish(top)
	d.policies(top, c)
}

func (d *decoder) bridgeName(top section, c *Config) {
	c.Bridge = d.text(top, "bridge")
	if c.Bridge == "" {
		c.Bridge = DefaultBridge
	}
	if err := ValidateInterfaceName(c.Bridge); err != nil {
		d.fail(invalid("bridge", "give the name of a bridge: 1 to 15 bytes without /, :, % and white space", "%q cannot name an interface: %v", c.Bridge, err))
	}
}

// warnOnFull reads statusOnFull, whoever is the main plugin: the pool is ours.
func (d *decoder) warnOnFull(top section) bool {
	answer := d.text(top, "statusOnFull")
	if answer != "" && answer != "error" && answer != "warn" {
		d.fail(invalid("statusOnFull", `give "error" or "warn"`, "%q is no answer to a full pool", answer))
	}
	return answer == "warn"
}

// agree checks the keys against each other.
func (d *decoder) agree(c *Config) {
	if d.err != nil {
		return
	}
	if c.HairpinMode && c.PromiscMode {
		d.fail(invalid("hairpinMode", "set one of the two to false", "cannot be true together with promiscMode"))
	}
	if c.DisableContainerInterface && c.IPAMType != "" {
		d.fail(invalid("disableContainerInterface", `leave "ipam" out, or set the key to false`, "cannot be true together with ipam"))
	}
	d.portsNeedAddresses(c)
	if c.IPAM == nil {
		d.addressless(c)
		return // what a foreign IPAM gives is only known when it has
	}
	has6 := false
	for _, set := range c.IPAM.Pool.Sets {
		has6 = has6 || !set.Is4()
		d.gatewaysWithin(c, set)
	}
	if has6 && c.MTU != 0 && c.MTU < minMTU6 {
		d.fail(invalid("mtu", fmt.Sprintf("give at least %d, or no IPv6 ranges", minMTU6), "%d is too small for IPv6", c.MTU))
	}
}

// gatewaysWithin refuses a gateway that the bridge would get with the length of a subnet it is not
// in: no packet from the subnet would reach it. Where the host is no gateway, it may be a router on
// the link; a single address has a route of its own.
func (d *decoder) gatewaysWithin(c *Config, set ipam.Set) {
	for _, r := range set {
		if c.IsGateway && r.Gateway.IsValid() && !r.Subnet.IsSingleIP() && !r.Subnet.Contains(r.Gateway) {
			d.fail(invalid("ipam", "give a gateway within the subnet, or leave isGateway and isDefaultGateway out", "gateway %s is not in subnet %s", r.Gateway, r.Subnet))
		}
	}
}

// addressless refuses what would fail when the result is printed, after all the work: results
// before 0.3.0 must hold an address (CNI SPEC 0.2.0, result).
func (d *decoder) addressless(c *Config) {
	if beforeLists(c.CNIVersion) && c.PrevResult == nil && !c.Foreign() {
		d.fail(invalid("cniVersion", `use 0.3.0 or later, or give addresses with "ipam"`, "a result of %s cannot be without addresses", c.CNIVersion))
	}
}

// beforeLists reports whether a version's results hold one address per family, not a list.
func beforeLists(cniVersion string) bool {
	return strings.HasPrefix(cniVersion, "0.1.") || strings.HasPrefix(cniVersion, "0.2.")
}

// dns decides which of the three sources wins: the runtime's capability, then the key "dns";
// what IPAM's resolvConf says is only known when it is read.
func (d *decoder) dns(top section, c *Config) {
	own, runtime := d.inner(top, "dns"), d.inner(d.inner(top, "runtimeConfig"), "dns")
	c.DNS = types.DNS{
		Nameservers: d.addresses(own, "nameservers"),
		Domain:      d.text(own, "domain"),
		Search:      d.texts(own, "search"),
		Options:     d.texts(own, "options"),
	}
	// CNI CONVENTIONS.md names the capability's members otherwise than the result's.
	fromRuntime := types.DNS{
		Nameservers: d.addresses(runtime, "servers"),
		Search:      d.texts(runtime, "searches"),
		Options:     d.texts(runtime, "options"),
	}
	if !fromRuntime.IsEmpty() {
		c.DNS = fromRuntime
	}
}

// addresses is a list of IP addresses that stays text.
func (d *decoder) addresses(s section, key string) []string {
	list := d.texts(s, key)
	for _, text := range list {
		if _, err := netip.ParseAddr(text); err != nil {
			d.fail(invalid(s.path+key, "give IP addresses", "%q is not an IP address", text))
		}
	}
	return list
}
