package names

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// sources is a configuration of static with addresses from the file, the arguments of CNI and the runtime.
func sources(file, args, runtime bool) cni.Conf {
	conf := cni.Conf{"ipam": cni.Conf{"type": "static", "routes": []cni.Conf{{"dst": "0.0.0.0/0"}}, "dns": cni.Conf{"nameservers": []string{"192.0.2.53"}}}}
	if file {
		conf["ipam"].(cni.Conf)["addresses"] = []cni.Conf{{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}}
	}
	if args {
		conf = conf.With(cni.Args(cni.Conf{"ips": []string{"10.1.0.7/24"}}))
	}
	if runtime {
		conf = conf.With(cni.RuntimeConfig(cni.Conf{"ips": []string{"10.1.0.8/24"}}))
	}
	return conf
}

// staticRow is a configuration that the reference static and this program have.
type staticRow struct {
	name    string
	conf    cni.Conf
	args    string
	version string
}

// staticRows are the sources of addresses, and each key on and off.
func staticRows() []staticRow {
	file := sources(true, false, false)
	with := func(keys cni.Conf) cni.Conf { return cni.Conf{"ipam": file["ipam"].(cni.Conf).With(keys)} }
	address := func(keys ...cni.Conf) cni.Conf { return with(cni.Conf{"addresses": keys}) }
	return []staticRow{
		{"addresses of the file", file, "", "1.0.0"},
		{"none", sources(false, false, false), "", "1.0.0"},
		{"file and CNI_ARGS", file, "IP=10.1.0.6/24,fd00::6/64;GATEWAY=10.1.0.254", "1.0.0"},
		{"args.cni.ips replaces", sources(true, true, false), "IP=10.1.0.6/24", "1.0.0"},
		{"runtimeConfig.ips replaces", sources(true, true, true), "IP=10.1.0.6/24", "1.0.0"},
		{"an address without length in CNI_ARGS", file, "IP=10.1.0.6", "1.0.0"},
		{"cniVersion 0.2.0", file, "", "0.2.0"},
		{"two addresses of a family, 0.2.0", file, "IP=10.1.0.6/24", "0.2.0"},
		{"two addresses of a family, 0.3.1", file, "IP=10.1.0.6/24", "0.3.1"},
		{"a gateway that is in no subnet of those", file, "GATEWAY=192.0.2.1", "1.0.0"},
		{"no routes, no dns", with(cni.Conf{"routes": cni.Absent, "dns": cni.Absent}), "", "1.0.0"},
		{"routes of all fields", with(cni.Conf{"routes": []cni.Conf{{"dst": "198.51.100.0/24", "gw": "10.1.0.9", "mtu": 1300, "advmss": 1200, "priority": 7, "table": 100, "scope": 0}}}), "", "1.1.0"},
		{"routes of two families", with(cni.Conf{"routes": []cni.Conf{{"dst": "198.51.100.0/24"}, {"dst": "2001:db8::/32", "gw": "fd00:1::9"}}}), "", "1.0.0"},
		{"a route of no form", with(cni.Conf{"routes": []cni.Conf{{"dst": "198.51.100.0"}}}), "", "1.0.0"},
		{"dns of all fields", with(cni.Conf{"dns": cni.Conf{"nameservers": []string{"192.0.2.53", "2001:db8::53"}, "domain": "example.org", "search": []string{"a.example.org"}, "options": []string{"ndots:5"}}}), "", "1.0.0"},
		{"an address without a gateway", address(cni.Conf{"address": "10.1.0.5/24"}), "", "1.0.0"},
		{"addresses of two families", address(cni.Conf{"address": "10.1.0.5/24"}, cni.Conf{"address": "fd00:1::5/64", "gateway": "fd00:1::1"}), "", "1.0.0"},
		{"an address without length", address(cni.Conf{"address": "10.1.0.5"}), "", "1.0.0"},
		{"a gateway of no form", address(cni.Conf{"address": "10.1.0.5/24", "gateway": "router"}), "", "1.0.0"},
	}
}

// TestStaticAsTheReference: as the IPAM plugin static the program prints what the reference prints, byte for byte, and CHECK and DEL have
// the same outcome.
//
// Claim: The IPAM plugin static takes addresses from the same sources in the same order as the reference
func TestStaticAsTheReference(t *testing.T) {
	t.Parallel()
	l := newList(t, nil)
	for _, row := range staticRows() {
		conf := row.conf.With(cni.Conf{"type": "macvlan", "name": "net", "cniVersion": row.version})
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			ours, reference := l.ipam(t, verb, filepath.Join(l.dir, "static"), conf, row.args), l.ipam(t, verb, nettest.Program(t, "static"), conf, row.args)
			if ours.Exit != reference.Exit {
				t.Errorf("%s, %s: %s\nreference: %s", row.name, verb, ours, reference)
			}
			if verb == "ADD" && ours.Exit == 0 {
				expect.Equal(t, row.name, decoded(t, ours.Stdout), decoded(t, reference.Stdout))
				conf = conf.With(cni.Prev(json.RawMessage(reference.Stdout)))
			}
		}
	}
	if entries, err := os.ReadDir("/run/patchbay"); err == nil && len(entries) > 0 {
		t.Errorf("static wrote %v", entries)
	}
}

func (l *list) ipam(t *testing.T, verb, program string, conf cni.Conf, args string) nettest.Answer {
	t.Helper()
	return l.h.CNI(t, nettest.Call{Command: verb, ContainerID: l.c.ID(), Netns: l.c.Path(), IfName: "eth0", Path: l.dir, Plugin: program, Args: args, Config: conf.JSON(t)})
}

func decoded(t *testing.T, text []byte) (v any) {
	t.Helper()
	decodeInto(t, text, &v)
	return v
}

func decodeInto(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// TestStaticForAnotherMainPlugin: ptp of the reference with static of this program, all verbs.
//
// Claim: The IPAM plugins host-local and static serve any main plugin
func TestStaticForAnotherMainPlugin(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, sources(true, false, false).With(cni.Conf{"type": "ptp"}))
	result := l.cycle(t)
	expect.Equal(t, "address", cni.Addresses(result)[0].String(), "10.1.0.5")
	for _, verb := range []string{"STATUS", "GC"} {
		conf := l.plugins[0].With(cni.Conf{"type": "ptp", "cni.dev/valid-attachments": []string{}})
		call := l.callOf(t, verb, conf, nil)
		call.Plugin = filepath.Join(l.dir, "static")
		l.h.CNI(t, call).OK(t)
	}
}

// TestInOneProcess: bridge with ipam.type static or host-local is one process, also with BuildKit's names.
//
// Claim: The program as bridge answers for host-local and static itself and starts no other
func TestInOneProcess(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("strace"))
	for _, names := range [][2]string{{"bridge", "static"}, {"buildkit-cni-bridge", "buildkit-cni-static"}, {"bridge", "host-local"}, {"buildkit-cni-bridge", "buildkit-cni-host-local"}} {
		l := newList(t, nil, bridge(cni.Conf{
			"type": names[0],
			"ipam": cni.Conf{
				"type": names[1], "ranges": cni.Ranges("10.1.0.0/24"),
				"addresses": []cni.Conf{{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::5/64"}},
			},
		}))
		result := l.add(t)
		want := map[bool]string{true: "10.1.0.5", false: "10.1.0.2"}[strings.HasSuffix(names[1], "static")]
		expect.Equal(t, "address by "+names[1], cni.Addresses(result)[0].String(), want)
		if err := l.c.PingOnce(cni.Addresses(result)[0]); err != nil {
			t.Errorf("%v: %v", names, err)
		}
		l.check(t)
		l.del(t)
		l.h.NoLeaks(t)
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			if started := l.traced(t, verb); len(started) != 1 {
				t.Errorf("%v: %s started %q", names, verb, started)
			}
		}
	}
}

// traced calls a verb of the first plugin under strace and returns the lines about programs.
func (l *list) traced(t *testing.T, verb string) []string {
	t.Helper()
	if verb == "ADD" {
		l.result = nil
	}
	call := l.callOf(t, verb, l.plugins[0], l.result)
	out := filepath.Join(t.TempDir(), "trace")
	cmd := l.h.Command("strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=execve,execveat,fork,vfork", "-o", out, call.Plugin)
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=eth0", "CNI_PATH=" + l.dir}
	cmd.Stdin = bytes.NewReader(call.Config)
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", verb, err, answer)
	}
	if verb == "ADD" {
		l.result = answer
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
