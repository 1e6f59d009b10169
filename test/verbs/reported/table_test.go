package reported

import (
	"strings"
	"testing"
)

// row is one input and the expected outcome.
type row struct {
	number string // of the case: "1", "7b"; of another instance of its kind: "1.1"
	name   string // the input, and what happens
	kind   string // what all rows of the case have in common
	run    func(t *testing.T)
}

// subjects returns the rows of each file of this package.
func subjects() map[string][]row {
	return map[string][]row{
		"addresses": addresses(),
		"moving":    moving(),
		"bridge":    bridge(),
		"states":    states(),
		"chains":    chains(),
		"attacks":   attackRows(),
		"files":     files(),
		"people":    people(),
	}
}

// runRows runs each row as a subtest, in parallel: every row has a host of its own.
func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.number+" "+r.name+" -- "+r.kind, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
}

// siblings is the number of further inputs of its kind that each case needs.
const siblings = 3

// cases returns the numbers that need rows. A case that is tested in another package is named there.
func cases() []string {
	return []string{
		"1", "2", "3", "4", "6", "7b", "10", "37",
		"5", "7", "23",
		"14", "15", "16", "17", "18", "20",
		"21", "22", "24", "25", "26",
		"8", "9", "11", "12", "13",
		"27", "28", "29", "30",
		"19", "38", "39", "40", "41", "42", "43", "44", "45",
		"31", "32", "33", "34", "35", "36",
	}
}

func TestEveryCaseHasItsRows(t *testing.T) {
	first, more := map[string]int{}, map[string]int{}
	for subject, rows := range subjects() {
		for _, r := range rows {
			number, _, isSibling := strings.Cut(r.number, ".")
			if isSibling {
				more[number]++
			} else {
				first[number]++
			}
			if r.name == "" || r.kind == "" || r.run == nil {
				t.Errorf("%s: row %s lacks a name, a kind or what it runs", subject, r.number)
			}
		}
	}
	for _, number := range cases() {
		if first[number] != 1 {
			t.Errorf("case %s has %d rows of its own number, not 1", number, first[number])
		}
		if more[number] < siblings {
			t.Errorf("case %s has %d other instances of its kind, at least %d are needed", number, more[number], siblings)
		}
	}
}
