package explain

// Steps returns the steps in the order of ADD. A step without commands is left out.
func (p *Plan) Steps() []Step {
	var steps []Step
	for _, s := range []struct {
		name     string
		commands func() []Command
	}{{stepNetns, p.makeNetns}, {stepReserve, p.probe}, {stepPlug, p.plug}, {stepAsk, p.ask}, {stepPublish, p.publish}, {stepUp, p.up}} {
		if commands := s.commands(); len(commands) > 0 {
			steps = append(steps, Step{Name: s.name, Commands: commands})
		}
	}
	return steps
}

// makeNetns creates the network namespace, which a runtime does before it calls ADD.
func (p *Plan) makeNetns() (all []Command) {
	if p.Netns.Make {
		all = append(all, Command{Why: "the container is a network namespace, which the caller of ADD creates", Argv: []string{"ip", "netns", "add", p.Netns.Word}})
	}
	if p.Netns.Make && p.Netns.Loopback {
		all = append(all, Command{Why: "its loopback interface, as patchbay up sets it", Argv: p.inside("link", "set", "dev", "lo", "up")})
	}
	return all
}

// probe says what ADD does before it uses an address of a LAN.
func (p *Plan) probe() []Command {
	if !p.probes {
		return nil
	}
	return []Command{{Why: "ADD first asks the LAN by ARP and neighbour discovery whether another host has the address; if so, it takes the next one, or fails if the address was requested; no command for that"}}
}

// plug makes the bridge and the veth pair.
func (p *Plan) plug() (all []Command) {
	for _, part := range []func() []Command{p.makeBridge, p.makeGate, p.beGatewayEarly, p.makeVeth, p.limit, p.routeHostsEarly} {
		all = append(all, part()...)
	}
	return all
}

// ask is where a delegated IPAM plugin returns the addresses. What the host needs for them comes after.
func (p *Plan) ask() (all []Command) {
	if p.Record.IPAMType == "" {
		return nil
	}
	all = append(all, Command{Why: "the addresses come from the IPAM plugin " + p.Record.IPAMType + ", which ADD calls here; no command for that"})
	return append(append(all, p.beGateway()...), p.routeHosts()...)
}

func (p *Plan) beGatewayEarly() []Command {
	if p.Record.IPAMType != "" {
		return nil
	}
	return p.beGateway()
}

func (p *Plan) routeHostsEarly() []Command {
	if p.Record.IPAMType != "" {
		return nil
	}
	return p.routeHosts()
}
