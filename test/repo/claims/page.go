package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const head = `# Claims

What Patchbay promises, and the tests that keep each promise: generated from the lines ` + "`// Claim: ...`" + ` above the tests, by
` + "`PATCHBAY_UPDATE=1 go -C test test ./repo/claims`" + `. A promise stands with the package of its first test in ` + "`test/`" + `, or its first test. ` + "`make test`" + ` and
` + "`make test-runtimes`" + ` end by checking that these tests ran and passed; where ` + "`CI`" + ` is set, a skipped one is an error, even if only a part was skipped.
`

// page returns test/claims.md: one table for each package.
func page(claims []claim) string {
	sections := map[string][]claim{}
	for _, c := range claims {
		dir := home(c)
		sections[dir] = append(sections[dir], c)
	}
	var out strings.Builder
	out.WriteString(head)
	for _, dir := range slices.SortedFunc(maps.Keys(sections), testsFirst) {
		fmt.Fprintf(&out, "\n## %s\n\n| claim | tests |\n|---|---|\n", dir)
		for _, c := range sections[dir] {
			fmt.Fprintf(&out, "| %s | %s |\n", cell(c.text), cell(names(c, dir)))
		}
	}
	return out.String()
}

// home returns the directory under which a claim is listed.
func home(c claim) string {
	dirs := make([]string, len(c.tests))
	for i, t := range c.tests {
		dirs[i] = t.dir
	}
	return slices.MinFunc(dirs, testsFirst)
}

// testsFirst compares directories: test/ before the others, then by name.
func testsFirst(a, b string) int {
	other := func(dir string) int {
		if strings.HasPrefix(dir, "test/") {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(other(a), other(b)), cmp.Compare(a, b))
}

// names returns the tests of a claim, those of other packages than dir with their directory.
func names(c claim, dir string) string {
	var all []string
	for _, t := range c.tests {
		if t.dir == dir {
			all = append(all, "`"+t.name+"`")
		} else {
			all = append(all, "`"+t.dir+" "+t.name+"`")
		}
	}
	return strings.Join(all, ", ")
}

// cell escapes a bar, which would end the cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
