package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/patchbay-cni/patchbay/pkg/inventory"
)

// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestParseMapping(t *testing.T) {
	for word, want := range map[string]Mapping{
		"80":                               {HostPort: 80, ContainerPort: 80, Protocol: "tcp"},
		"8080:80":                          {HostPort: 8080, ContainerPort: 80, Protocol: "tcp"},
		"65535:1/udp":                      {HostPort: 65535, ContainerPort: 1, Protocol: "udp"},
		"53/UDP":                           {HostPort: 53, ContainerPort: 53, Protocol: "udp"},
		"9:9/sctp":                         {HostPort: 9, ContainerPort: 9, Protocol: "sctp"},
		"8000-8009":                        {HostPort: 8000, ContainerPort: 8000, Protocol: "tcp", Range: 10},
		"8000-8009:80-89/udp":              {HostPort: 8000, ContainerPort: 80, Protocol: "udp", Range: 10},
		"80-80:81":                         {HostPort: 80, ContainerPort: 81, Protocol: "tcp"},
		"192.0.2.1:8080:80":                {HostPort: 8080, ContainerPort: 80, Protocol: "tcp", HostIP: "192.0.2.1"},
		"192.0.2.1:53/udp":                 {HostPort: 53, ContainerPort: 53, Protocol: "udp", HostIP: "192.0.2.1"},
		"0.0.0.0:80:80":                    {HostPort: 80, ContainerPort: 80, Protocol: "tcp", HostIP: "0.0.0.0"},
		"[2001:db8::1]:443:8443":           {HostPort: 443, ContainerPort: 8443, Protocol: "tcp", HostIP: "2001:db8::1"},
		"[2001:db8::1]:443":                {HostPort: 443, ContainerPort: 443, Protocol: "tcp", HostIP: "2001:db8::1"},
		"[::]:443-444:1-2/udp":             {HostPort: 443, ContainerPort: 1, Protocol: "udp", HostIP: "::", Range: 2},
		"[2001:0DB8:0::0:1]:8000-8001:1-2": {HostPort: 8000, ContainerPort: 1, Protocol: "tcp", HostIP: "2001:db8::1", Range: 2},
	} {
		got, err := ParseMapping(word)
		if err != nil {
			t.Errorf("%s: %v", word, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Mapping{})); diff != "" || got.word != word {
			t.Errorf("%s, kept as %q (-want +got):\n%s", word, got.word, diff)
		}
	}
}

// TestParseMappingRefuses: each error says what is wrong with which part.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestParseMappingRefuses(t *testing.T) {
	for word, want := range map[string]string{
		"":                   "host port missing",
		":80":                "host port missing",
		"80:":                "container port missing",
		"192.0.2.1::80":      "host port missing",
		"192.0.2.1:":         "host port missing",
		"192.0.2.1":          `host port "192.0.2.1" is not a number`,
		"0":                  `host port "0" is not a number`,
		"80:0":               `container port "0" is not a number`,
		"65536":              `host port "65536" is not a number`,
		"-1":                 `host port "" is not a number`,
		"80-":                `host port "" is not a number`,
		"8o":                 `host port "8o" is not a number`,
		"+80":                `host port "+80" is not a number`,
		"80-79":              "port range 80-79 ends before it begins",
		"80-90:80":           "11 host ports and 1 container ports",
		"80:80-90":           "1 host ports and 11 container ports",
		"80/":                `protocol "" is not tcp`,
		"80/tpc":             `protocol "tpc" is not tcp`,
		"80/tcp/udp":         `protocol "tcp/udp" is not tcp`,
		"web:80:80":          `host address "web" is not an IP address`,
		"192.0.2:80:80":      `host address "192.0.2" is not an IP address`,
		"192.0.2.1:1:2:3":    "too many colons",
		"2001:db8::1:80:80":  "too many colons",
		"[2001:db8::1]":      "an IPv6 address in brackets needs a colon after it",
		"[2001:db8::1]80:80": "an IPv6 address in brackets needs a colon after it",
		"[192.0.2.1]:80:80":  `host address "192.0.2.1" is not an IP address`,
		"[fe80::1%eth0]:80":  `host address "fe80::1%eth0" is not an IP address`,
		"[]:80":              `host address "" is not an IP address`,
		" 80":                `host port " 80" is not a number`,
	} {
		got, err := ParseMapping(word)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %+v, %v; want %q", word, got, err, want)
		}
	}
}

func TestMappingText(t *testing.T) {
	for word, want := range map[string]string{
		"80":                          "80/tcp -> 80",
		"192.0.2.1:8000-8009:1-10":    "192.0.2.1:8000-8009/tcp -> 1-10",
		"[2001:db8::1]:443:8443/sctp": "[2001:db8::1]:443/sctp -> 8443",
	} {
		m, err := ParseMapping(word)
		if err != nil || m.String() != want {
			t.Errorf("%s: got %q, %v; want %q", word, m, err, want)
		}
	}
}

// TestPublishKeeps what a configuration has in its runtimeConfig besides.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishKeeps(t *testing.T) {
	n := &Network{Name: "net", Config: []byte(`{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "runtimeConfig": {"mac": "02:00:00:00:00:01"},
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`)}
	if err := n.Publish(nil); err != nil || strings.Contains(string(n.Config), "portMappings") {
		t.Errorf("without ports: %v, %s", err, n.Config)
	}
	var ports Mappings
	if err := ports.Set("8080:80"); err != nil {
		t.Fatal(err)
	}
	err := n.Publish(ports)
	for _, want := range []string{`"mac":"02:00:00:00:00:01"`, `"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]`, `"subnet":"10.1.0.0/24"`} {
		if err != nil || !strings.Contains(string(n.Config), want) {
			t.Errorf("%v, no %s in %s", err, want, n.Config)
		}
	}
}

// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestParsePort(t *testing.T) {
	for word, want := range map[string]string{
		"8080": "8080 ", "8080/udp": "8080 udp", "1/TCP": "1 tcp", "65535/sctp": "65535 sctp",
		"0": "", "65536": "", "x": "", "": "", "80/": "", "80/tpc": "", "80-90": "",
	} {
		port, protocol, err := ParsePort(word)
		got := ""
		if err == nil {
			got = inventory.Port{HostPort: port, Count: 1, Protocol: protocol}.Span()
			got = strings.Replace(got, "/", " ", 1)
		}
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", word, got, err, want)
		}
	}
}
