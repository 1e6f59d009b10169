package config

import (
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
)

func TestParseResolvConf(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       types.DNS
	}{
		{"nothing", "", types.DNS{}},
		{"one of each", "nameserver 192.0.2.1\ndomain example.org\nsearch a b\noptions ndots:2 rotate\n", types.DNS{
			Nameservers: []string{"192.0.2.1"}, Domain: "example.org", Search: []string{"a", "b"}, Options: []string{"ndots:2", "rotate"},
		}},
		{"several add up, the last domain wins", "search a\nnameserver 192.0.2.1\ndomain one\nnameserver 2001:db8::1\ndomain two\nsearch b c\noptions x\noptions y", types.DNS{
			Nameservers: []string{"192.0.2.1", "2001:db8::1"}, Domain: "two", Search: []string{"a", "b", "c"}, Options: []string{"x", "y"},
		}},
		{"comments and what is not known", "# nameserver 192.0.2.1\n; search a\n#search b\n;options c\nsortlist 10.0.0.0\nlookup file\nnameservers 192.0.2.2\n", types.DNS{}},
		{"keys without values", "nameserver\ndomain\nsearch\noptions\n\n", types.DNS{}},
		{"tabs, indentation, CRLF, no newline at the end", "\tnameserver\t192.0.2.1\r\n  search  a \r\noptions x", types.DNS{
			Nameservers: []string{"192.0.2.1"}, Search: []string{"a"}, Options: []string{"x"},
		}},
		{"words after the name server", "nameserver 192.0.2.1 # the router\n", types.DNS{Nameservers: []string{"192.0.2.1"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ParseResolvConf([]byte(tc.text))); diff != "" {
				t.Errorf("ParseResolvConf (-want +got):\n%s", diff)
			}
		})
	}
}
