package main

import (
	"strings"
	"testing"
)

func TestPrintYAML(t *testing.T) {
	t.Parallel()
	type inner struct {
		A string   `json:"a"`
		B []int    `json:"b"`
		C []string `json:"c"`
	}
	for name, tc := range map[string]struct {
		object any
		want   string
	}{
		"empty list":      {[]int{}, "[]\n"},
		"list of objects": {[]inner{{"x: y", []int{1, 2}, nil}, {"", []int{}, []string{"#"}}}, "- a: \"x: y\"\n  b:\n    - 1\n    - 2\n  c: null\n- a: \"\"\n  b: []\n  c:\n    - \"#\"\n"},
		"nested":          {map[string]any{"k": map[string]any{"l": true}, "m": [][]int{{1}, {2, 3}}}, "k:\n  l: true\nm:\n  - - 1\n  - - 2\n    - 3\n"},
		"control":         {[]string{"a\nb\x1b"}, "- \"a\\nb\\u001b\"\n"},
	} {
		var out strings.Builder
		if err := printYAML(&out, tc.object); err != nil || out.String() != tc.want {
			t.Errorf("%s: %v\ngot:\n%s\nwant:\n%s", name, err, out.String(), tc.want)
		}
	}
}
