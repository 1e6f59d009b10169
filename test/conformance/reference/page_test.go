package reference

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/test/conformance"
)

// results returns the generated part: counts, and a table for each category.
func results(columns []column) string {
	var b strings.Builder
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	fmt.Fprintf(&b, "| level | %s |\n|---%s|\n", strings.Join(titles, " | "), strings.Repeat("|---", len(columns)))
	for _, level := range conformance.Levels() {
		fmt.Fprintf(&b, "| %s |", level)
		for _, c := range columns {
			n := conformance.Count(c.outcomes, level)
			fmt.Fprintf(&b, " %d pass, %d fail, %d not applicable |", n[conformance.Pass], n[conformance.Fail], n[conformance.NotApplicable])
		}
		b.WriteString("\n")
	}
	category := ""
	for i, o := range columns[0].outcomes {
		if c := o.Check.Category; c != category {
			category = c
			fmt.Fprintf(&b, "\n### %s\n\n| check | level | since | the plugin ... | source | %s |\n|---|---|---|---|---%s|\n", c, strings.Join(titles, " | "), strings.Repeat("|---", len(columns)))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |", o.Check.ID, o.Check.Level, o.Check.Since, cell(o.Check.Text), cell(o.Check.Source))
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", verdict(c, c.outcomes[i]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// verdict is the cell of one outcome.
func verdict(c column, o conformance.Outcome) string {
	switch o.Verdict {
	case conformance.Pass:
		return "pass"
	case conformance.NotApplicable:
		return "n/a: " + cell(o.Reason)
	}
	text := "**fail**: " + cell(o.Reason)
	if report := c.profile.Known[o.Check.ID]; report != "" {
		text += " ([reported](" + report + "))"
	}
	return text
}

// cell escapes a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\x1b", "ESC").Replace(text)
}
