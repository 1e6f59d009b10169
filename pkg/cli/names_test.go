package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestID(t *testing.T) {
	long := strings.Repeat("n", 65)
	for _, tt := range []struct {
		kind       Kind
		name, want string // the start of it, if it ends in a dash
	}{
		{KindNamed, "web", "web"},
		{KindNamed, long[:64], long[:64]},
		{KindNamed, long, "netns-" + long[:44] + "-"},
		{KindNamed, "a b", "netns-a_b-"},
		{KindNamed, "é", "netns-_-"},
		{KindNamed, "pid-1234", "netns-pid-1234-"},
		{KindNamed, "lxc-web", "netns-lxc-web-"},
		{KindNamed, "netns-web", "netns-netns-web-"},
		{KindPID, "1234", "pid-1234"},
		{KindLXC, "web", "lxc-web"},
		{KindPath, "/srv/ns/web", "path-web-"},
		{KindPath, "/", "path--"},
	} {
		id := (&Target{Kind: tt.kind, Name: tt.name}).ID()
		hash := strings.TrimPrefix(id, tt.want)
		hashed := strings.HasSuffix(tt.want, "-")
		if !strings.HasPrefix(id, tt.want) || hashed && len(hash) != 12 || !hashed && hash != "" {
			t.Errorf("%s %s: ID %q, want %q", tt.kind, tt.name, id, tt.want)
		}
		if !config.ValidName(id) || len(id) > maxID {
			t.Errorf("%s %s: %q is no container ID of at most %d bytes", tt.kind, tt.name, id, maxID)
		}
	}
}

// TestIDsDiffer: two things never have one ID, also where what is readable of them is the same.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestIDsDiffer(t *testing.T) {
	seen := map[string]Target{}
	for _, target := range []Target{
		{Kind: KindNamed, Name: "web"},
		{Kind: KindLXC, Name: "web"},
		{Kind: KindNamed, Name: "lxc-web"},
		{Kind: KindPath, Name: "/a/web"},
		{Kind: KindPath, Name: "/b/web"},
		{Kind: KindNamed, Name: "path-web"},
		{Kind: KindNamed, Name: "a b"},
		{Kind: KindNamed, Name: "a_b"},
		{Kind: KindNamed, Name: "a\tb"},
		{Kind: KindPID, Name: "7"},
		{Kind: KindNamed, Name: "7"},
		{Kind: KindNamed, Name: "pid-7"},
	} {
		id := target.ID()
		if other, taken := seen[id]; taken {
			t.Errorf("%+v and %+v are both %s", target, other, id)
		}
		seen[id] = target
	}
}

// Claim: An error for a target that does not exist, or that is ambiguous, suggests what may have been meant; missing privileges are
// reported
func TestNearest(t *testing.T) {
	names := []string{"web", "webserver", "db", "Postgres"}
	for word, want := range map[string]string{
		"wbe": "web", "wab": "web", "web": "web", "webservr": "webserver", "postgers": "Postgres",
		"x": "", "mail": "", "dbx": "db", "": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// Claim: An error for a target that does not exist, or that is ambiguous, suggests what may have been meant; missing privileges are
// reported
func TestParseIPs(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "10.1.2.3": "10.1.2.3", "10.1.2.3/24": "10.1.2.3", "10.1.2.3, fd00::3": "10.1.2.3 fd00::3",
		"10.1.2": "error", "fe80::1%eth0": "error", "10.1.2.3,": "error", "web": "error",
	} {
		ips, err := ParseIPs(text)
		var words []string
		for _, ip := range ips {
			words = append(words, ip.String())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "error"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
