package readme

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxReadme is the number of lines that README.md may have.
const maxReadme = 200

// Page is a page of documentation.
type Page struct {
	Path string // relative to the repository, with slashes
	Text string
}

// Pages returns README.md and the pages below docs, conf and .github.
func Pages(root string) ([]Page, error) {
	var all []Page
	for _, top := range []string{"README.md", "docs", "conf", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, path)
			all = append(all, Page{filepath.ToSlash(relative), string(text)})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

var errTooLong = errors.New("README.md is too long")

// CheckLength returns an error that wraps errTooLong if README has more than maxReadme lines.
func CheckLength(readme string) error {
	if lines := strings.Count(readme, "\n"); lines > maxReadme {
		return fmt.Errorf("%w: %d lines, want at most %d: move a subject to its page in docs/", errTooLong, lines, maxReadme)
	}
	return nil
}

// code matches blocks and spans of code, in which a link is text.
var code = regexp.MustCompile("(?ms)^ *```.*?^ *```$|`[^`\n]+`")

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// BrokenLinks returns a line for each relative link of a page that leads to no file, or to no heading of
// a page.
func BrokenLinks(root string, page Page) []string {
	var broken []string
	for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(page.Text, ""), -1) {
		target, anchor, _ := strings.Cut(match[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		path := filepath.Join(root, filepath.Dir(page.Path), target)
		if target == "" {
			path = filepath.Join(root, page.Path)
		}
		if _, err := os.Stat(path); err != nil {
			broken = append(broken, fmt.Sprintf("%s links to %s: no such file", page.Path, match[1]))
			continue
		}
		if anchor != "" && !hasAnchor(path, anchor) {
			broken = append(broken, fmt.Sprintf("%s links to %s: no such heading", page.Path, match[1]))
		}
	}
	return broken
}

func hasAnchor(path, anchor string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	seen := map[string]int{}
	for line := range strings.Lines(fence.ReplaceAllString(string(text), "")) {
		heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		slug := Anchor(heading)
		if n := seen[slug]; n > 0 {
			slug = fmt.Sprintf("%s-%d", slug, n)
		}
		seen[Anchor(heading)]++
		if slug == anchor {
			return true
		}
	}
	return false
}

// fence matches blocks of code, in which a line that begins with # is no heading.
var fence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// Anchor returns the anchor that GitHub gives a heading: lower case, spaces as dashes, and without
// punctuation other than dashes and underscores.
func Anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(strings.TrimSpace(heading)))
}

// NotIndexed returns the pages to which the index has no link. Links of the index are relative to docs/. Of
// .github, where GitHub looks for pages of its own, only CONTRIBUTING.md has to be there.
func NotIndexed(index string, pages []Page) []string {
	linked := map[string]bool{"README.md": true, "docs/README.md": true}
	for _, match := range link.FindAllStringSubmatch(index, -1) {
		target, _, _ := strings.Cut(match[1], "#")
		linked[filepath.ToSlash(filepath.Join("docs", target))] = true
	}
	var missing []string
	for _, p := range pages {
		ofGitHub := strings.HasPrefix(p.Path, ".github/") && p.Path != ".github/CONTRIBUTING.md"
		if !linked[p.Path] && !ofGitHub {
			missing = append(missing, p.Path)
		}
	}
	return missing
}

var (
	firstCell = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|")
	span      = regexp.MustCompile("`([^`\n]+)`")
	option    = regexp.MustCompile("^--?[a-z][a-z-]*$")
)

// Section returns the text below a heading of level 2, up to the next one.
func Section(page, heading string) string {
	_, text, _ := strings.Cut("\n"+page, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// TableKeys returns the configuration keys in the first cells of tables, with their paths.
func TableKeys(text string) []string {
	var keys []string
	for _, cell := range firstCell.FindAllStringSubmatch(text, -1) {
		for _, key := range span.FindAllStringSubmatch(cell[1], -1) {
			keys = append(keys, key[1])
		}
	}
	return keys
}

// Options returns the options that a section of the page on the command line describes: those in first
// cells, and those of a line "Options: ".
func Options(section string) []string {
	var all []string
	for line := range strings.Lines(section) {
		text, isList := strings.CutPrefix(line, "Options: ")
		if cell := firstCell.FindStringSubmatch(line); cell != nil {
			text, isList = cell[1], true
		}
		if !isList {
			continue
		}
		for _, word := range span.FindAllStringSubmatch(text, -1) {
			if option.MatchString(word[1]) {
				all = append(all, word[1])
			}
		}
	}
	return all
}

var (
	helpCommand = regexp.MustCompile(`(?m)^  patchbay ([a-z-]+)`)
	helpOption  = regexp.MustCompile(`(?m)^  (--?[a-z][a-z-]*)( |$)`)
)

// HelpCommands returns the commands that the output of "patchbay help" lists.
func HelpCommands(help string) []string { return groups(helpCommand, help) }

// HelpOptions returns the options that the output of "patchbay help COMMAND" lists.
func HelpOptions(help string) []string { return groups(helpOption, help) }

func groups(re *regexp.Regexp, text string) []string {
	var all []string
	for _, match := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}
