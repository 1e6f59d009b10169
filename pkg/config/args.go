package config

import (
	"net"
	"net/netip"
	"strings"
)

// Args is what CNI_ARGS holds: "K=V;K=V".
type Args struct {
	IPs          []netip.Addr // IP, comma separated
	Gateways     []netip.Addr // GATEWAY, comma separated
	MAC          net.HardwareAddr
	PodNamespace string // K8S_POD_NAMESPACE
	PodName      string // K8S_POD_NAME
	PodUID       string // K8S_POD_UID
	SandboxID    string // K8S_POD_INFRA_CONTAINER_ID
}

const argsHelp = "CNI_ARGS holds pairs KEY=VALUE with ; between them"

// ParseArgs reads the value of CNI_ARGS. A key that is not known is an error unless
// IgnoreUnknown is 1 or true (libcni's types.LoadArgs). Errors are of kind Environment.
func ParseArgs(text string) (Args, error) {
	d := &decoder{}
	args := d.args(text)
	if d.err != nil {
		return Args{}, d.err
	}
	return args, nil
}

func (d *decoder) args(text string) Args {
	var args Args
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
		if key == "IgnoreUnknown" {
			ignore = d.argFlag(val)
			continue
		}
		if !d.arg(&args, key, val) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 && !ignore {
		d.fail(environment("unknown key %q", "add IgnoreUnknown=1, or use IP, GATEWAY, MAC, K8S_*", unknown[0]))
	}
	return args
}

// arg stores one pair; false if the key is not known.
func (d *decoder) arg(args *Args, key, val string) bool {
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
	default:
		return false
	}
	return true
}

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

func (d *decoder) argAddrs(key, val string) []netip.Addr {
	var out []netip.Addr
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

// environment makes an error about CNI_ARGS; the format's arguments come after the details.
func environment(format, details string, args ...any) *Error {
	e := invalid("CNI_ARGS", details, format, args...)
	e.Kind = Environment
	return e
}

// hardware picks the MAC address. From weak to strong: CNI_ARGS, args.cni.mac, the runtime's
// capability, as the reference bridge has it.
func (d *decoder) hardware(top section, c *Config) {
	c.MAC = c.Args.MAC
	for _, s := range []section{d.inner(d.inner(top, "args"), "cni"), d.inner(top, "runtimeConfig")} {
		if text := d.text(s, "mac"); text != "" {
			c.MAC = d.mac(s.path+"mac", text, Invalid)
		}
	}
}

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
		fail("is a group address, an interface cannot have it")
	}
	if mac.String() == "00:00:00:00:00:00" {
		fail("is no address at all")
	}
	return mac
}
