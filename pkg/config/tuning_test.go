package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written returns the names and values of the sysctls, in the order in which they are written.
func written(t Tuning, ifname string) (all []string) {
	for _, s := range t.Sysctls {
		all = append(all, s.Name(ifname)+"="+s.Value)
	}
	return all
}

// Claim: Sysctls of `sysctl` are written in one order: those of all interfaces before those of one
func TestParseSysctls(t *testing.T) {
	for _, tc := range []struct {
		keys string
		want []string
	}{
		{`"sysctl": {}`, nil},
		{`"sysctl": {"net.core.somaxconn": ""}`, nil},
		{`"sysctl": {"net.core.somaxconn": null}`, nil},
		{`"sysctl": {"net.core.somaxconn": " 500 "}`, []string{"net/core/somaxconn=500"}},
		{`"sysctl": {"/net/core/somaxconn": "500"}`, []string{"net/core/somaxconn=500"}},
		{`"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}`, []string{"net/ipv4/conf/eth0.5/arp_filter=1"}},
		{
			`"sysctl": {"net.ipv4.ip_forward": "0", "net.ipv4.conf.IFNAME.forwarding": "1", "net.ipv4.conf.all.forwarding": "0", "net.ipv4.conf.eth9.forwarding": "1", "net.ipv4.conf.default.forwarding": "1"}`,
			[]string{"net/ipv4/conf/all/forwarding=0", "net/ipv4/conf/default/forwarding=1", "net/ipv4/ip_forward=0", "net/ipv4/conf/eth0.5/forwarding=1", "net/ipv4/conf/eth9/forwarding=1"},
		},
		{
			`"sysctl": {"net.core.somaxconn": "500", "net.ipv4.ip_forward": "1"}, "args": {"cni": {"sysctl": {"net/core/somaxconn": "600"}}}`,
			[]string{"net/core/somaxconn=600", "net/ipv4/ip_forward=1"},
		},
		{`"args": {"cni": {"sysctl": {"net.core.somaxconn": "600"}}}`, []string{"net/core/somaxconn=600"}},
	} {
		c, err := Parse([]byte(spoofConfig(tc.keys)), "")
		if err != nil {
			t.Errorf("%s: %v", tc.keys, err)
			continue
		}
		if diff := cmp.Diff(tc.want, written(c.Tuning, "eth0.5")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.keys, diff)
		}
	}
}

// TestParseTuning: args.cni precedes the network, also where it switches something off; false and 0 mean something for
// allmulti and txQLen, as with the reference.
func TestParseTuning(t *testing.T) {
	text := func(tuning Tuning, c *Config) string {
		s := fmt.Sprintf("promisc %t, mtu %d, mac %s", tuning.Promisc, c.MTU, c.MAC)
		if tuning.AllMulti != nil {
			s += fmt.Sprintf(", allmulti %t", *tuning.AllMulti)
		}
		if tuning.TxQLen != nil {
			s += fmt.Sprintf(", txQLen %d", *tuning.TxQLen)
		}
		return s
	}
	for _, tc := range []struct{ keys, args, want string }{
		{`"promisc": false`, "", "promisc false, mtu 0, mac "},
		{`"promisc": true, "allmulti": true, "txQLen": 500, "mtu": 1400, "mac": "02:00:00:00:00:01"`, "", "promisc true, mtu 1400, mac 02:00:00:00:00:01, allmulti true, txQLen 500"},
		{`"allmulti": false, "txQLen": 0`, "", "promisc false, mtu 0, mac , allmulti false, txQLen 0"},
		{
			`"promisc": true, "allmulti": true, "txQLen": 500, "mtu": 1400, "args": {"cni": {"promisc": false, "allmulti": false, "txQLen": 0, "mtu": 1300}}`, "",
			"promisc false, mtu 1300, mac , allmulti false, txQLen 0",
		},
		{`"mac": "02:00:00:00:00:01"`, "MAC=02:00:00:00:00:02", "promisc false, mtu 0, mac 02:00:00:00:00:02"},
		{`"mac": "02:00:00:00:00:01", "args": {"cni": {"mac": "02:00:00:00:00:03"}}`, "MAC=02:00:00:00:00:02", "promisc false, mtu 0, mac 02:00:00:00:00:03"},
		{
			`"mac": "02:00:00:00:00:01", "args": {"cni": {"mac": "02:00:00:00:00:03"}}, "runtimeConfig": {"mac": "02:00:00:00:00:04"}`, "MAC=02:00:00:00:00:02",
			"promisc false, mtu 0, mac 02:00:00:00:00:04",
		},
	} {
		c, err := Parse([]byte(spoofConfig(tc.keys)), tc.args)
		if err != nil {
			t.Errorf("%s: %v", tc.keys, err)
			continue
		}
		if got := text(c.Tuning, c); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.keys, got, tc.want)
		}
	}
}

// Claim: A sysctl outside of `net.`, or twice in its two spellings, is refused by name before anything is changed
func TestParseTuningRefused(t *testing.T) {
	many := make([]string, maxSysctls+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"net.x.y%d": "1"`, i)
	}
	for keys, want := range map[string]string{
		`"sysctl": []`:                                            `sysctl: want an object of strings, got []`,
		`"sysctl": {"net.core.somaxconn": 500}`:                   `sysctl: want an object of strings, got {"net.core.somaxconn":500}`,
		`"sysctl": {"kernel.pid_max": "1"}`:                       `sysctl: "kernel.pid_max" is not a sysctl of a network namespace`,
		`"sysctl": {"netx.core.somaxconn": "1"}`:                  `sysctl: "netx.core.somaxconn" is not a sysctl of a network namespace`,
		`"sysctl": {"IFNAME.core.somaxconn": "1"}`:                `sysctl: "IFNAME.core.somaxconn" is not a sysctl of a network namespace`,
		`"sysctl": {"/proc/sys/net/x/y": "1"}`:                    `sysctl: "/proc/sys/net/x/y" is not a sysctl of a network namespace`,
		`"sysctl": {"net/../kernel/pid_max": "1"}`:                `sysctl: "net/../kernel/pid_max" has an empty part`,
		`"sysctl": {"net/ipv4/./ip_forward": "1"}`:                `sysctl: "net/ipv4/./ip_forward" has an empty part`,
		`"sysctl": {"net.ipv4.": "1"}`:                            `sysctl: "net.ipv4." has an empty part`,
		`"sysctl": {"net.ipv4": "1"}`:                             `sysctl: "net.ipv4" has an empty part`,
		`"sysctl": {"net.ip v4.x": "1"}`:                          `sysctl: "net.ip v4.x" is not the name of a sysctl`,
		`"sysctl": {"net.ipv4.x\u0000": "1"}`:                     `sysctl: "net.ipv4.x\x00" is not the name of a sysctl`,
		`"sysctl": {"net.ipv4.conf.é.x": "1"}`:                    `sysctl: "net.ipv4.conf.é.x" is not the name of a sysctl`,
		`"sysctl": {"": "1"}`:                                     `sysctl: "" is not a sysctl of a network namespace`,
		`"sysctl": {"net.IFNAME.IFNAME.x": "1"}`:                  `sysctl: "net.IFNAME.IFNAME.x" has IFNAME twice, and the first one only is replaced`,
		`"sysctl": {"net.a.b": "1", "net.a.b": ""}`:               `sysctl: "net.a.b" is there twice`,
		`"sysctl": {"net.a.b": "1", "net/a/b": ""}`:               `sysctl: "net/a/b" is there twice`,
		`"sysctl": {"net.a.b": "1\n2"}`:                           `sysctl: the value of "net.a.b" is not one line of at most 65536 bytes`,
		`"sysctl": {"net.a.b": "1\u0000"}`:                        `sysctl: the value of "net.a.b" is not one line of at most 65536 bytes`,
		`"sysctl": {` + strings.Join(many, ", ") + `}`:            `sysctl: 1025 entries are too many`,
		`"args": {"cni": {"sysctl": {"kernel.pid_max": "1"}}}`:    `args.cni.sysctl: "kernel.pid_max" is not a sysctl of a network namespace`,
		`"args": {"cni": {"sysctl": "x"}}`:                        `args.cni.sysctl: want an object of strings, got "x"`,
		`"txQLen": -1`:                                            `txQLen: -1 is out of range`,
		`"txQLen": 4294967296`:                                    `txQLen: 4294967296 is out of range`,
		`"txQLen": "1000"`:                                        `txQLen: want a whole number, got "1000"`,
		`"promisc": "on"`:                                         `promisc: want true or false, got "on"`,
		`"allmulti": 1`:                                           `allmulti: want true or false, got 1`,
		`"mac": "01:00:5e:00:00:01"`:                              `mac: "01:00:5e:00:00:01" is a multicast address, which an interface cannot have`,
		`"args": {"cni": {"mtu": 10}}`:                            `args.cni.mtu: 10 is out of range`,
		`"args": {"cni": {"txQLen": -1}}`:                         `args.cni.txQLen: -1 is out of range`,
		`"args": {"cni": {"allmulti": "x"}}`:                      `args.cni.allmulti: want true or false, got "x"`,
		`"args": {"cni": {"promisc": 1}}`:                         `args.cni.promisc: want true or false, got 1`,
		`"sysctl": {"net.` + strings.Repeat("x", 255) + `": "1"}`: `sysctl: "net.` + strings.Repeat("x", 255) + `" is not the name of a sysctl`,
	} {
		if _, err := Parse([]byte(spoofConfig(keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want+"; ") {
			t.Errorf("%.80s: got %v, want %s", keys, err, want)
		}
	}
}

// TestCheckAllowed: as in the reference, a line matches any part of the name unless it is anchored, and one line is
// sufficient.
func TestCheckAllowed(t *testing.T) {
	for _, tc := range []struct{ list, key, want string }{
		{"", "net.core.somaxconn", `sysctl: "net.core.somaxconn" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"\n \n", "net.core.somaxconn", `sysctl: "net.core.somaxconn" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"^net.core.somaxconn$", "net.core.somaxconn", ""},
		{"core", "net.core.somaxconn", ""},
		{"^net.ipv4.conf.IFNAME.[a-z_]*$\r\n  net.core.  \n", "net.core.somaxconn", ""},
		{"^net.ipv4.conf.IFNAME.[a-z_]*$", "net.ipv4.conf.IFNAME.arp_filter", ""},
		{"^net.ipv4.conf.IFNAME.[a-z_]*$", "net.ipv4.conf.eth0.arp_filter", `sysctl: "net.ipv4.conf.eth0.arp_filter" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"^net.ipv4.conf.IFNAME.[a-z_]*$", "net.ipv4.conf.IFNAME.arp_filter/x", `sysctl: "net.ipv4.conf.IFNAME.arp_filter/x" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"# net.core", "net.core.somaxconn", `sysctl: "net.core.somaxconn" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"^net.core\n(", "net.core.somaxconn", ""},
		{"(\n^net.core", "net.core.somaxconn", `sysctl: /etc/cni/tuning/allowlist.conf has the line (: parenthesis or bracket without its counterpart`},
		{"\x1b[31m", "net.core.somaxconn", `sysctl: /etc/cni/tuning/allowlist.conf has the line \x1b[31m: parenthesis or bracket without its counterpart`},
	} {
		err := Tuning{Sysctls: []Sysctl{{Key: tc.key}}}.CheckAllowed([]byte(tc.list))
		got := ""
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), "; ")
		}
		if got != tc.want {
			t.Errorf("%q, %s: got %q, want %q", tc.list, tc.key, got, tc.want)
		}
	}
}
