package conformance

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChecks: IDs are unique and of one form, every check has a sentence and a source, and needs what a profile can have.
func TestChecks(t *testing.T) {
	all := Checks()
	seen := map[string]bool{}
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	full := fullProfile()
	for _, c := range all {
		if seen[c.ID] || !form.MatchString(c.ID) || c.Text == "" || c.Source == "" || c.Category == "" || c.run == nil {
			t.Errorf("check %+v is not complete, or its ID not unique", c)
		}
		if !slices.Contains(Levels(), c.Level) || c.Since != "" && !slices.Contains(Versions(), c.Since) {
			t.Errorf("check %s: level %q, since %q", c.ID, c.Level, c.Since)
		}
		for _, need := range c.Needs {
			if !full.has(need) {
				t.Errorf("check %s needs %q, which no profile has", c.ID, need)
			}
		}
		seen[c.ID] = true
	}
	if len(all) < 200 {
		t.Errorf("%d checks", len(all))
	}
}

// fullProfile has everything that a profile can have.
func fullProfile() *Profile {
	p := &Profile{
		Network: conf{"ipam": conf{}}, Variants: map[string]conf{}, Bridge: "br0", HostInterface: true, Gateway: true, Peers: true,
		Directories: []string{"/run/x"}, Supports: []string{"ips", "mac", "portMappings", "bandwidth", "ipRanges", "IP", "MAC", "args.ips"},
	}
	for _, v := range variants() {
		p.Variants[v] = conf{}
	}
	return p
}

// outcomes are one of each verdict.
func outcomes() []Outcome {
	return []Outcome{
		{Check: Check{ID: "a", Category: "x", Level: Must, Text: "does a"}, Verdict: Pass},
		{Check: Check{ID: "b", Category: "x", Level: Must, Text: "does b"}, Verdict: Fail, Reason: "b fails", Log: []string{"<log> of b"}},
		{Check: Check{ID: "c", Category: "y", Level: Should, Text: "does c"}, Verdict: NotApplicable, Reason: "no c"},
		{Check: Check{ID: "d", Category: "y", Level: Should, Text: "does d"}, Verdict: Fail, Reason: "d fails"},
		{Check: Check{ID: "e", Category: "y", Level: Should, Text: "does e"}, Verdict: Fail, Reason: "e fails"},
	}
}

func TestReport(t *testing.T) {
	r := NewReport(Options{Plugin: "/p", Profile: &Profile{Name: "x", Known: map[string]string{"d": "https://example.org/1"}}}, outcomes())
	for level, want := range map[Level][]string{Must: {"b"}, Should: {"b", "e"}, Practice: {"b", "e"}} {
		if diff := cmp.Diff(want, r.Failed(level)); diff != "" {
			t.Errorf("failed at %s:\n%s", level, diff)
		}
	}
	dir := t.TempDir()
	var back Report
	decode(t, r, filepath.Join(dir, "r.json"), func(text []byte) error { return json.Unmarshal(text, &back) })
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("the report in JSON differs:\n%s", diff)
	}
	var s suite
	decode(t, r, filepath.Join(dir, "r.xml"), func(text []byte) error { return xml.Unmarshal(text, &s) })
	if s.Tests != 5 || s.Failures != 3 || s.Skipped != 1 || s.Cases[1].Failure == nil || !strings.Contains(s.Cases[1].Failure.Text, "<log> of b") {
		t.Errorf("the report in JUnit's form: %+v", s)
	}
	var b bytes.Buffer
	r.WriteText(&b, false)
	for _, want := range []string{"b fails", "known: https://example.org/1", "MUST        1 pass    1 fail    0 not applicable"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "does a") {
		t.Errorf("the text has a check that passed:\n%s", b.String())
	}
}

func decode(t *testing.T, r Report, path string, unmarshal func([]byte) error) {
	t.Helper()
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unmarshal(text); err != nil {
		t.Fatal(err)
	}
}

// TestMerge: a variant changes the network as RFC 7396 says.
func TestMerge(t *testing.T) {
	base := conf{"a": conf{"b": 1, "c": 2}, "d": []int{1}, "e": 1}
	got := merge(base, conf{"a": map[string]any{"b": 3, "c": nil}, "d": []int{2}, "e": nil, "f": conf{"g": 1}})
	if diff := cmp.Diff(conf{"a": conf{"b": 3}, "d": []int{2}, "f": conf{"g": 1}}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(conf{"a": conf{"b": 1, "c": 2}, "d": []int{1}, "e": 1}, base); diff != "" {
		t.Errorf("merge changes its argument:\n%s", diff)
	}
}

// TestOneLine: the reason of an outcome is the same in each run.
func TestOneLine(t *testing.T) {
	got := oneLine("interface veth1a2b3c4d of c-0123456789abcdef0123456789abcdef has 02:00:00:00:00:01\nmore")
	if want := "interface veth... of c has MAC"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
