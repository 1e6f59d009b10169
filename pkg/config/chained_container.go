package config

// ParseLimits decodes and checks a configuration of the plugin bandwidth. Every error is an *Error.
func ParseLimits(data []byte) (*Chained, error) {
	return parseChained(data, func(d *decoder, top section, c *Chained) { c.Bandwidth = d.bandwidth(top) })
}

// ParseSBR decodes and checks a configuration of the plugin sbr, whose keys are on the top level. Every error is an *Error.
func ParseSBR(data []byte) (*Chained, error) {
	return parseChained(data, func(d *decoder, top section, c *Chained) { c.SBR = d.sbrKeys(top) })
}

// ParseTuning decodes and checks a configuration of the plugin tuning, and MAC of CNI_ARGS. Every error is an *Error.
//
// In increasing precedence, a MAC is that of the key "mac", CNI_ARGS, runtimeConfig.mac and args.cni.mac, as in the reference
// plugin; for the main plugin runtimeConfig.mac has the highest.
func ParseTuning(data []byte, args string) (*Chained, error) {
	return parseChained(data, func(d *decoder, top section, c *Chained) {
		cni := d.inner(d.inner(top, "args"), "cni")
		c.Tuning = d.tuning(top)
		for _, s := range []section{top, cni} {
			if mtu := d.number(s, "mtu", minMTU, maxMTU); mtu != 0 {
				c.MTU = mtu
			}
		}
		if text := d.text(top, "mac"); text != "" {
			c.MAC = d.mac("mac", text, Invalid)
		}
		if given := d.args(args); given.MAC != nil {
			c.MAC = given.MAC
		}
		for _, s := range []section{d.inner(top, "runtimeConfig"), cni} {
			if text := d.text(s, "mac"); text != "" {
				c.MAC = d.mac(s.path+"mac", text, Invalid)
			}
		}
	})
}
