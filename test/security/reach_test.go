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
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestMain adds -update, which writes the golden list anew.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write testdata/reach.txt anew")
	flag.Parse()
	os.Exit(m.Run())
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

const golden = "testdata/reach.txt"

// reach is what is reached: for each thing what is done to it, and for that by which verbs.
type reach map[string]map[string][]string

func (r reach) add(thing, deed, verb string) {
	if r[thing] == nil {
		r[thing] = map[string][]string{}
	}
	if !slices.Contains(r[thing][deed], verb) {
		r[thing][deed] = append(r[thing][deed], verb)
	}
}

// String is a line for each thing, in the order of the alphabet.
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

// verbs in the order in which a runtime calls them, and the one command for people that changes something.
func verbs() []string { return []string{"VERSION", "STATUS", "ADD", "CHECK", "DEL", "GC", reload} }

const reload = "reload"

// TestReach follows every verb of every file of conf/ that needs no other IPAM plugin with strace: what it makes, writes, renames
// and removes, which sockets it opens and which programs it starts is testdata/reach.txt, no
// more and no less. `go test ./security -run TestReach -update` writes that file.
func TestReach(t *testing.T) {
	nettest.Need(t, nettest.Tool("strace"))
	paths, err := filepath.Glob("../../conf/*.conflist")
	if err != nil || len(paths) < 8 {
		t.Fatalf("the files of conf/: %v, %v", paths, err)
	}
	all := reach{}
	for _, path := range paths {
		if ipam, _ := firstPlugin(t, path)["ipam"].(map[string]any); ipam["type"] == "dhcp" {
			continue // it reaches the program that it names, and what that one reaches
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".conflist"), func(t *testing.T) { follow(t, firstPlugin(t, path), all) })
	}
	t.Run("what else", func(t *testing.T) { follow(t, whatElse(), all) })
	t.Run("another IPAM", func(t *testing.T) { follow(t, anotherIPAM(), all) })
	if updating() {
		must(t, os.WriteFile(golden, []byte(all.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	expect.Equal(t, golden, strings.Split(all.String(), "\n"), strings.Split(string(want), "\n"))
}

// TestReadmeTellsTheReach: README has the list that policies of SELinux, AppArmor and snap need.
func TestReadmeTellsTheReach(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	list, err := os.ReadFile(golden)
	must(t, err)
	if len(list) < 500 || !strings.Contains(string(readme), "```\n"+string(list)+"```\n") {
		t.Errorf("README.md does not have %s (%d bytes) as a block of its own, line by line", golden, len(list))
	}
}

// firstPlugin is the configuration that the plugin gets, as libcni makes it; all are one network.
func firstPlugin(t *testing.T, path string) conf {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var list struct {
		Plugins []conf `json:"plugins"`
	}
	must(t, json.Unmarshal(text, &list))
	plugin := list.Plugins[0]
	plugin["name"], plugin["cniVersion"] = "net", "1.1.0"
	if can, _ := plugin["capabilities"].(map[string]any); can["portMappings"] == true {
		plugin["runtimeConfig"] = conf{"portMappings": []conf{
			{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
		}}
	}
	return plugin
}

// whatElse is what no file of conf/ has: shared addresses, detection of duplicates, and ports, which a runtime tells.
func whatElse() conf {
	ports := []conf{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 53, "containerPort": 53, "protocol": "udp"}}
	return network(conf{"enabledad": true, "runtimeConfig": conf{"portMappings": ports}, "ipam": conf{
		"type": "patchbay", "sticky": true, "dataDir": "/var/lib/cni/networks",
		"ranges": [][]conf{{{"subnet": "10.1.2.0/24"}}, {{"subnet": "fd00:1:2::/64"}}},
	}})
}

// anotherIPAM is one that the configuration names; it does nothing itself. The state directory is
// one that `reload` has to be told of.
func anotherIPAM() conf {
	return network(conf{"ipMasq": true, "stateDir": elsewhere, "ipam": conf{"type": fake}})
}

const (
	elsewhere = "/var/lib/elsewhere"
	fake      = "fake"
)

// withFake puts that plugin on CNI_PATH.
func withFake(t *testing.T, a *attachment) {
	t.Helper()
	a.call.Path = t.TempDir()
	program := nettest.Script(t, `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1"}]}'`)
	must(t, os.Symlink(program, filepath.Join(a.call.Path, fake)))
}

// unfriendly is a host that was told its default route, and a container without IPv6.
func unfriendly(t *testing.T, h *nettest.Node, c *nettest.Container) {
	t.Helper()
	for _, link := range []string{"all", "default", "lo"} {
		c.SetSysctl("net/ipv6/conf/"+link+"/disable_ipv6", "1")
	}
	c.SetSysctl("net/ipv6/conf/default/enhanced_dad", "0")
	h.SetSysctl("net/ipv6/conf/br0/accept_ra", "1")
	h.Allow("sysctl net/ipv6/conf/br0/accept_ra")   // scaffolding: it goes with forwarding
	h.Allow("container traced: address lo ::1/128") // IPv6 of the container's lo stays on
	h.Run(t, "ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "br0", "proto", "ra", "metric", "2000")
	h.Baseline()
}

// follow makes every verb's call on one host: twice, so that GC has something to collect, and an
// ADD whose result cannot be written, which is undone.
func follow(t *testing.T, network conf, all reach) {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
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

// traced makes a call under strace and returns the system calls that succeeded. A verb may have
// words of the shell behind it; then it must fail.
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

// plainNames puts words for what is different in each container.
func plainNames(thing string, network conf) string {
	bridge, _ := network["bridge"].(string)
	thing = strings.NewReplacer(
		"traced@eth0", "CONTAINER@IFNAME", "/conf/eth0/", "/conf/IFNAME/", "/conf/"+bridge+"/", "/conf/BRIDGE/", "/conf/br0/", "/conf/UPLINK/", "/.isolating/"+bridge, "/.isolating/BRIDGE",
		elsewhere+"/net", "/run/patchbay/NETWORK", elsewhere, "/run/patchbay", "/run/patchbay/net", "/run/patchbay/NETWORK",
		"program "+fake, "program of ipam.type", "/ipam/net", "/ipam/NETWORK", "/sticky/net", "/sticky/NETWORK", "/networks/net", "/networks/NETWORK",
	).Replace(thing)
	thing = regexp.MustCompile(`last_reserved_ip\.[0-9]+`).ReplaceAllString(thing, "last_reserved_ip.N")
	thing = regexp.MustCompile(`/\.elsewhere/[0-9a-f]+`).ReplaceAllString(thing, "/.elsewhere/HASH")
	return regexp.MustCompile(`([/-])([0-9]+(\.[0-9]+){3}|[0-9a-f]+:[0-9a-f:]+)`).ReplaceAllString(thing, "${1}ADDRESS")
}
