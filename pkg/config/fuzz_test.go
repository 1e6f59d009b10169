package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/google/go-cmp/cmp"
)

// seeds are valid and invalid configurations.
func seeds() []string {
	return []string{
		``, `null`, `{}`, `[]`, `{"name": "net"`, everything, everything[:400], conf(""), ipamConf(""),
		ipamConf(`"routes": [{"dst": "::/0", "gw": "2001:db8::1"}], "exclude": ["10.1.2.0/25"]`),
		conf(`"MTU": 1, "mtu": 2, "Mtu": 3`),
		conf(`"ipam": {"type": "patchbay", "ranges": [[{"subnet": "2001:db8::/64"}, null], null]}`),
		conf(`"ipam": {"type": "patchbay", "subnet": "10.0.0.0/8", "exclude": ["10.0.0.0/9", "10.128.0.0/9"]}`),
		conf(`"ipam": {"type": "patchbay", "subnet": "0.0.0.0/0"}`),
		`{"cniVersion": "0.2.0", "name": "net", "type": "macvlan", "ipam": {"type": "patchbay", "subnet": "10.1.2.4/31"}}`,
		withResult("0.4.0", `{"ips": [null]}`), withResult("0.1.0", `{"ip4": {"ip": "10.1.2.3/24"}}`),
		`{"name": "a", "ipam": {"type": "x", "type": {}}, "ipam": 5}`,
		mapped(`[{"hostPort": 8080, "containerPort": 80}]`), mapped(`[{"hostPort": 8080, "containerPort": 80, "protocol": "UDP", "hostIP": "::ffff:192.0.2.1", "range": 4096}]`),
		mapped(`[{"hostPort": 1, "containerPort": 65535}, {"hostPort": 1, "containerPort": 1, "hostIP": "::"}]`), mapped(`[null, {"range": 65535}]`, `"markMasqBit": 31, "masqAll": true`),
		mapped(`[{"hostPort": 80, "containerPort": 80, "hostIP": "127.0.0.1"}]`, `"snat": false, "hostLocalhost": false`), mapped(`[{"HOSTPORT": 1, "ContainerPort": 2}]`, `"ingressPolicy": "isolated", "firewall": "auto"`),
		conf(`"conditionsV4": ["-d"], "externalSetMarkChain": "x", "backend": "iptables"`),
	}
}

// For any bytes: no panic; two readings agree; an error is an *Error with one line; and an
// accepted configuration has only valid values.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzParse(f *testing.F) {
	for i, seed := range seeds() {
		f.Add([]byte(seed), []string{"", "IP=10.1.2.3", "GATEWAY=10.1.2.9", "MAC=02:00:00:00:00:01;IgnoreUnknown=1;x=y"}[i%4])
	}
	f.Fuzz(func(t *testing.T, data []byte, args string) {
		c, err := Parse(data, args)
		again, errAgain := Parse(data, args)
		if diff := cmp.Diff(c, again, netips()) + cmp.Diff(err, errAgain); diff != "" {
			t.Fatalf("two readings differ:\n%s", diff)
		}
		if err != nil {
			oneLineError(t, err)
			return
		}
		if diff := cmp.Diff(c.Ident, ParseLenient(data)); diff != "" {
			t.Errorf("the strict and the lenient reading differ (-strict +lenient):\n%s", diff)
		}
		keepsPromises(t, c)
	})
}

func oneLineError(t *testing.T, err error) {
	t.Helper()
	var mistake *Error
	if !errors.As(err, &mistake) || mistake.Msg == "" || mistake.Details == "" {
		t.Errorf("error %T %v: want an *Error with a message and details", err, err)
	}
	if strings.ContainsAny(err.Error(), "\n\x00") {
		t.Errorf("error %q is not one line", err)
	}
}

func canBePath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "\x00")
}

func keepsPromises(t *testing.T, c *Config) {
	t.Helper()
	if utils.ValidateNetworkName(c.Name) != nil || c.Type == "" || !canBePath(c.StateDir) || !canBePath(c.DataDir) {
		t.Errorf("accepted the identity %+v", c.Ident)
	}
	if !slices.Contains(version.All.SupportedVersions(), c.CNIVersion) {
		t.Errorf("accepted the version %q", c.CNIVersion)
	}
	if c.CalledAsIPAM() != (c.Bridge == "") || c.Bridge != "" && ValidateInterfaceName(c.Bridge) != nil {
		t.Errorf("accepted the bridge %q, delegated %t", c.Bridge, c.CalledAsIPAM())
	}
	if c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU) || c.HairpinMode && c.PromiscMode || c.IsDefaultGateway && !c.IsGateway {
		t.Errorf("accepted %+v", c)
	}
	if c.MAC != nil && (len(c.MAC) != 6 || c.MAC[0]&1 != 0) {
		t.Errorf("accepted the MAC address %s", c.MAC)
	}
	keepsPromisesOfPorts(t, c)
	if c.IPAM == nil {
		return
	}
	before := c.IPAM.Pool
	if before.Exclude != nil && len(c.IPAM.Gateways) > 0 {
		before.Exclude = nil // a gateway of CNI_ARGS may exclude the last address, which only Reserve reports
	}
	if err := before.Complete(); err != nil {
		t.Errorf("accepted a pool that is incomplete: %v", err)
	}
	for _, addr := range c.IPAM.Requested {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("accepted the requested address %v", addr)
		}
	}
	for _, r := range c.IPAM.Routes {
		if r.Dst != r.Dst.Masked() || r.GW.IsValid() && r.GW.Is4() != r.Dst.Addr().Is4() {
			t.Errorf("accepted the route %+v", r)
		}
	}
}

// Accepted port mappings have valid ports, no host port twice, and not too many in all.
func keepsPromisesOfPorts(t *testing.T, c *Config) {
	t.Helper()
	p := c.Publish
	if p.MarkBit < 0 || p.MarkBit > 31 || p.MasqAll && !p.SNAT || len(p.Ports) > 0 && c.IPAMType == "" {
		t.Errorf("accepted %+v", p)
	}
	taken, total := map[string]bool{}, 0
	for _, m := range p.Ports {
		total += m.Count
		if m.Count < 1 || m.HostPort < 1 || m.ContainerPort < 1 || int(m.HostPort)+m.Count > 65536 || int(m.ContainerPort)+m.Count > 65536 || m.HostIP.Is4In6() || m.HostIP.Zone() != "" {
			t.Fatalf("accepted the mapping %+v", m)
		}
		for i := range m.Count {
			at := fmt.Sprint(m.Protocol, " ", int(m.HostPort)+i, " ")
			if taken[at] || taken[at+m.HostIP.String()] {
				t.Errorf("accepted %s twice", at)
			}
			taken[at+m.HostIP.String()] = true
			taken[at] = taken[at] || !m.HostIP.IsValid()
		}
	}
	if total > MostPorts {
		t.Errorf("accepted %d ports", total)
	}
}

// Lenient reading never fails, and returns only values that can be part of a path.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzParseLenient(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		id := ParseLenient(data)
		if id.Name != "" && utils.ValidateNetworkName(id.Name) != nil || !canBePath(id.StateDir) || !canBePath(id.DataDir) || id.CNIVersion == "" {
			t.Errorf("got %+v", id)
		}
		if diff := cmp.Diff(id, ParseLenient(data)); diff != "" {
			t.Errorf("two readings differ:\n%s", diff)
		}
		if _, _, err := ValidAttachments(data); err != nil {
			oneLineError(t, err)
		}
		_ = ParseResolvConf(data)
	})
}

// looseArgs has every key that ParseArgs knows, for libcni's own decoder.
type looseArgs struct {
	types.CommonArgs
	IP, GATEWAY, MAC                                                         types.UnmarshallableString
	K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID, K8S_POD_INFRA_CONTAINER_ID types.UnmarshallableString //nolint:revive // names of the keys
}

// ParseArgs accepts only what libcni accepts, apart from empty pairs, and of that it rejects
// only invalid addresses.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzArgs(f *testing.F) {
	for _, seed := range []string{
		"", ";", "=", "IP=10.1.2.3;MAC=02:00:00:00:00:01", "IgnoreUnknown=1;A=B", "A=B", "IP", "IP=a=b", "IgnoreUnknown=x",
		"K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8S_POD_UID=c;K8S_POD_INFRA_CONTAINER_ID=d", "GATEWAY=::1,10.0.0.1", "IP=%s;MAC=%d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		args, err := ParseArgs(text)
		if err != nil {
			oneLineError(t, err)
		}
		if strings.Contains(";"+text, ";CommonArgs=") {
			t.Skip("a name of libcni's own making")
		}
		var compact []string
		for _, pair := range strings.Split(text, ";") {
			if pair != "" {
				compact = append(compact, pair)
			}
		}
		var loose looseArgs
		theirs := types.LoadArgs(strings.Join(compact, ";"), &loose)
		if err == nil && theirs != nil {
			t.Errorf("accepted %q, which libcni rejects: %v", text, theirs)
		}
		if err == nil && (args.PodName != string(loose.K8S_POD_NAME) || args.SandboxID != string(loose.K8S_POD_INFRA_CONTAINER_ID)) {
			t.Errorf("%q: got %+v, libcni got %+v", text, args, loose)
		}
		isAddress := err != nil && slices.ContainsFunc([]string{"CNI_ARGS: IP:", "CNI_ARGS: GATEWAY:", "CNI_ARGS: MAC:"}, func(s string) bool { return strings.HasPrefix(err.Error(), s) })
		if err != nil && theirs == nil && !isAddress {
			t.Errorf("rejected %q, which libcni accepts: %v", text, err)
		}
	})
}

// An accepted prevResult has no nil entries and can be converted to every version.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzPrevResult(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"ips": [null]}`, `{"IPS": [null], "ips": []}`, `{"ips": [null], "ips": [{}]}`, `{"interfaces": [{"name": "eth0", "mac": "x"}], "ips": [{"interface": 7}]}`,
		`{"ip4": {"ip": "10.1.2.3/24", "routes": [null, {"dst": "0.0.0.0/0"}]}, "ip6": null}`,
		`{"routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.1", "table": 1}], "dns": {"domain": "x"}}`, `{"cniVersion": "0.3.0"}`, `{"CNIVersion": ""}`,
	} {
		for i := range version.All.SupportedVersions() {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, raw []byte) {
		versions := version.All.SupportedVersions()
		v := versions[int(n)%len(versions)]
		data := []byte(withResult(v, string(raw)))
		result := PrevResultLenient(data)
		if c, err := Parse(data, ""); err == nil {
			if diff := cmp.Diff(c.PrevResult, result); diff != "" {
				t.Errorf("the strict and the lenient reading differ (-strict +lenient):\n%s", diff)
			}
		}
		if result == nil {
			return
		}
		if result.CNIVersion != types100.ImplementedSpecVersion {
			t.Errorf("got a result of version %q", result.CNIVersion)
		}
		if slices.Contains(result.IPs, nil) || slices.Contains(result.Interfaces, nil) || slices.Contains(result.Routes, nil) {
			t.Errorf("a list of the result holds nil: %+v", result)
		}
		for _, to := range versions {
			if _, err := result.GetAsVersion(to); err != nil && len(result.IPs) > 0 {
				t.Logf("to %s: %v", to, err)
			}
		}
	})
}

// GC's list of valid attachments: an accepted list has complete entries only, all that it
// contains; anything else is an error, and never an empty list.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzValidAttachments(f *testing.F) {
	for _, list := range []string{
		`null`, `[]`, `{}`, `"c1"`, `[null]`, `[{"containerID": "c1", "ifname": "eth0"}]`, `[{"containerID": "c1"}]`, `[{"containerID": "c1", "ifname": ""}]`,
		`[{"ContainerID": "c1", "IFNAME": "eth0", "x": [{}]}, {"containerID": "c2", "ifname": "eth0"}]`, `[{"containerID": 5, "ifname": "eth0"}]`, `[[]]`, `[`,
	} {
		f.Add("cni.dev/valid-attachments", []byte(list))
		f.Add("cni.dev/attachments", []byte(list))
	}
	f.Add("cni.dev/Valid-Attachments", []byte(`[]`))
	f.Fuzz(func(t *testing.T, key string, list []byte) {
		quoted, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		valid, present, err := ValidAttachments(slices.Concat([]byte(`{"name": "net", `), quoted, []byte(`: `), list, []byte(`}`)))
		if err != nil {
			oneLineError(t, err)
			if present || valid != nil {
				t.Errorf("beside the error it returns %v, %t", valid, present)
			}
			return
		}
		var members []json.RawMessage
		notAList := json.Unmarshal(list, &members) != nil
		if slices.ContainsFunc(valid, incomplete) || present && !notAList && len(valid) != len(members) {
			t.Errorf("%s: of %q it keeps %v", key, list, valid)
		}
		if isKey := key == "cni.dev/valid-attachments" || key == "cni.dev/attachments"; isKey && !present {
			t.Errorf("%s: the list %q is ignored", key, list)
		}
	})
}
