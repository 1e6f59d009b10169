package verbs

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	types020 "github.com/containernetworking/cni/pkg/types/020"
	types040 "github.com/containernetworking/cni/pkg/types/040"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// versions are all that there are.
func versions() []string {
	return []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
}

// eachVersion runs a subtest for every version, on a host of its own.
func eachVersion(t *testing.T, run func(t *testing.T, h *nettest.Node, version string)) {
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			run(t, nettest.Host(t), version)
		})
	}
}

// TestResultIsOfTheVersionAsked decodes it with the library's decoder of just that version.
func TestResultIsOfTheVersionAsked(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a, _ := attach(t, h, h.Container("c"), network(conf{"cniVersion": version}, defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
		result, err := cniversion.NewResult(version, a.prev)
		if err != nil {
			t.Fatal(err)
		}
		expect.Equal(t, "version of the result", result.Version(), version)
		var said struct{ CNIVersion string }
		if err := json.Unmarshal(a.prev, &said); err != nil {
			t.Fatal(err)
		}
		expect.Equal(t, "cniVersion", said.CNIVersion, version)
	})
}

// TestResultsBefore030HaveIP4AndIP6: one address of each family, each with its routes.
func TestResultsBefore030HaveIP4AndIP6(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.1.0", "0.2.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), network(conf{"cniVersion": version}, defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
			r := &types020.Result{}
			if err := json.Unmarshal(a.prev, r); err != nil || r.IP4 == nil || r.IP6 == nil {
				t.Fatalf("%v: %s", err, a.prev)
			}
			expect.Equal(t, "ip4", ipnet(r.IP4.IP), "10.1.0.2/24")
			expect.Equal(t, "ip4.gateway", r.IP4.Gateway.String(), "10.1.0.1")
			expect.Equal(t, "ip4.routes", r.IP4.Routes[0].Dst.String(), "0.0.0.0/0")
			expect.Equal(t, "ip6", ipnet(r.IP6.IP), "fd00:1::2/64")
			expect.Equal(t, "ip6.gateway", r.IP6.Gateway.String(), "fd00:1::1")
			expect.Equal(t, "ip6.routes", r.IP6.Routes[0].Dst.String(), "::/0")
		})
	}
}

func ipnet(n net.IPNet) string { return n.String() }

// TestResultsOf030To040TellTheFamily: their ips have a "version", and point to the interface.
func TestResultsOf030To040TellTheFamily(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), network(conf{"cniVersion": version}, gateway(), pool("10.1.0.0/24", "fd00:1::/64")))
			r := &types040.Result{}
			if err := json.Unmarshal(a.prev, r); err != nil || len(r.IPs) != 2 || len(r.Interfaces) != 3 {
				t.Fatalf("%v: %s", err, a.prev)
			}
			expect.Equal(t, "families", []string{r.IPs[0].Version, r.IPs[1].Version}, []string{"4", "6"})
			expect.Equal(t, "interfaces", []int{*r.IPs[0].Interface, *r.IPs[1].Interface}, []int{2, 2})
		})
	}
}

// TestEveryVersionChecksAndDeletes with the result it got; CHECK came with 0.4.0 and is refused before.
func TestEveryVersionChecksAndDeletes(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a, _ := attach(t, h, h.Container("c"), network(conf{"cniVersion": version}, defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
		if slices.Index(versions(), version) < slices.Index(versions(), "0.4.0") {
			e := a.fails(t, "CHECK", 1)
			expect.Equal(t, "msg", e.Msg, "config version does not allow CHECK")
		} else {
			a.check(t)
		}
		a.del(t)
		noLeaks(t, h)
	})
}

// TestConfigWithoutVersionIsOf010, as libcni reads it.
func TestConfigWithoutVersionIsOf010(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(conf{"cniVersion": nil}, pool("10.1.0.0/24")))
	expect.Contains(t, string(a.prev), `"ip4"`, `"cniVersion": "0.1.0"`)
}

// TestStatusAndGCCameWith110 and are refused before.
func TestStatusAndGCCameWith110(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a := on(h, h.Container("c"), network(conf{"cniVersion": version}, pool("10.1.0.0/24")))
		for _, verb := range []string{"STATUS", "GC"} {
			if version == "1.1.0" {
				a.run(t, verb).OK(t)
				continue
			}
			expect.Equal(t, "msg", a.fails(t, verb, 1).Msg, "config version does not allow "+verb)
		}
	})
}

// TestVersionEchoesTheVersionAsked and lists every version, the library's own test of a plugin.
func TestVersionEchoesTheVersionAsked(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			answer := h.CNI(t, nettest.Call{Command: "VERSION", Config: conf{"cniVersion": version}.bytes(t)}).OK(t)
			info := versionOf(t, answer)
			expect.Equal(t, "cniVersion", info.CNIVersion, version)
			expect.Equal(t, "supportedVersions", info.Supported, versions())
			if _, err := (&cniversion.PluginDecoder{}).Decode(answer.Stdout); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVersionWithoutInput, or asked for one nobody knows, answers with the newest.
func TestVersionWithoutInput(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	for _, stdin := range []string{"", `{"cniVersion": "9.9.9"}`} {
		answer := h.CNI(t, nettest.Call{Command: "VERSION", Config: []byte(stdin)}).OK(t)
		expect.Equal(t, "cniVersion", versionOf(t, answer).CNIVersion, "1.1.0")
	}
}

type versionInfo struct {
	CNIVersion string   `json:"cniVersion"`
	Supported  []string `json:"supportedVersions"`
}

func versionOf(t testing.TB, answer nettest.Answer) versionInfo {
	t.Helper()
	var info versionInfo
	if err := json.Unmarshal(answer.Stdout, &info); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return info
}

// TestVersionNeedsNoEnvironment but the command itself.
func TestVersionNeedsNoEnvironment(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.CNI(t, nettest.Call{
		Command: "VERSION", Config: []byte(`{"cniVersion": "1.0.0"}`),
		Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"},
	}).OK(t)
}

// TestAboutLinesWithoutCommand are what nerdctl parses: on stderr, exit 0, nothing on stdout.
func TestAboutLinesWithoutCommand(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	answer := h.CNI(t, nettest.Call{Unset: []string{"CNI_COMMAND"}}).OK(t)
	lines := strings.Split(string(answer.Stderr), "\n")
	if len(lines) != 3 || len(answer.Stdout) != 0 {
		t.Fatalf("want two lines on stderr and nothing on stdout: %s", answer)
	}
	version, found := strings.CutPrefix(lines[0], "CNI patchbay plugin ")
	if !found || strings.Count(version, ".") < 2 || strings.ContainsAny(version, " \t") {
		t.Errorf("first line %q", lines[0])
	}
	expect.Equal(t, "second line", lines[1], "CNI protocol versions supported: "+strings.Join(versions(), ", "))
	expect.Equal(t, "end", lines[2], "")
}

// TestErrorCarriesCNIVersion: that of the configuration, as the specification wants and the library forgets.
func TestErrorCarriesCNIVersion(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a := on(h, h.Container("c"), network(conf{"cniVersion": version, "mtu": "big"}))
		answer := a.run(t, "ADD")
		expect.Equal(t, "code", answer.Error(t).Code, 7)
		expect.Equal(t, "exit", answer.Exit, 1)
		expect.Equal(t, "cniVersion", versionOf(t, answer).CNIVersion, version)
	})
}
