package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// TestOptions: what each wrong command line says.
func TestOptions(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	for args, want := range map[string]string{
		"":                               "--node is missing",
		"--node n x":                     `unexpected argument "x"`,
		"--node n --gc 30s":              "less than a minute",
		"--node n --node-ip 1.2.3":       "node-ip",
		"--node n --apiserver":           "needs an argument",
		"--clean":                        "",
		"--version":                      "",
		"--node n --node-ip ::1,1.1.1.1": "",
	} {
		o, err := parseOptions(strings.Fields(args))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
		if args == "--node n --node-ip ::1,1.1.1.1" && len(o.nodeIPs) != 2 {
			t.Errorf("addresses %v", o.nodeIPs)
		}
	}
	t.Setenv("NODE_NAME", "from-the-environment")
	if o, err := parseOptions(nil); err != nil || o.node != "from-the-environment" || o.gcEvery != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestConfigFile: a file that is replaced while the program runs, and one that cannot be used.
func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "data"), filepath.Join(dir, "config.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"clusterCIDRs": ["10.244.0.0/16"]}`)
	if err := os.Symlink(target, path); err != nil { // as a ConfigMap is mounted
		t.Fatal(err)
	}
	c := configFile{path: path}
	if err := c.read(); err != nil {
		t.Fatal(err)
	}
	write(`{"clusterCIDRs": ["10.244.0.0/16"], "mtu": 1400}`)
	if c.refresh(); c.err != nil || c.cluster.MTU != 1400 {
		t.Errorf("MTU %d, %v", c.cluster.MTU, c.err)
	}
	for _, text := range []string{`{"mode": "bgp", "clusterCIDRs": ["10.244.0.0/16"]}`, "{"} {
		write(text)
		if c.refresh(); c.err == nil || c.cluster.MTU != 1400 {
			t.Errorf("%s: MTU %d, %v", text, c.cluster.MTU, c.err)
		}
	}
	write(`{"clusterCIDRs": ["10.244.0.0/16"]}`)
	if c.refresh(); c.err != nil || c.cluster.MTU != 0 {
		t.Errorf("MTU %d, %v", c.cluster.MTU, c.err)
	}
}

// TestCheckConflist: the plugin's own parser reads what is written.
func TestCheckConflist(t *testing.T) {
	for conflist, ok := range map[string]bool{
		`null`: true,
		`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "patchbay", "ipMasq": true}]}`:       true,
		`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "patchbay", "hairpinMode": "yes"}]}`: false,
		`{"name": "n/", "cniVersion": "1.0.0", "plugins": [{"type": "patchbay"}]}`:                      false,
	} {
		c, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16"], "conflist": ` + conflist + `}`))
		if err != nil {
			t.Fatal(err)
		}
		n := cluster.Object{Name: "n", Created: time.Unix(1, 0), PodCIDRs: []string{"10.244.1.0/24"}}.Node()
		plan := c.Plan([]cluster.Node{n}, cluster.Host{Name: "n", MTU: 1500})
		if err := checkConflist(plan.Conflist); (err == nil) != ok {
			t.Errorf("%s: %v\n%s", conflist, err, plan.Conflist)
		}
	}
}

// TestWriteFile: the bytes are compared, and what a killed process left is replaced.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "x.conflist")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(temporary(path), []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		text    string
		written bool
	}{{"a", true}, {"a", false}, {"b", true}} {
		written, err := writeFile(path, []byte(step.text))
		if err != nil || written != step.written {
			t.Errorf("%q: written %t, %v", step.text, written, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "b" {
		t.Errorf("%q, %v", text, err)
	}
}
