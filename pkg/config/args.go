package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Args is the decoded value of CNI_ARGS, "KEY=VALUE;KEY=VALUE".
type Args struct {
	IPs          []netip.Addr // IP, separated by commas
	Gateways     []netip.Addr // GATEWAY, separated by commas
	MAC          net.HardwareAddr
	PodNamespace string // K8S_POD_NAMESPACE
	PodName      string // K8S_POD_NAME
	PodUID       string // K8S_POD_UID
	SandboxID    string // K8S_POD_INFRA_CONTAINER_ID
}

const argsHelp = "CNI_ARGS holds pairs KEY=VALUE, separated by semicolons"

// ParseArgs decodes the value of CNI_ARGS. An unknown key is an error unless
// IgnoreUnknown is 1 or true, as in libcni's types.LoadArgs. Errors have the kind
// Environment.
func ParseArgs(text string) (Args, error) {
	d := &decoder{}
	args := d.args(text)
	if d.err != nil {
		return Args{}, d.err
	}
	return args, nil
}

// args decodes CNI_ARGS; an error is kept in d.
func (d *decoder) args(text string) Args {
	var args Args
	if len(text) > maxArgs {
		d.fail(environment("%d bytes are too many", fmt.Sprintf("give at most %d", maxArgs), len(text)))
		return args
	}
	ignore, unknown := false, []string(nil)
	for pair := range strings.SplitSeq(text, ";") {
		if pair == "" {
			continue
		}
		key, val, isPair := strings.Cut(pair, "=")
		if !isPair || strings.Contains(val, "=") {
			d.fail(environment("invalid pair %q", argsHelp, pair))
			continue
		}
		switch {
		case !isArg(key):
			unknown = append(unknown, key)
		case val == "": // same as absent: some callers always set all keys
		case key == "IgnoreUnknown":
			ignore = d.argFlag(val)
		default:
			d.arg(&args, key, val)
		}
	}
	if len(unknown) > 0 && !ignore {
		d.fail(environment("unknown key %q", "add IgnoreUnknown=1, or use IP, GATEWAY, MAC, K8S_*", unknown[0]))
	}
	return args
}

// isArg reports whether a key of CNI_ARGS is known.
func isArg(key string) bool {
	return slices.Contains([]string{
		"IgnoreUnknown", "IP", "GATEWAY", "MAC",
		"K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_UID", "K8S_POD_INFRA_CONTAINER_ID",
	}, key)
}

// arg stores the value of a known key.
func (d *decoder) arg(args *Args, key, val string) {
	switch key {
	case "IP":
		args.IPs = d.argAddrs(key, val)
	case "GATEWAY":
		args.Gateways = d.argAddrs(key, val)
	case "MAC":
		args.MAC = d.mac("CNI_ARGS: MAC", val, Environment)
	case "K8S_POD_NAMESPACE":
		args.PodNamespace = val
	case "K8S_POD_NAME":
		args.PodName = val
	case "K8S_POD_UID":
		args.PodUID = val
	case "K8S_POD_INFRA_CONTAINER_ID":
		args.SandboxID = val
	}
}

// argFlag decodes the value of IgnoreUnknown.
func (d *decoder) argFlag(val string) bool {
	switch strings.ToLower(val) {
	case "1", "true":
		return true
	case "0", "false":
		return false
	}
	d.fail(environment("IgnoreUnknown: want 1, 0, true or false, got %q", argsHelp, val))
	return false
}

// argAddrs decodes a list of addresses; a prefix length is ignored.
func (d *decoder) argAddrs(key, val string) []netip.Addr {
	var out []netip.Addr
	if count := strings.Count(val, ",") + 1; count > maxIPs {
		d.fail(environment("%s: %d entries are too many", fmt.Sprintf("give at most %d", maxIPs), key, count))
		return nil
	}
	for text := range strings.SplitSeq(val, ",") {
		inner := &decoder{}
		addr := inner.addrOrPrefix(key, strings.TrimSpace(text))
		if inner.err != nil {
			d.fail(environment("%s: %q is not an IP address", inner.err.Details, key, text))
			return nil
		}
		out = append(out, addr)
	}
	return out
}

// environment returns an error about CNI_ARGS. args belong to format.
func environment(format, details string, args ...any) *Error {
	e := invalid("CNI_ARGS", details, format, args...)
	e.Kind = Environment
	return e
}

// macAddress decodes the requested MAC. In increasing precedence: the key "mac" of the
// reference tuning, CNI_ARGS, args.cni.mac and the runtime's capability "mac", as in the
// reference bridge. In tuning args.cni.mac precedes the capability.
func (d *decoder) macAddress(top section, c *Config) {
	if text := d.text(top, "mac"); text != "" {
		c.MAC = d.mac("mac", text, Invalid)
	}
	if c.Args.MAC != nil {
		c.MAC = c.Args.MAC
	}
	for _, s := range []section{d.inner(d.inner(top, "args"), "cni"), d.inner(top, "runtimeConfig")} {
		if text := d.text(s, "mac"); text != "" {
			c.MAC = d.mac(s.path+"mac", text, Invalid)
		}
	}
}

// mac decodes a unicast MAC address of six bytes.
func (d *decoder) mac(key, text string, kind Kind) net.HardwareAddr {
	const help = "give six bytes like 02:00:00:12:34:56"
	fail := func(why string) {
		e := invalid(key, help, "%q "+why, text)
		e.Kind = kind
		d.fail(e)
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		fail("is not a MAC address")
		return nil
	}
	if mac[0]&1 != 0 {
		fail("is a multicast address, which an interface cannot have")
	}
	if mac.String() == "00:00:00:00:00:00" {
		fail("is the zero address")
	}
	return mac
}
