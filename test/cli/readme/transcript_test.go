package readme

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: Transcripts in README and docs/ are what a host prints
func TestTranscripts(t *testing.T) {
	const text = "# x\n```sh\n$ no\n```\n```console\n$ one\nout\n$ two \\\n> more\n> more\n```\ntext\n```console\n$ three\n> \n```\n"
	got, err := Transcripts(text)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]Step{
		{{Line: 6, Command: "one", Output: []string{"out"}}, {Line: 8, Command: "two \\\nmore\nmore"}},
		{{Line: 14, Command: "three\n"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("transcripts (-want +got):\n%s", diff)
	}
	if _, err := Transcripts("```console\nout\n```"); !errors.Is(err, errNoCommand) {
		t.Errorf("a block without a command: %v", err)
	}
}

// Claim: Transcripts in README and docs/ are what a host prints
func TestMatches(t *testing.T) {
	lines := func(l ...string) []string { return l }
	for _, tt := range []struct {
		want, got []string
		ok        bool
	}{
		{nil, nil, true},
		{nil, lines("a"), false},
		{lines("a"), nil, false},
		{lines("a", "b"), lines("a", "b"), true},
		{lines("a", "b"), lines("a", "c"), false},
		{lines("..."), nil, true},
		{lines("..."), lines("a", "b"), true},
		{lines("a", "...", "d"), lines("a", "b", "c", "d"), true},
		{lines("a", "...", "d"), lines("a", "d", "e"), false},
		{lines("...", "b", "..."), lines("a", "b"), true},
		{lines("time ... ms"), lines("time 0.1 ms"), true},
		{lines("time ... ms"), lines("time 0.1 s"), false},
		{lines("a...b...c"), lines("a1b2c"), true},
		{lines("a...b...c"), lines("a1c"), false},
		{lines("ab...ab"), lines("ab"), false},
	} {
		if got := Matches(tt.want, tt.got); got != tt.ok {
			t.Errorf("Matches(%q, %q) = %v", tt.want, tt.got, got)
		}
	}
}
