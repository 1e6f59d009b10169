package names

import (
	"strings"
	"testing"
)

// TestOf: a plugin is found by its name and by that name with BuildKit's prefix, and by nothing else.
//
// Claim: The program answers by the name under which it is installed: nine plugins, each also with BuildKit's prefix
func TestOf(t *testing.T) {
	for _, file := range Files() {
		p, known := Of(file)
		if !known || p.Name != strings.TrimPrefix(file, BuildKitPrefix) || p.Kind == 0 {
			t.Errorf("%s is %+v, known %t", file, p, known)
		}
	}
	if len(Files()) != 18 {
		t.Errorf("%d names: %q", len(Files()), Files())
	}
	for _, file := range []string{"", "patchbay", "Bridge", "bridge2", BuildKitPrefix, BuildKitPrefix + "patchbay"} {
		if p, known := Of(file); known {
			t.Errorf("%q is %+v", file, p)
		}
	}
	if !Is(BuildKitPrefix+HostLocal, HostLocal) || Is(Static, HostLocal) {
		t.Error("a name is not compared without its prefix")
	}
}

// TestAbout: the line has the name of the plugin and a version that callers accept.
//
// Claim: Without CNI_COMMAND the program prints the name of the plugin and a version that Nomad and nerdctl parse
func TestAbout(t *testing.T) {
	for file, want := range map[string]string{
		"firewall":            "CNI firewall plugin v1.9.1+patchbay.0.1.0",
		"buildkit-cni-bridge": "CNI bridge plugin v1.9.1+patchbay.0.1.0",
		"patchbay":            "CNI patchbay plugin 0.1.0",
		"renamed":             "CNI patchbay plugin 0.1.0",
	} {
		if got := About(file, "0.1.0"); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
	// A second "+" would be no version any more, for which nerdctl fails.
	if got := About("portmap", "0.2.0-3-gabc+dirty"); strings.Count(got, "+") != 1 {
		t.Errorf("got %q", got)
	}
}
