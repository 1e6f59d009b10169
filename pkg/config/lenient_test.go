package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unknown is the Ident of an empty configuration.
func unknown() Ident {
	return Ident{CNIVersion: "0.1.0", StateDir: "/run/patchbay", DataDir: "/run/patchbay/ipam"}
}

func TestParseLenient(t *testing.T) {
	for _, tc := range []struct {
		data   string
		change func(*Ident)
	}{
		{``, func(*Ident) {}},
		{`null`, func(*Ident) {}},
		{`[]`, func(*Ident) {}},
		{`5`, func(*Ident) {}},
		{`{`, func(*Ident) {}},
		{`}`, func(*Ident) {}},
		{`{"name"`, func(*Ident) {}},
		{`{"name" "net"}`, func(*Ident) {}},
		{`{"name": "net" "type": "patchbay"}`, func(id *Ident) { id.Name = "net" }},
		{`{"name": "net"}}}`, func(id *Ident) { id.Name = "net" }},
		{`{5: "x", "name": "net"}`, func(*Ident) {}},
		{`{"mtu": 15oo, "name": "net"}`, func(*Ident) {}},
		{`{"name": "net", "mtu": 15oo}`, func(id *Ident) { id.Name = "net" }},
		{`{"name": "net", "name": "two"}`, func(id *Ident) { id.Name = "two" }},
		{`{"NAME": "net", "Type": "patchbay"}`, func(id *Ident) { id.Name, id.Type = "net", "patchbay" }},
		{`{"cniVersion": 1, "name": "net", "type": 2, "stateDir": 3, "ipam": 4}`, func(id *Ident) { id.Name = "net" }},
		{`{"cniVersion": "9.9.9", "name": "net"}`, func(id *Ident) { id.CNIVersion, id.Name = "9.9.9", "net" }},
		{`{"name": 5, "type": "patchbay"}`, func(id *Ident) { id.Type = "patchbay" }},
		{`{"name": "../../etc"}`, func(*Ident) {}},
		{`{"name": "a@b"}`, func(*Ident) {}},
		{`{"name": ""}`, func(*Ident) {}},
		{`{"name": "net", "mtu": "big", "bridge": 5, "isGateway": []}`, func(id *Ident) { id.Name = "net" }},
		{`{"logFile": "/l"}`, func(id *Ident) { id.LogFile = "/l" }},
		{`{"logFile": "l"}`, func(*Ident) {}},
		{`{"logFile": 7}`, func(*Ident) {}},
		{`{"stateDir": "/s"}`, func(id *Ident) { id.StateDir, id.DataDir = "/s", "/s/ipam" }},
		{`{"stateDir": "s"}`, func(*Ident) {}},
		{`{"stateDir": "/s\u0000"}`, func(*Ident) {}},
		{`{"stateDir": "/s", "ipam": {"dataDir": "/d\u0000"}}`, func(id *Ident) { id.StateDir, id.DataDir = "/s", "/s/ipam" }},
		{`{"stateDir": "s", "ipam": {"dataDir": "/d"}}`, func(id *Ident) { id.DataDir = "/d" }},
		{`{"stateDir": "/s", "ipam": {"dataDir": "d"}}`, func(id *Ident) { id.StateDir, id.DataDir = "/s", "/s/ipam" }},
		{`{"ipam": {"type": "patchbay", "dataDir": 5}}`, func(id *Ident) { id.IPAMType = "patchbay" }},
		{`{"ipam": {"type": "patchbay", "dataDir": "/d", "ranges": oops}, "name": "net"}`, func(id *Ident) { id.IPAMType, id.DataDir = "patchbay", "/d" }},
		{`{"ipam": {"ranges": [[{"subnet": "x"}]], "type": "patchbay"`, func(id *Ident) { id.IPAMType = "patchbay" }},
		{`{"ipam": "patchbay", "name": "net"}`, func(id *Ident) { id.Name = "net" }},
	} {
		t.Run(tc.data, func(t *testing.T) {
			want := unknown()
			tc.change(&want)
			if diff := cmp.Diff(want, ParseLenient([]byte(tc.data))); diff != "" {
				t.Errorf("ParseLenient(%s) (-want +got):\n%s", tc.data, diff)
			}
		})
	}
}

// Of a configuration that is cut off anywhere, every complete key is decoded.
func TestParseLenientCutAnywhere(t *testing.T) {
	after := func(text string) int {
		at := strings.Index(everything, text)
		if at < 0 {
			t.Fatalf("the test's configuration does not hold %s", text)
		}
		return at + len(text)
	}
	complete := []struct {
		at  int
		set func(*Ident)
	}{
		{after(`"cniVersion": "1.1.0"`), func(id *Ident) { id.CNIVersion = "1.1.0" }},
		{after(`"name": "a.b_c-9"`), func(id *Ident) { id.Name = "a.b_c-9" }},
		{after(`"type": "patchbay"`), func(id *Ident) { id.Type = "patchbay" }},
		{after(`"stateDir": "/var/state"`), func(id *Ident) { id.StateDir, id.DataDir = "/var/state", "/var/state/ipam" }},
		{after("\"ipam\": {\n    \"type\": \"patchbay\""), func(id *Ident) { id.IPAMType = "patchbay" }},
		{after(`"dataDir": "/var/data"`), func(id *Ident) { id.DataDir = "/var/data" }},
	}
	for n := range len(everything) + 1 {
		want := unknown()
		for _, key := range complete {
			if n >= key.at {
				key.set(&want)
			}
		}
		if diff := cmp.Diff(want, ParseLenient([]byte(everything[:n]))); diff != "" {
			t.Fatalf("cut after %d bytes, ...%q (-want +got):\n%s", n, tail([]byte(everything[:n])), diff)
		}
		// A cut configuration is never valid, and no reading of it may panic.
		if _, err := Parse([]byte(everything[:n]), ""); (err == nil) != (n == len(everything)) {
			t.Fatalf("cut after %d bytes: Parse says %v", n, err)
		}
		if got := PrevResultLenient([]byte(everything[:n])); got != nil && n < after(`"mtu": 1400}]}`) {
			t.Fatalf("cut after %d bytes: got the result %v", n, got)
		}
		_, _, _ = ValidAttachments([]byte(everything[:n]))
	}
}
