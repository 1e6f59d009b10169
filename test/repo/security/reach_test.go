package security

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain adds -update, which rewrites testdata/reach.txt.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write testdata/reach.txt anew")
	flag.Parse()
	os.Exit(m.Run())
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

const golden = "testdata/reach.txt"

// reach has for each object the operations on it, and for each operation the verbs.
type reach map[string]map[string][]string

func (r reach) add(thing, deed, verb string) {
	if r[thing] == nil {
		r[thing] = map[string][]string{}
	}
	if !slices.Contains(r[thing][deed], verb) {
		r[thing][deed] = append(r[thing][deed], verb)
	}
}

// String returns a line for each object, sorted.
func (r reach) String() string {
	var b strings.Builder
	for _, thing := range slices.Sorted(maps.Keys(r)) {
		var deeds []string
		for _, deed := range []string{"make", "write", "rename", "replace", "remove", "enter", "open", "start", "run"} {
			by := r[thing][deed]
			slices.SortFunc(by, func(x, y string) int { return slices.Index(verbs(), x) - slices.Index(verbs(), y) })
			if len(by) > 0 {
				deeds = append(deeds, deed+": "+strings.Join(by, " "))
			}
		}
		fmt.Fprintf(&b, "%-60s %s\n", thing, strings.Join(deeds, ", "))
	}
	return b.String()
}

// verbs returns the verbs in the order in which a runtime calls them, and reload.
func verbs() []string { return []string{"VERSION", "STATUS", "ADD", "CHECK", "DEL", "GC", reload} }

const reload = "reload"

// TestReach follows every verb of every file of conf/ that needs no other IPAM plugin with strace: the files that
// it creates, writes, renames and removes, the sockets that it opens and the programs that it starts are exactly those of testdata/reach.txt.
// `go test ./repo/security -run TestReach -update` writes that file.
//
// Claim: Verbs and `reload` use only the paths that docs/security.md lists, and start no program except the IPAM plugin of the
// configuration
func TestReach(t *testing.T) {
	nettest.Need(t, nettest.Tool("strace"))
	paths, err := filepath.Glob("../../../conf/*.conflist")
	if err != nil || len(paths) < 8 {
		t.Fatalf("the files of conf/: %v, %v", paths, err)
	}
	all := reach{}
	for _, path := range paths {
		if ipam, _ := firstPlugin(t, path)["ipam"].(map[string]any); ipam["type"] == "dhcp" {
			continue // it starts another IPAM plugin
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".conflist"), func(t *testing.T) { follow(t, firstPlugin(t, path), all) })
	}
	t.Run("what else", func(t *testing.T) { follow(t, whatElse(), all) })
	t.Run("another IPAM", func(t *testing.T) { follow(t, anotherIPAM(), all) })
	t.Run("a LAN", func(t *testing.T) { follow(t, ofLAN(), all) })
	if updating() {
		must(t, os.WriteFile(golden, []byte(all.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	expect.Equal(t, golden, strings.Split(all.String(), "\n"), strings.Split(string(want), "\n"))
}

// TestPathsPage: docs/security.md has the list that policies of SELinux, AppArmor and snap need.
//
// Claim: Verbs and `reload` use only the paths that docs/security.md lists, and start no program except the IPAM plugin of the
// configuration
func TestPathsPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/security.md")
	must(t, err)
	list, err := os.ReadFile(golden)
	must(t, err)
	if len(list) < 500 || !strings.Contains(string(page), "```\n"+string(list)+"```\n") {
		t.Errorf("docs/security.md does not have %s (%d bytes) as a block of its own, line by line", golden, len(list))
	}
}

// firstPlugin returns the configuration that libcni passes to the plugin; all have the same network name.
func firstPlugin(t *testing.T, path string) cni.Conf {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var list struct {
		Plugins []cni.Conf `json:"plugins"`
	}
	must(t, json.Unmarshal(text, &list))
	plugin := list.Plugins[0]
	plugin["name"], plugin["cniVersion"] = "net", "1.1.0"
	if can, _ := plugin["capabilities"].(map[string]any); can["portMappings"] == true {
		plugin["runtimeConfig"] = cni.Conf{"portMappings": []cni.Conf{
			{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
		}}
	}
	return plugin
}

// whatElse returns networks with features that no file of conf/ has: shared addresses, duplicate address detection, and port mappings.
func whatElse() cni.Conf {
	ports := []cni.Conf{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 53, "containerPort": 53, "protocol": "udp"}}
	return network(cni.Conf{"enabledad": true, "runtimeConfig": cni.Conf{"portMappings": ports}, "ipam": cni.Conf{
		"type": "patchbay", "sticky": true, "dataDir": "/var/lib/cni/networks",
		"ranges": [][]cni.Conf{{{"subnet": "10.1.2.0/24"}}, {{"subnet": "fd00:1:2::/64"}}},
	}})
}

// anotherIPAM returns a network with a delegated IPAM plugin that does nothing. Its state directory is passed to `reload`.
func anotherIPAM() cni.Conf {
	return network(cni.Conf{"ipMasq": true, "stateDir": elsewhere, "ipam": cni.Conf{"type": fake}})
}

// ofLAN returns a network on a bridge with an uplink, where ADD probes addresses first.
func ofLAN() cni.Conf {
	return network(cni.Conf{"bridge": "br0", "isDefaultGateway": false, "ipam": cni.Conf{"type": "patchbay", "subnet": "192.0.2.0/24", "probe": true}})
}

const (
	elsewhere = "/var/lib/elsewhere"
	fake      = "fake"
)

// withFake puts that plugin into CNI_PATH.
func withFake(t *testing.T, a *attachment) {
	t.Helper()
	a.call.Path = t.TempDir()
	program := nettest.Script(t, `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1"}]}'`)
	must(t, os.Symlink(program, filepath.Join(a.call.Path, fake)))
}

// unfriendly returns a host with a default route of a router advertisement, and a container without IPv6.
func unfriendly(t *testing.T, h *nettest.Node, c *nettest.Container) {
	t.Helper()
	for _, link := range []string{"all", "default", "lo"} {
		c.SetSysctl("net/ipv6/conf/"+link+"/disable_ipv6", "1")
	}
	c.SetSysctl("net/ipv6/conf/default/enhanced_dad", "0")
	h.SetSysctl("net/ipv6/conf/br0/accept_ra", "1")
	h.Allow("sysctl net/ipv6/conf/br0/accept_ra")   // changed together with forwarding
	h.Allow("container traced: address lo ::1/128") // IPv6 of the container's lo stays on
	h.Run(t, "ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "br0", "proto", "ra", "metric", "2000")
	h.Baseline()
}

// follow calls every verb on one host: twice, so that GC has something to remove, and an ADD whose result cannot be written, which is undone.
func follow(t *testing.T, network cni.Conf, all reach) {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
	if network["bridge"] == "br0" {
		h.Veth("uplink", h.Netns, "wire")
		h.Plug("uplink", "br0")
		h.Baseline()
	}
	c := h.Container("traced")
	a := on(t, h, c, network)
	if network["enabledad"] == true {
		unfriendly(t, h, c)
	}
	if network["stateDir"] == elsewhere {
		withFake(t, a)
	}
	for _, verb := range []string{"VERSION", "STATUS", "ADD >/dev/full", "ADD", "CHECK", reload, "DEL", "ADD", "GC", "DEL"} {
		if verb == "CHECK" && network["type"] != "patchbay" {
			continue // prevResult would be the other plugin's
		}
		for _, call := range traced(t, a, verb) {
			for _, deed := range call.deeds(t) {
				all.add(plainNames(deed.thing, network), deed.what, strings.Fields(verb)[0])
			}
		}
	}
}

// traced makes a call under strace and returns the successful system calls. A verb may be followed by shell syntax; then it must fail.
func traced(t *testing.T, a *attachment, verb string) []step {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	verb, shell, fails := strings.Cut(verb, " ")
	strace := fmt.Sprintf("exec %s strace -f -qq -y -s 0 -e signal=none -e 'trace=%%file,%%process,%s' -o %s %s",
		shell, strings.Join(others(), ","), out, nettest.Patchbay(t))
	a.call.Plugin = nettest.Script(t, strace)
	if verb == reload {
		a.h.Run(t, nettest.Script(t, strace+" "+reload))
	} else if answer := a.run(t, verb); (answer.Exit != 0) != fails {
		t.Fatalf("%s %s: %s", verb, shell, answer)
	}
	text, err := os.ReadFile(out)
	must(t, err)
	calls := parseTrace(t, string(text))
	if len(calls) < 3 {
		t.Fatalf("%s: strace saw %d calls", verb, len(calls))
	}
	return calls
}

// plainNames replaces the parts of a path that differ between containers.
func plainNames(thing string, network cni.Conf) string {
	bridge, _ := network["bridge"].(string)
	thing = strings.NewReplacer(
		"traced@eth0", "CONTAINER@IFNAME", "/conf/eth0/", "/conf/IFNAME/", "/conf/"+bridge+"/", "/conf/BRIDGE/", "/conf/br0/", "/conf/UPLINK/", "/.isolating/"+bridge, "/.isolating/BRIDGE",
		elsewhere+"/net", "/run/patchbay/NETWORK", elsewhere, "/run/patchbay", "/run/patchbay/net", "/run/patchbay/NETWORK",
		"program "+fake, "program of ipam.type", "/ipam/net", "/ipam/NETWORK", "/sticky/net", "/sticky/NETWORK", "/networks/net", "/networks/NETWORK",
	).Replace(thing)
	thing = regexp.MustCompile(`last_reserved_ip\.[0-9]+`).ReplaceAllString(thing, "last_reserved_ip.N")
	thing = regexp.MustCompile(`/\.elsewhere/[0-9a-f]+`).ReplaceAllString(thing, "/.elsewhere/HASH")
	thing = regexp.MustCompile(`/\.bridges/[^/ ]+\.[0-9a-f]{12}`).ReplaceAllString(thing, "/.bridges/BRIDGE.HASH")
	return regexp.MustCompile(`([/-])([0-9]+(\.[0-9]+){3}|[0-9a-f]+:[0-9a-f:]+)`).ReplaceAllString(thing, "${1}ADDRESS")
}
