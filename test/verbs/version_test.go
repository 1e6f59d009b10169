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
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// versions returns all versions of the specification.
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

// TestResultIsOfTheVersionAsked: the library's decoder of exactly that version decodes it.
//
// Claim: Configurations and results of CNI 0.1.0 to 1.1.0 are supported
func TestResultIsOfTheVersionAsked(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}, cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
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
//
// Claim: Configurations and results of CNI 0.1.0 to 1.1.0 are supported
func TestResultsBefore030HaveIP4AndIP6(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.1.0", "0.2.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}, cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
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

// TestResultsOf030To040NameTheFamily: their ips have a "version", and point to the interface.
//
// Claim: Configurations and results of CNI 0.1.0 to 1.1.0 are supported
func TestResultsOf030To040NameTheFamily(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}, cni.Gateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
			r := &types040.Result{}
			if err := json.Unmarshal(a.prev, r); err != nil || len(r.IPs) != 2 || len(r.Interfaces) != 3 {
				t.Fatalf("%v: %s", err, a.prev)
			}
			expect.Equal(t, "families", []string{r.IPs[0].Version, r.IPs[1].Version}, []string{"4", "6"})
			expect.Equal(t, "interfaces", []int{*r.IPs[0].Interface, *r.IPs[1].Interface}, []int{2, 2})
		})
	}
}

// TestEveryVersionChecksAndDeletes: CHECK and DEL accept the result of ADD; CHECK came with 0.4.0 and is refused
// before.
//
// Claim: Configurations and results of CNI 0.1.0 to 1.1.0 are supported
func TestEveryVersionChecksAndDeletes(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}, cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
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

// TestConfigWithoutVersionIsOf010: as libcni reads it.
//
// Claim: Configurations and results of CNI 0.1.0 to 1.1.0 are supported
func TestConfigWithoutVersionIsOf010(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": cni.Absent}, cni.Pool("10.1.0.0/24")))
	expect.Contains(t, string(a.prev), `"ip4"`, `"cniVersion": "0.1.0"`)
}

// TestStatusAndGCCameWith110: they are refused in older versions.
func TestStatusAndGCCameWith110(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a := on(h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}, cni.Pool("10.1.0.0/24")))
		for _, verb := range []string{"STATUS", "GC"} {
			if version == "1.1.0" {
				a.run(t, verb).OK(t)
				continue
			}
			expect.Equal(t, "msg", a.fails(t, verb, 1).Msg, "config version does not allow "+verb)
		}
	})
}

// TestVersionEchoesTheVersionAsked: VERSION replies in the version of the request and lists every version; the
// library's own test of a plugin.
//
// Claim: VERSION answers in the version that was asked for
func TestVersionEchoesTheVersionAsked(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			answer := h.CNI(t, nettest.Call{Command: "VERSION", Config: cni.Conf{"cniVersion": version}.JSON(t)}).OK(t)
			info := versionOf(t, answer)
			expect.Equal(t, "cniVersion", info.CNIVersion, version)
			expect.Equal(t, "supportedVersions", info.Supported, versions())
			if _, err := (&cniversion.PluginDecoder{}).Decode(answer.Stdout); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVersionWithoutInput: VERSION replies in the newest version, also to an unknown version.
//
// Claim: VERSION answers in the version that was asked for
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

// TestVersionNeedsNoEnvironment: only CNI_COMMAND is set.
//
// Claim: VERSION answers in the version that was asked for
func TestVersionNeedsNoEnvironment(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.CNI(t, nettest.Call{
		Command: "VERSION", Config: []byte(`{"cniVersion": "1.0.0"}`),
		Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"},
	}).OK(t)
}

// TestAboutLinesWithoutCommand: nerdctl parses them: they are on stderr, with exit code 0 and an empty stdout.
//
// Claim: Without `CNI_COMMAND` and arguments, the plugin prints its two about lines on stderr and exits with 0
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

// TestErrorCarriesCNIVersion: the version of the configuration, as the specification requires; the library leaves it
// out.
func TestErrorCarriesCNIVersion(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, h *nettest.Node, version string) {
		a := on(h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version, "mtu": "big"}))
		answer := a.run(t, "ADD")
		expect.Equal(t, "code", answer.Error(t).Code, 7)
		expect.Equal(t, "exit", answer.Exit, 1)
		expect.Equal(t, "cniVersion", versionOf(t, answer).CNIVersion, version)
	})
}
