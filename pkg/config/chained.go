package config

import (
	"encoding/json"
	"net"

	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// Chained is a configuration of a plugin that another one of its list precedes.
type Chained struct {
	Ident
	PrevResult    *types100.Result // nil if the runtime passed none
	RawPrevResult json.RawMessage  // as the runtime passed it, with members that this version does not know

	// Warnings are about keys that are accepted and have no effect, or another one than in the reference plugin.
	Warnings []string

	Bandwidth *Bandwidth       // bandwidth; nil without limits
	SBR       *SBR             // sbr
	Tuning    Tuning           // tuning, with the two below
	MAC       net.HardwareAddr // nil: left as it is
	MTU       int              // bytes; 0: left as it is

	Publish       Publish // portmap
	IngressPolicy string  // firewall: PolicyOpen, PolicySameBridge or PolicyIsolated
	Firewall      string  // firewall: FirewallReport, FirewallAuto or FirewallNone
}

// ParseChained decodes what the configurations of all chained plugins have. Every error is an *Error.
func ParseChained(data []byte) (*Chained, error) { return parseChained(data, nil) }

// parseChained decodes a configuration; own decodes the keys of one plugin.
func parseChained(data []byte, own func(*decoder, section, *Chained)) (*Chained, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	c := &Chained{Ident: ident(d, top, Called{})}
	d.network(top, &Config{Ident: c.Ident})
	if own != nil && d.err == nil {
		own(d, top, c)
	}
	c.RawPrevResult, _ = top.raw("prevResult")
	c.PrevResult = d.prevResult(top, c.CNIVersion)
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}
