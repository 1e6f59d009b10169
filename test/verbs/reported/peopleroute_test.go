package reported

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// noWayOut: a host on a LAN, first without a default route of a family; doctor prints a note, which is not a problem.
func noWayOut(keys, option, subnet, lan string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		is := map[string]string{"-4": "IPv4", "-6": "IPv6"}[option]
		says := "note: the host has no " + is + " default route: containers of network pods can only reach networks that the host has a route to (# ip " + option +
			" route add default via ROUTER dev INTERFACE)\nno problems found; examined "
		p.sh("ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up; ip address add " + lan + " dev lan0")
		ipam := `"ipam": {"type": "patchbay", "ranges": [[{"subnet": "` + subnet + `"}]]}, ` + keys
		c := p.Container("c1")
		p.call("ADD", c, ipam)
		expect.Contains(t, p.ok("doctor"), says)
		expect.Contains(t, p.ok("doctor", "-o", "json"), `"notes": [`, "no "+is+" default route")
		for _, route := range []string{"default", map[string]string{"-4": "198.0.0.0/7", "-6": "2000::/3"}[option]} {
			p.sh("ip " + option + " route add " + route + " dev lan0")
			if out := p.ok("doctor"); strings.Contains(out, "note:") {
				t.Errorf("with a route for %s doctor notes %s", route, out)
			}
			p.sh("ip " + option + " route del " + route + " dev lan0")
		}
		expect.Contains(t, p.ok("doctor"), says)
		p.call("DEL", c, ipam)
		if out := p.ok("doctor"); strings.Contains(out, "note:") {
			t.Errorf("without containers doctor notes %s", out)
		}
		p.sh("ip link del lan0")
	}
}
