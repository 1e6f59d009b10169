package readme

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func pages(t *testing.T) map[string]string {
	t.Helper()
	list, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range list {
		all[p.Path] = p.Text
	}
	if len(all) < 20 {
		t.Fatalf("found %d pages, want at least 20", len(all))
	}
	return all
}

// Claim: README has at most 200 lines, and every relative link and anchor of README, docs, conf and .github resolves
func TestReadmeIsShort(t *testing.T) {
	if err := CheckLength(pages(t)["README.md"]); err != nil {
		t.Error(err)
	}
	if err := CheckLength(strings.Repeat("\n", maxReadme+1)); !errors.Is(err, errTooLong) {
		t.Errorf("a README of %d lines: %v", maxReadme+1, err)
	}
}

// TestLinks follows every relative link and anchor of the pages.
//
// Claim: README has at most 200 lines, and every relative link and anchor of README, docs, conf and .github resolves
func TestLinks(t *testing.T) {
	for path, text := range pages(t) {
		for _, line := range BrokenLinks(root, Page{path, text}) {
			t.Error(line)
		}
	}
}

// Claim: README has at most 200 lines, and every relative link and anchor of README, docs, conf and .github resolves
func TestBrokenLinksFinds(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "docs/other.md"), "# Other page\n## A, b: `c`\n## Twice\n## Twice\n```\n# no heading\n```\n")
	page := Page{"docs/page.md", "# Page\n[a](other.md) [b](other.md#a-b-c) [c](#page) [d](https://192.0.2.1/x) [e](other.md#twice-1)\n" +
		"`[code](none.md)`\n```\n[block](none.md)\n```\n" +
		"[f](none.md) [g](other.md#none) [h](#none) [i](../other.md) [j](other.md#no-heading) [k](other.md#twice-2)\n"}
	write(t, filepath.Join(dir, page.Path), page.Text)
	want := []string{
		"docs/page.md links to none.md: no such file",
		"docs/page.md links to other.md#none: no such heading",
		"docs/page.md links to #none: no such heading",
		"docs/page.md links to ../other.md: no such file",
		"docs/page.md links to other.md#no-heading: no such heading",
		"docs/page.md links to other.md#twice-2: no such heading",
	}
	if diff := cmp.Diff(want, BrokenLinks(dir, page)); diff != "" {
		t.Errorf("broken links (-want +got):\n%s", diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEveryPageIsInTheIndex compares docs/README.md with the pages that exist.
//
// Claim: Every page of docs/ is in the index
func TestEveryPageIsInTheIndex(t *testing.T) {
	list, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range NotIndexed(pages(t)["docs/README.md"], list) {
		t.Errorf("docs/README.md has no link to %s", path)
	}
	got := NotIndexed("[x](x.md) [c](../conf/README.md#a)", []Page{{"docs/x.md", ""}, {"conf/README.md", ""}, {"docs/y.md", ""}, {"README.md", ""}, {".github/SECURITY.md", ""}})
	if diff := cmp.Diff([]string{"docs/y.md"}, got); diff != "" {
		t.Errorf("not indexed (-want +got):\n%s", diff)
	}
}

// TestConfigurationReference compares the keys that pkg/config reads with those of the reference.
//
// Claim: docs/configuration.md has the keys that the program reads, and docs/command-line.md its commands and options
func TestConfigurationReference(t *testing.T) {
	page := pages(t)["docs/configuration.md"]
	read, err := ConfigKeys(filepath.Join(root, "pkg/config"))
	if err != nil {
		t.Fatal(err)
	}
	tables, _, _ := strings.Cut(page, "\n## What the runtime passes\n")
	documented := TableKeys(tables)
	if len(read) < 50 || len(documented) < 40 {
		t.Fatalf("pkg/config reads %d keys, docs/configuration.md has %d: some are no longer recognized", len(read), len(documented))
	}
	report(t, unknownKeys(documented, read), "docs/configuration.md has the key %s, which pkg/config does not read")
	report(t, missingKeys(read, page), "pkg/config reads the key %s, which docs/configuration.md does not have")
}

func report(t *testing.T, names []string, format string) {
	t.Helper()
	for _, name := range names {
		t.Errorf(format, name)
	}
}

// unknownKeys returns the documented keys whose last part is not read.
func unknownKeys(documented, read []string) []string {
	var unknown []string
	for _, key := range documented {
		if !slices.Contains(read, key[strings.LastIndexByte(key, '.')+1:]) {
			unknown = append(unknown, key)
		}
	}
	return unknown
}

// missingKeys returns the keys that are not in the page as code, alone or as a part of a path.
func missingKeys(read []string, page string) []string {
	parts := map[string]bool{"plugins": true} // of a list, which is refused with what to pass instead
	for _, match := range span.FindAllStringSubmatch(page, -1) {
		for _, part := range strings.Split(match[1], ".") {
			parts[part] = true
		}
	}
	var missing []string
	for _, key := range read {
		if !parts[key] {
			missing = append(missing, key)
		}
	}
	return missing
}

// Claim: docs/configuration.md has the keys that the program reads, and docs/command-line.md its commands and options
func TestKeysFinds(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.go"), `package p
func (d *decoder) flag(s section, key string) bool { return d.value(s, key) }
func (d *decoder) number(s section, key string, least, most int) int { return 0 }
func (d *decoder) other(key string, s section) {}
func read(d *decoder, top section) { d.flag(top, "a"); d.number(top, "b", 1, 2); d.other("c", top); top.raw("d"); d.flag(top, key) }
`)
	write(t, filepath.Join(dir, "a_test.go"), `package p
func f() { d.flag(top, "test") }
`)
	read, err := ConfigKeys(dir)
	if diff := cmp.Diff([]string{"a", "b", "d"}, read); diff != "" || err != nil {
		t.Errorf("keys (-want +got):\n%s%v", diff, err)
	}
	page := "| `a` | x |\n| `ipam.e`, `b` | x |\n"
	if diff := cmp.Diff([]string{"ipam.e"}, unknownKeys(TableKeys(page), read)); diff != "" {
		t.Errorf("unknown keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"d"}, missingKeys(read, page)); diff != "" {
		t.Errorf("missing keys (-want +got):\n%s", diff)
	}
}

// TestCommandLinePage compares the commands and options that help prints with docs/command-line.md.
//
// Claim: docs/configuration.md has the keys that the program reads, and docs/command-line.md its commands and options
func TestCommandLinePage(t *testing.T) {
	page := pages(t)["docs/command-line.md"]
	commands := HelpCommands(help(t))
	if len(commands) < 10 {
		t.Fatalf("help lists %q: the commands are no longer recognized", commands)
	}
	var headings []string
	for line := range strings.Lines(page) {
		if name, ok := strings.CutPrefix(line, "## patchbay "); ok {
			headings = append(headings, strings.TrimSpace(name))
		}
	}
	if diff := cmp.Diff(sorted(commands), sorted(headings)); diff != "" {
		t.Errorf("commands (-help +docs/command-line.md):\n%s", diff)
	}
	options := 0
	for _, command := range commands {
		want, got := sorted(HelpOptions(help(t, command))), sorted(Options(Section(page, "patchbay "+command)))
		options += len(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("options of %s (-help +docs/command-line.md):\n%s", command, diff)
		}
	}
	if options < 40 {
		t.Errorf("help lists %d options, want at least 40: they are no longer recognized", options)
	}
}

func help(t *testing.T, command ...string) string {
	t.Helper()
	cmd := exec.Command(nettest.Patchbay(t), append([]string{"help"}, command...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("patchbay help %v: %v", command, err)
	}
	return string(out)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// Claim: docs/configuration.md has the keys that the program reads, and docs/command-line.md its commands and options
func TestOptions(t *testing.T) {
	page := "# x\n## patchbay a\ntext `--no`\n| `--one`, `-o` | x `--cell` |\n\nOptions: `--two`, `x`.\n## patchbay b\nOptions: `--three`.\n"
	if diff := cmp.Diff([]string{"--one", "-o", "--two"}, Options(Section(page, "patchbay a"))); diff != "" {
		t.Errorf("options of the page (-want +got):\n%s", diff)
	}
	text := "patchbay a: x\n\n  --one string\n    \tlike --two\n  -o\n    \tx\n  unplugged  -x\n"
	if diff := cmp.Diff([]string{"--one", "-o"}, HelpOptions(text)); diff != "" {
		t.Errorf("options of help (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"up", "lxc-hook"}, HelpCommands("patchbay is x\n\n  patchbay up NAME   make\n  patchbay lxc-hook  x\n")); diff != "" {
		t.Errorf("commands of help (-want +got):\n%s", diff)
	}
}
