package cni

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ReferenceKeys returns the JSON keys of the configuration of a reference plugin, read from the structs in a directory of its source
// ("plugins/meta/portmap"). Keys that are not of one plugin are left out: those of every configuration, and sections.
func ReferenceKeys(t testing.TB, dir string) []string {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/containernetworking/plugins").Output()
	if err != nil {
		t.Fatalf("find the source of the reference plugins: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of the reference in %s: %v", dir, err)
	}
	var keys []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`json:\"([a-zA-Z0-9]+)").FindAllStringSubmatch(string(text), -1) {
			keys = append(keys, m[1])
		}
	}
	common := []string{"name", "cniVersion", "prevResult", "runtimeConfig", "args", "cni", "ipam", "type"}
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return slices.Contains(common, key) })
}

// Missing returns those of the keys that occur in none of the values, at any depth.
func Missing(t testing.TB, keys []string, values ...any) []string {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return strings.Contains(string(text), `"`+key+`":`) })
}
