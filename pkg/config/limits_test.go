package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// list returns a JSON list of n entries; format has their number.
func list(count int, format string) string {
	items := make([]string, count)
	for i := range items {
		items[i] = fmt.Sprintf(format, i/256%256, i%256)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// TestMost: a list of the maximum length passes; one more is an error with key, length and limit.
//
// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
func TestMost(t *testing.T) {
	const subnet = `"subnet": "10.0.0.0/8"`
	ipam := func(members string) string { return ipamConf(subnet + ", " + members) }
	top := func(members string) string {
		return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "ipam": {"type": "patchbay", ` + subnet + `}, ` + members + `}`
	}
	for _, tt := range []struct {
		key, format string
		most        int
		conf        func(string) string
		pattern     string // the member, with %s for the list
	}{
		{"ipam.exclude", `"10.1.%d.%d"`, maxPrefixes, ipam, `"exclude": %s`},
		{"masqExclude", `"10.1.%d.%d/32"`, maxPrefixes, top, `"masqExclude": %s`},
		{"ipam.routes", `{"dst": "10.%d.%d.0/24"}`, maxRoutes, ipam, `"routes": %s`},
		{"ipam.ranges", `[{"subnet": "11.%d.%d.0/24"}]`, maxRanges - 1, ipam, `"ranges": %s`},
		{"ipam.ranges", `{"subnet": "11.%d.%d.0/24"}`, maxRanges - 1, ipam, `"ranges": [%s]`},
		{"runtimeConfig.ipRanges", `[{"subnet": "11.%d.%d.0/24"}]`, maxRanges - 1, top, `"runtimeConfig": {"ipRanges": %s}`},
		{"dns.nameservers", `"192.0.%d.%d"`, maxDNS, top, `"dns": {"nameservers": %s}`},
		{"dns: search domains", `"a%d.b%d"`, maxDNS, top, `"dns": {"search": %s}`},
		{"dns: options", `"a%d:%d"`, maxDNS, top, `"runtimeConfig": {"dns": {"options": %s}}`},
		{"runtimeConfig.dns.servers", `"192.0.%d.%d"`, maxDNS, top, `"runtimeConfig": {"dns": {"servers": %s}}`},
		{"runtimeConfig.portMappings", `{"hostPort": 1%02d%02d, "containerPort": 80}`, 0, top, `"runtimeConfig": {"portMappings": %s}`},
		{"runtimeConfig.ips", `"10.1.%d.%d"`, 0, top, `"runtimeConfig": {"ips": %s}`},
		{"args.cni.ips", `"10.1.%d.%d"`, 0, top, `"args": {"cni": {"ips": %s}}`},
	} {
		t.Run(tt.key, func(t *testing.T) {
			if _, err := Parse([]byte(tt.conf(fmt.Sprintf(tt.pattern, list(tt.most, tt.format)))), ""); err != nil {
				t.Errorf("%d: %v", tt.most, err)
			}
			long := []byte(tt.conf(fmt.Sprintf(tt.pattern, list(60000, tt.format))))
			var err error
			allocations := testing.AllocsPerRun(1, func() { _, err = Parse(long, "") })
			if allocations > 10*60000 { // what is refused is decoded once, and nothing more is done with it
				t.Errorf("60000 took %.0f allocations", allocations)
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != Invalid || !strings.HasPrefix(e.Msg, tt.key+": ") || !strings.Contains(e.Msg, "0000 ") && !strings.Contains(e.Msg, "60001 ") || !strings.Contains(e.Details, "at most ") {
				t.Errorf("60000: %v", err)
			}
		})
	}
}

// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
func TestMostOfArgs(t *testing.T) {
	for args, want := range map[string]string{
		"IP=" + strings.Repeat("10.1.2.3,", 300) + "10.1.2.3":      "CNI_ARGS: IP: 301 entries are too many; give at most 256",
		"GATEWAY=" + strings.Repeat("10.1.2.3,", 300) + "10.1.2.3": "CNI_ARGS: GATEWAY: 301 entries are too many; give at most 256",
		"IgnoreUnknown=1;X=" + strings.Repeat("x", 1<<17):          "CNI_ARGS: 131090 bytes are too many; give at most 65536",
	} {
		_, err := ParseArgs(args)
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
func TestMostOfResolvConf(t *testing.T) {
	c := &Config{}
	err := c.UseResolvConf([]byte(strings.Repeat("nameserver 192.0.2.1\n", 257)))
	if err == nil || !strings.HasPrefix(err.Error(), "ipam.resolvConf: name servers: 257 entries are too many") || len(c.DNS.Nameservers) > 0 {
		t.Errorf("%v, %d name servers", err, len(c.DNS.Nameservers))
	}
	if err := c.UseResolvConf([]byte(strings.Repeat("nameserver 192.0.2.1\n", 256))); err != nil || len(c.DNS.Nameservers) != 256 {
		t.Errorf("%v, %d name servers", err, len(c.DNS.Nameservers))
	}
}

// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
func TestMostOfPrevResult(t *testing.T) {
	conf := func(count int) string {
		return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "prevResult": {"interfaces": ` + list(count, `{"name": "v%d-%d"}`) + `}}`
	}
	if _, err := Parse([]byte(conf(maxResultEntries)), ""); err != nil {
		t.Error(err)
	}
	if _, err := Parse([]byte(conf(maxResultEntries+1)), ""); err == nil || !strings.Contains(err.Error(), "interfaces: 4097 entries are too many, 4096 are allowed") {
		t.Error(err)
	}
}
