package conformance

import (
	"encoding/json"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func checkChecks() []Check {
	checks := []Check{
		{
			ID: "check", Level: Must, Source: "SPEC 2, CHECK: immediately after an ADD", run: func(t *trial) { checkPasses(t, nothing) },
			Text: "succeeds with CHECK at once after ADD",
		},
		{
			ID: "check-silent", Level: Practice, Source: "SPEC, Check example: no output", run: checkSilent,
			Text: "prints nothing on stdout when CHECK succeeds",
		},
		{
			ID: "check-changes-nothing", Level: Practice, Source: "CHECK is a probe", run: checkChangesNothing,
			Text: "changes nothing with CHECK",
		},
		{
			ID: "check-dual-stack", Level: Must, Source: "SPEC 2, CHECK: immediately after an ADD", Needs: []string{"dualStack"}, run: func(t *trial) { checkPasses(t, nothing, "dualStack") },
			Text: "succeeds with CHECK at once after ADD of IPv4 and IPv6",
		},
		{
			ID: "check-second", Level: Should, Source: "SPEC 2, CHECK", run: func(t *trial) { checkPasses(t, anotherAttached) },
			Text: "succeeds with CHECK after others were attached",
		},
		{
			ID: "check-second-deleted", Level: Should, Source: "SPEC 2, CHECK", run: func(t *trial) { checkPasses(t, anotherDeleted) },
			Text: "succeeds with CHECK after others were attached and detached",
		},
		{
			ID: "check-later-route", Level: Must, Source: "SPEC 2, CHECK: a later chained plugin", run: func(t *trial) { checkPasses(t, laterRoute) },
			Text: "succeeds if a later plugin has added a route",
		},
		{
			ID: "check-later-address", Level: Must, Source: "SPEC 2, CHECK: a later chained plugin", run: func(t *trial) { checkPasses(t, laterAddress) },
			Text: "succeeds if a later plugin has added an address",
		},
		{
			ID: "check-later-interface", Level: Must, Source: "SPEC 2, CHECK: a later chained plugin", run: checkLaterInterface,
			Text: "succeeds if prevResult has an interface of a later plugin",
		},
		{
			ID: "check-later-mac", Level: Must, Source: "SPEC, Check example: the changed mac", run: checkLaterMAC,
			Text: "succeeds if a later plugin has changed the MAC address, in the kernel and in prevResult",
		},
		{
			ID: "check-prevresult-absent", Level: Must, Source: "SPEC 2, CHECK: must consult the prevResult", run: checkWithoutPrev,
			Text: "refuses CHECK without prevResult",
		},
		{
			ID: "check-never-added", Level: Should, Source: "SPEC 2, CHECK: a missing interface", run: checkNeverAdded,
			Text: "refuses CHECK of an attachment that does not exist",
		},
	}
	return since("0.4.0", append(checks, checkContainerChecks()...))
}

// checkContainerChecks are those of broken interfaces, addresses and routes of the container.
func checkContainerChecks() []Check {
	var checks []Check
	for _, b := range []struct {
		id, what string
		level    Level
		needs    []string
		broken   func(*trial, *nettest.Container)
	}{
		{"interface-absent", "the interface is gone", Should, nil, interfaceAbsent},
		{"interface-down", "the interface is down", Should, nil, func(t *trial, c *nettest.Container) { t.ip(c.Netns, "link set eth0 down") }},
		{"interface-moved", "the interface is in another namespace", Should, nil, interfaceMoved},
		{"interface-renamed", "the interface has another name", Should, nil, interfaceRenamed},
		{"mac-changed", "the interface has another MAC address than prevResult says", Should, nil, macChanged},
		{"address-absent", "the address is gone", Should, []string{"ipam"}, func(t *trial, c *nettest.Container) { t.ip(c.Netns, "address flush dev eth0 scope global") }},
		{"address-other", "the interface has another address than prevResult says", Should, []string{"ipam"}, addressOther},
	} {
		checks = append(checks, Check{
			ID: "check-" + b.id, Level: b.level, Source: "SPEC 2, CHECK: missing or in an invalid state", Needs: b.needs,
			Text: "reports with CHECK that " + b.what, run: func(t *trial) { checkReports(t, b.broken) },
		})
	}
	return append(checks, Check{
		ID: "check-route-absent", Level: Should, Source: "SPEC 2, CHECK: missing or in an invalid state", Needs: []string{"route"},
		Text: "reports with CHECK that a route is gone", run: func(t *trial) { checkReports(t, routeAbsent, "route") },
	})
}

func checkHostChecks() []Check {
	var checks []Check
	for _, b := range []struct {
		id, what string
		needs    []string
		variants []string
		broken   func(*trial, *nettest.Container)
	}{
		{"port-absent", "the host interface is no port of the bridge", []string{"bridge"}, nil, func(t *trial, c *nettest.Container) { t.ip(t.host.Netns, "link set "+t.hostEnd(c)+" nomaster") }},
		{"host-interface-down", "the host interface is down", []string{"hostInterface"}, nil, func(t *trial, c *nettest.Container) { t.ip(t.host.Netns, "link set "+t.hostEnd(c)+" down") }},
		{"bridge-absent", "the bridge is gone", []string{"bridge"}, nil, func(t *trial, _ *nettest.Container) { t.remove(t.host.Netns, t.profile().Bridge) }},
		{"bridge-down", "the bridge is down", []string{"bridge"}, nil, func(t *trial, _ *nettest.Container) { t.ip(t.host.Netns, "link set "+t.profile().Bridge+" down") }},
		{"gateway-absent", "the gateway's address is gone", []string{"bridge", "gateway"}, nil, func(t *trial, _ *nettest.Container) { t.ip(t.host.Netns, "address flush dev "+t.profile().Bridge) }},
		{"reservation-absent", "the reservation of the address is gone", []string{"directories"}, nil, func(t *trial, _ *nettest.Container) { t.files(os.Remove) }},
		{"masquerade-absent", "the rules of masquerading are gone", []string{"masquerade"}, []string{"masquerade"}, func(t *trial, _ *nettest.Container) { t.host.Run(t, "nft", "flush", "ruleset") }},
		{"forwarding-off", "the host does not forward", []string{"masquerade", "defaultRoute"}, []string{"masquerade", "defaultRoute"}, func(t *trial, _ *nettest.Container) { t.host.SetSysctl("net/ipv4/ip_forward", "0") }},
	} {
		level, source := Should, "SPEC 2, CHECK: other resources"
		switch b.id {
		case "forwarding-off": // a condition of which a plugin need not be aware
			level = Practice
		case "port-absent", "host-interface-down", "bridge-absent", "bridge-down":
			source = "SPEC 2, CHECK: an interface of the result"
		}
		checks = append(checks, Check{
			ID: "check-" + b.id, Level: level, Source: source, Needs: b.needs,
			Text: "reports with CHECK that " + b.what, run: func(t *trial) { checkReports(t, b.broken, b.variants...) },
		})
	}
	return since("0.4.0", checks)
}

// since sets the version of checks.
func since(version string, checks []Check) []Check {
	for i := range checks {
		checks[i].Since = version
	}
	return checks
}

// checkAfter attaches a container, changes something, and calls CHECK with the result of ADD.
func checkAfter(t *trial, change func(*trial, *nettest.Container), names []string) nettest.Answer {
	config := t.conf(t.variantsOf(names)...)
	c, r := t.attach("c", config)
	t.succeeds(t.do(t.call("CHECK", c, withPrev(config, r))), "CHECK before the change")
	change(t, c)
	return t.do(t.call("CHECK", c, withPrev(config, r)))
}

func checkPasses(t *trial, change func(*trial, *nettest.Container), names ...string) {
	t.succeeds(checkAfter(t, change, names), "CHECK")
}

func checkReports(t *trial, broken func(*trial, *nettest.Container), names ...string) {
	t.refuses(checkAfter(t, broken, names), "CHECK")
}

func checkSilent(t *trial) {
	c, r := t.attach("c", t.conf())
	t.silent(t.do(t.call("CHECK", c, withPrev(t.conf(), r))), "CHECK")
}

func checkChangesNothing(t *trial) {
	c, r := t.attach("c", t.conf())
	t.baseline()
	t.succeeds(t.do(t.call("CHECK", c, withPrev(t.conf(), r))), "CHECK")
	t.clean("CHECK")
}

func anotherAttached(t *trial, _ *nettest.Container) { t.attach("another", t.conf()) }

func anotherDeleted(t *trial, _ *nettest.Container) {
	c, _ := t.attach("another", t.conf())
	t.del(c, t.conf())
}

func laterRoute(t *trial, c *nettest.Container) { t.ip(c.Netns, "route add 203.0.113.0/24 dev eth0") }

func laterAddress(t *trial, c *nettest.Container) {
	t.ip(c.Netns, "address add 203.0.113.9/32 dev eth0")
}

// changed returns a result with a change.
func (t *trial) changed(r *result, change func(map[string]any)) *result {
	var value map[string]any
	if err := json.Unmarshal(r.raw, &value); err != nil {
		t.Fatal(err)
	}
	change(value)
	return &result{raw: text(value)}
}

// interfacesOf returns the interfaces of a decoded result.
func interfacesOf(value map[string]any) []any {
	list, _ := value["interfaces"].([]any)
	return list
}

func checkLaterInterface(t *trial) {
	c, r := t.attach("c", t.conf())
	t.ip(t.host.Netns, "link add later0 type veth peer name later1")
	more := t.changed(r, func(value map[string]any) {
		value["interfaces"] = append(interfacesOf(value), conf{"name": "later0", "mac": t.host.MAC("later0")})
	})
	t.succeeds(t.do(t.call("CHECK", c, withPrev(t.conf(), more))), "CHECK")
}

const laterMAC = "02:00:5e:10:00:07"

func checkLaterMAC(t *trial) {
	c, r := t.attach("c", t.conf())
	t.ip(c.Netns, "link set eth0 address "+laterMAC)
	now := t.changed(r, func(value map[string]any) {
		for _, i := range interfacesOf(value) {
			if i := object(i); i["sandbox"] == c.Path() {
				i["mac"] = laterMAC
			}
		}
	})
	t.succeeds(t.do(t.call("CHECK", c, withPrev(t.conf(), now))), "CHECK")
}

func checkWithoutPrev(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.refuses(t.do(t.call("CHECK", c, t.conf())), "CHECK")
}

func checkNeverAdded(t *trial) {
	_, r := t.attach("resident", t.conf())
	c := t.host.Container("c")
	t.refuses(t.do(t.call("CHECK", c, withPrev(t.conf(), r))), "CHECK")
}

func interfaceMoved(t *trial, c *nettest.Container) {
	t.host.Container("elsewhere")
	t.ip(c.Netns, "link set eth0 netns elsewhere")
}

func interfaceRenamed(t *trial, c *nettest.Container) {
	t.ip(c.Netns, "link set eth0 down")
	t.ip(c.Netns, "link set eth0 name eth9")
	t.ip(c.Netns, "link set eth9 up")
}

func macChanged(t *trial, c *nettest.Container) { t.ip(c.Netns, "link set eth0 address "+laterMAC) }

func addressOther(t *trial, c *nettest.Container) {
	t.ip(c.Netns, "address flush dev eth0 scope global")
	t.ip(c.Netns, "address add 203.0.113.9/24 dev eth0")
}

func routeAbsent(t *trial, c *nettest.Container) {
	t.ip(c.Netns, "route delete "+wanted().String())
}
