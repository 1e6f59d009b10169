package structure

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// dependabotFaults lists the modules of the repository that no entry of dependabot's configuration updates or that several do, and the
// directories of entries that have no module. Directories are as dependabot has them: "/", "/test".
func dependabotFaults(text string, modules []string) []string {
	var configured struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
		}
	}
	if err := yaml.Unmarshal([]byte(text), &configured); err != nil {
		return []string{err.Error()}
	}
	entries := map[string]int{}
	for _, update := range configured.Updates {
		if update.Ecosystem != "gomod" {
			continue
		}
		for _, dir := range append(update.Directories, update.Directory) {
			if dir != "" {
				entries[dir]++
			}
		}
	}
	var bad []string
	for _, dir := range modules {
		if n := entries[dir]; n != 1 {
			bad = append(bad, fmt.Sprintf("%s/go.mod is in %d entries", strings.TrimSuffix(dir, "/"), n))
		}
		delete(entries, dir)
	}
	for dir := range entries {
		bad = append(bad, dir+" has no go.mod with requirements")
	}
	slices.Sort(bad)
	return bad
}

// modulesWithRequirements returns the directories of the repository's modules that require others.
func modulesWithRequirements(t *testing.T) (dirs []string) {
	t.Helper()
	root := os.DirFS(top(t))
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (name == "bin" || strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case name != "go.mod":
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if strings.Contains(string(text), "\nrequire ") {
			dirs = append(dirs, path.Join("/", path.Dir(file)))
		}
		return err
	})
	if err != nil || len(dirs) < 5 {
		t.Fatalf("modules of the repository: %q, %v", dirs, err)
	}
	return dirs
}

// TestDependabot: each module that requires others is in one entry of .github/dependabot.yml.
func TestDependabot(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top(t), ".github", "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, dependabotFaults(string(text), modulesWithRequirements(t)))
}

func TestDependabotFaultsFinds(t *testing.T) {
	const entry = "updates:\n  - package-ecosystem: gomod\n    "
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"listed":               {entry + `directories: ["/", "/test"]`, nil},
		"in two entries":       {entry + "directories: [/, /test]\n  - {package-ecosystem: gomod, directory: /test}", []string{"/test/go.mod is in 2 entries"}},
		"not listed":           {entry + "directory: /", []string{"/test/go.mod is in 0 entries"}},
		"of another ecosystem": {entry + "directory: /\n  - {package-ecosystem: docker, directory: /test}", []string{"/test/go.mod is in 0 entries"}},
		"without a module":     {entry + "directories: [/, /test, /old]", []string{"/old has no go.mod with requirements"}},
		"not YAML":             {"a: [", []string{"yaml: line 1: did not find expected node content"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, dependabotFaults(tt.text, []string{"/", "/test"})); diff != "" {
				t.Errorf("dependabotFaults (-want +got):\n%s", diff)
			}
		})
	}
}
