package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// claim is one row of the table: a sentence, and the tests that keep it.
type claim struct {
	line  int
	text  string
	tests []string
}

// parseClaims reads the rows of the tables with the header `| claim | tests |`; other text, and other tables, are for people.
// An error names the line: a row of another width, without a claim, without a test, or with a name that is no test's.
func parseClaims(text string) ([]claim, error) {
	var claims []claim
	inside := false
	for i, line := range strings.Split(text, "\n") {
		cells := cellsOf(line)
		switch {
		case cells == nil:
			inside = false
		case len(cells) == 2 && strings.EqualFold(cells[0], "claim") && strings.EqualFold(cells[1], "tests"):
			inside = true
		case inside && !isRule(cells):
			c, err := parseRow(cells)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			c.line = i + 1
			claims = append(claims, c)
		}
	}
	if len(claims) == 0 {
		return nil, errors.New("no table with the header | claim | tests |, or no row in it")
	}
	return claims, nil
}

// cellsOf cuts a table line into trimmed cells; nil for a line that is none. `\|` is a bar inside a cell.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	line = strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "|")
	cells := strings.Split(line, "|")
	for i, c := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|"))
	}
	return cells
}

// isRule reports whether the cells are the line of dashes under a header.
func isRule(cells []string) bool {
	return strings.Trim(strings.Join(cells, ""), "-: ") == ""
}

func parseRow(cells []string) (claim, error) {
	if len(cells) != 2 {
		return claim{}, fmt.Errorf("%d cells, want 2: claim and tests", len(cells))
	}
	c := claim{text: cells[0]}
	if c.text == "" {
		return claim{}, errors.New("the claim is empty")
	}
	name := regexp.MustCompile(`^(Test|Fuzz|Example)[A-Z0-9_][^/]*(/.+)?$`)
	for _, quoted := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(cells[1], -1) {
		if !name.MatchString(quoted[1]) {
			return claim{}, fmt.Errorf("%q is not the name of a test", quoted[1])
		}
		// The go tool writes the spaces of a subtest's name as underscores.
		c.tests = append(c.tests, strings.ReplaceAll(quoted[1], " ", "_"))
	}
	if len(c.tests) == 0 {
		return claim{}, errors.New("no test is named in backticks")
	}
	return c, nil
}
