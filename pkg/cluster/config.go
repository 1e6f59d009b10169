package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

// Modes of Config: how packets get to another node.
const (
	ModeDirect = "direct" // all nodes are on one network of layer 2: the InternalIP of the other node is the gateway
	ModeVXLAN  = "vxlan"  // by a VXLAN device, whose gateway is the other node
	ModeAuto   = "auto"   // as direct to nodes on a network of the host, as vxlan to nodes behind a router
)

// Defaults of Config. 8472 is the port of the kernel's driver, which flannel and Cilium use too: devices with different VNIs share it.
const (
	defaultVNI  = 4096
	defaultPort = 8472
	maxVNI      = 1<<24 - 1
)

// MTUs, in bytes: of IPv4 (RFC 791) and IPv6 (RFC 8200 section 5) at least, and what a bridge and a veth can have at most.
const (
	minMTU, minMTU6 = 68, 1280
	maxMTU          = 1<<16 - 1
)

// Config is the configuration of a cluster, the same on all of its nodes.
type Config struct {
	ClusterCIDRs []netip.Prefix // all pod CIDRs are in these; at least one, and at most one of each family is usual
	MasqExclude  []netip.Prefix // destinations besides ClusterCIDRs to which pods keep their address
	Mode         string         // ModeDirect, ModeVXLAN or ModeAuto
	MTU          int            // bytes; 0: that of the interface with the InternalIP of the node, less what VXLAN needs unless Mode is ModeDirect
	VNI, Port    int            // VXLAN network identifier and UDP port of the overlay
	Bridge       string         // of the conflist

	conflist template
}

// configFile is the form of a Config in a file.
type configFile struct {
	ClusterCIDRs []netip.Prefix  `json:"clusterCIDRs"`
	MasqExclude  []netip.Prefix  `json:"masqExclude"`
	Mode         string          `json:"mode"`
	MTU          int             `json:"mtu"`
	VNI          int             `json:"vxlanVNI"`
	Port         int             `json:"vxlanPort"`
	Conflist     json.RawMessage `json:"conflist"`
}

// ParseConfig reads a configuration, JSON, and checks it. Errors name the key.
func ParseConfig(text []byte) (*Config, error) {
	f := configFile{VNI: defaultVNI, Port: defaultPort}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode configuration: there is text after the object")
	}
	c := &Config{ClusterCIDRs: f.ClusterCIDRs, MasqExclude: f.MasqExclude, Mode: f.Mode, MTU: f.MTU, VNI: f.VNI, Port: f.Port}
	if c.Mode == "" {
		c.Mode = ModeDirect
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	conflist, err := parseTemplate(f.Conflist)
	if err != nil {
		return nil, fmt.Errorf("conflist: %w", err)
	}
	c.conflist, c.Bridge = conflist, conflist.bridge
	return c, nil
}

// check checks everything but the conflist.
func (c *Config) check() error {
	if len(c.ClusterCIDRs) == 0 {
		return errors.New("clusterCIDRs: missing; set the networks of all pods, as in the option --cluster-cidr of kube-controller-manager")
	}
	for key, list := range map[string][]netip.Prefix{"clusterCIDRs": c.ClusterCIDRs, "masqExclude": c.MasqExclude} {
		for _, p := range list {
			if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
				return fmt.Errorf("%s: %s is not a network; set it as address/length without host bits, such as 10.244.0.0/16", key, p)
			}
		}
	}
	for i, p := range c.ClusterCIDRs {
		if p.Bits() == 0 {
			return fmt.Errorf("clusterCIDRs: %s is everything; set the networks of all pods", p)
		}
		if slices.ContainsFunc(c.ClusterCIDRs[:i], p.Overlaps) {
			return fmt.Errorf("clusterCIDRs: %s overlaps another one", p)
		}
	}
	switch c.Mode {
	case ModeDirect, ModeVXLAN, ModeAuto:
	default:
		return fmt.Errorf("mode: %q is unknown; set direct, vxlan or auto", c.Mode)
	}
	if c.VNI < 1 || c.VNI > maxVNI {
		return fmt.Errorf("vxlanVNI: %d is not between 1 and %d", c.VNI, maxVNI)
	}
	if c.Port < 1 || c.Port > 1<<16-1 {
		return fmt.Errorf("vxlanPort: %d is not a port", c.Port)
	}
	return c.checkMTU()
}

// leastMTU returns the smallest MTU, in bytes, that packets of the families of the cluster need.
func (c *Config) leastMTU() int {
	if c.hasFamily(false) {
		return minMTU6
	}
	return minMTU
}

func (c *Config) checkMTU() error {
	least := c.leastMTU()
	if c.MTU != 0 && (c.MTU < least || c.MTU > maxMTU) {
		return fmt.Errorf("mtu: %d is not between %d and %d bytes; 0 means that of the interface with the InternalIP of the node", c.MTU, least, maxMTU)
	}
	return nil
}

// hasFamily reports whether the cluster has pod CIDRs of a family.
func (c *Config) hasFamily(is4 bool) bool {
	return slices.ContainsFunc(c.ClusterCIDRs, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}

// contains reports whether a prefix is within one of clusterCIDRs.
func (c *Config) contains(p netip.Prefix) bool {
	return slices.ContainsFunc(c.ClusterCIDRs, func(all netip.Prefix) bool { return all.Bits() <= p.Bits() && all.Contains(p.Addr()) })
}
