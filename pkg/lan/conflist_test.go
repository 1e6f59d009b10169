package lan

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
)

func TestConflist(t *testing.T) {
	c, err := Config{Subnet: prefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1"), Exclude: []netip.Prefix{prefix("192.0.2.9/32")}}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "cniVersion": "1.0.0",
  "cniVersions": [
    "0.4.0",
    "1.0.0",
    "1.1.0"
  ],
  "createdBy": "patchbay-lan",
  "name": "lan",
  "plugins": [
    {
      "bridge": "br0",
      "capabilities": {
        "bandwidth": true,
        "ips": true,
        "mac": true
      },
      "ipam": {
        "exclude": [
          "192.0.2.9/32"
        ],
        "ranges": [
          [
            {
              "gateway": "192.0.2.1",
              "rangeEnd": "192.0.2.63",
              "rangeStart": "192.0.2.1",
              "subnet": "192.0.2.0/24"
            },
            {
              "gateway": "192.0.2.1",
              "rangeEnd": "192.0.2.254",
              "rangeStart": "192.0.2.192",
              "subnet": "192.0.2.0/24"
            }
          ]
        ],
        "routes": [
          {
            "dst": "0.0.0.0/0"
          }
        ],
        "type": "patchbay"
      },
      "type": "patchbay"
    }
  ]
}
`
	if got := string(DefaultTemplate("br0").Conflist("lan", c, []netip.Prefix{prefix("192.0.2.0/26"), prefix("192.0.2.192/26")})); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestParseTemplate: keys of a template stay; addresses in it do not.
func TestParseTemplate(t *testing.T) {
	template, err := ParseTemplate([]byte(`{"cniVersion": "1.0.0", "name": "old", "plugins": [{"type": "loopback"},
		{"type": "patchbay", "bridge": "br1", "mtu": 1400, "ipam": {"type": "dhcp", "subnet": "10.0.0.0/8", "routes": [], "sticky": true, "dataDir": "/d"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Config{Subnet: prefix("2001:db8::/112"), Gateway: netip.MustParseAddr("2001:db8::1")}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Name    string
		Plugins []struct {
			MTU  int
			IPAM struct {
				Type, Subnet string
				Sticky       bool
				Ranges       [][]map[string]string
				Routes       []any
			}
		}
	}
	if err := json.Unmarshal(template.Conflist("lan", c, []netip.Prefix{prefix("2001:db8::40/122")}), &list); err != nil {
		t.Fatal(err)
	}
	ipam := list.Plugins[1].IPAM
	if list.Name != "lan" || list.Plugins[1].MTU != 1400 || ipam.Type != "patchbay" || ipam.Subnet != "" || !ipam.Sticky || len(ipam.Routes) != 0 || ipam.Ranges[0][0]["rangeEnd"] != "2001:db8::7f" {
		t.Errorf("got %+v", list)
	}
	if template.Bridge() != "br1" || template.DataDir() != "/d" {
		t.Errorf("bridge %s, dataDir %s", template.Bridge(), template.DataDir())
	}
}

func FuzzParseTemplate(f *testing.F) {
	f.Add([]byte(`{"plugins": [{"type": "patchbay", "ipam": {"routes": []}}]}`))
	f.Add([]byte(`{"plugins": [{"type": "bridge"}]}`))
	f.Add([]byte(`{"plugins": [{"type": "patchbay", "vlan": 5}]}`))
	c, err := Config{Subnet: prefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1")}.Complete()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		template, err := ParseTemplate(text)
		if err != nil {
			if !errors.Is(err, ErrTemplate) {
				t.Errorf("got %v", err)
			}
			return
		}
		got := template.Conflist("lan", c, []netip.Prefix{prefix("192.0.2.0/26")})
		if again, err := ParseTemplate(got); err != nil || again.Bridge() != template.Bridge() {
			t.Errorf("%s: %v", got, err)
		}
	})
}
