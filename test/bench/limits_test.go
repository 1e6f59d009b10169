package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLimits(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]limit
		err        string
	}{
		{"empty", "# nothing\n\n", map[string]limit{}, ""},
		{"both kinds", "a min 3 # why\nb  max 1.5\n", map[string]limit{"a": {true, 3}, "b": {false, 1.5}}, ""},
		{"unknown keyword", "a least 3\n", nil, `limits, line 1: "a least 3" is not of the form: metric min|max value`},
		{"no value", "# head\na min\n", nil, `limits, line 2: "a min" is not of the form: metric min|max value`},
		{"no number", "a min much\n", nil, `limits, line 1: a: strconv.ParseFloat: parsing "much": invalid syntax`},
		{"twice", "a min 1\na max 2\n", nil, "limits, line 2: a has a limit already"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseLimits(tt.text)
			if diff := cmp.Diff(tt.err, text(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(limit{})); diff != "" {
				t.Errorf("parseLimits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckLimits(t *testing.T) {
	found := []metric{{"a", "A of one", 2.5}, {"b", "B of one", 2.5}, {"c", "C of one", 2.5}}
	limits := map[string]limit{"a": {true, 3}, "b": {false, 2.5}}
	var out strings.Builder
	err := checkLimits(&out, found, limits)
	want := "\nA of one: 2.50 (limit: at least 3)\nB of one: 2.50 (limit: at most 2.5)\nC of one: 2.50\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("limit broken: a is 2.50, limit: at least 3", text(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if err := checkLimits(&out, found, map[string]limit{"d": {true, 1}}); text(err) != "limit of d: no such metric" {
		t.Errorf("a limit without a metric: %v", err)
	}
}

// TestLimitsFile: the file limits can be parsed and has the documented limits.
func TestLimitsFile(t *testing.T) {
	limits, err := parseLimits(limitsFile)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]limit{
		"add_reference_over_ours":     {true, 3},
		"masq_iptables_add_over_ours": {true, 8},
		"masq_nftables_add_over_ours": {true, 8},
		"names_up_loop_over_one":      {atLeast: true, value: 3}, "names_down_loop_over_one": {atLeast: true, value: 8},
		"masq_dual_iptables_add_over_ours": {true, 8},
		"masq_dual_nftables_add_over_ours": {true, 8},
		"ports_iptables_add_over_ours":     {true, 15},
		"ports_iptables_del_over_ours":     {true, 4},
		"ports_nftables_add_over_ours":     {true, 15},
		"ports_nftables_del_over_ours":     {true, 4},
		"ports_crowd_add_growth":           {false, 1.2},
		"ports_last_over_first":            {true, 0.9},
		"crowded_add_growth_over_minimum":  {false, 1.2},
		"crowded_del_growth_over_minimum":  {false, 1.2},
		"chain_add_over_ours":              {true, 15},
		"chain_del_over_ours":              {true, 12},
		"chain_together_add_over_ours":     {true, 20},
		"chain_together_del_over_ours":     {true, 15},
		"chain_add_over_dropin":            {true, 5},
		"add_ours_over_minimum":            {false, 1.5},
		"status_over_version":              {false, 3},
		"status_full_over_version":         {false, 10},
	}
	if diff := cmp.Diff(want, limits, cmp.AllowUnexported(limit{})); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
