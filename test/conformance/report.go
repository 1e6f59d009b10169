package conformance

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
)

// Report is the form of a report in JSON.
type Report struct {
	Plugin  string          `json:"plugin"`
	Profile string          `json:"profile"`
	Summary map[Level]tally `json:"summary"`
	Checks  []reportedCheck `json:"checks"`
}

type tally struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	NotApplicable int `json:"notApplicable"`
}

type reportedCheck struct {
	ID       string   `json:"id"`
	Category string   `json:"category"`
	Level    Level    `json:"level"`
	Source   string   `json:"source"`
	Since    string   `json:"since,omitempty"`
	Text     string   `json:"text"`
	Verdict  Verdict  `json:"verdict"`
	Reason   string   `json:"reason,omitempty"`
	Known    string   `json:"known,omitempty"`
	Log      []string `json:"log,omitempty"`
	Seconds  float64  `json:"seconds"`
}

// NewReport makes a report of outcomes.
func NewReport(o Options, outcomes []Outcome) Report {
	r := Report{Plugin: o.Plugin, Profile: o.Profile.Name, Summary: map[Level]tally{}}
	for _, level := range Levels() {
		n := Count(outcomes, level)
		r.Summary[level] = tally{n[Pass], n[Fail], n[NotApplicable]}
	}
	for _, out := range outcomes {
		c := out.Check
		r.Checks = append(r.Checks, reportedCheck{
			ID: c.ID, Category: c.Category, Level: c.Level, Source: c.Source, Since: c.Since, Text: c.Text, Verdict: out.Verdict,
			Reason: out.Reason, Known: o.Profile.Known[c.ID], Log: out.Log, Seconds: out.Seconds,
		})
	}
	return r
}

// WriteFile writes a report: JUnit if the name ends in .xml, otherwise JSON.
func (r Report) WriteFile(path string) error {
	var out []byte
	var err error
	if strings.HasSuffix(path, ".xml") {
		out, err = xml.MarshalIndent(r.junit(), "", "  ")
	} else {
		out, err = json.MarshalIndent(r, "", "  ")
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o644)
}

// suite, testCase and the others are the elements of a JUnit report.
type suite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Seconds string   `xml:"time,attr"`
	Failure *because `xml:"failure"`
	Skipped *because `xml:"skipped"`
}

type because struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (r Report) junit() suite {
	s := suite{Name: "cni-conformance " + r.Profile, Tests: len(r.Checks)}
	for _, c := range r.Checks {
		one := testCase{Name: c.ID, Class: string(c.Level) + "." + c.Category, Seconds: fmt.Sprintf("%.3f", c.Seconds)}
		why := &because{Message: c.Reason, Text: c.Text + "\n" + strings.Join(c.Log, "\n")}
		switch c.Verdict {
		case Fail:
			one.Failure = why
			s.Failures++
		case NotApplicable:
			one.Skipped = why
			s.Skipped++
		}
		s.Cases = append(s.Cases, one)
	}
	return s
}

// WriteText writes a line for each check that did not pass, for every one if verbose, and the counts.
func (r Report) WriteText(w io.Writer, verbose bool) {
	for _, c := range r.Checks {
		if c.Verdict != Pass || verbose {
			fmt.Fprintf(w, "%-14s  %-8s  %-30s  %s\n", c.Verdict, c.Level, c.ID, c.Text)
		}
		if c.Reason != "" {
			fmt.Fprintf(w, "%26s  %s\n", "", c.Reason)
		}
		if c.Known != "" && c.Verdict == Fail {
			fmt.Fprintf(w, "%26s  known: %s\n", "", c.Known)
		}
	}
	for _, level := range Levels() {
		n := r.Summary[level]
		fmt.Fprintf(w, "%-8s  %3d pass  %3d fail  %3d not applicable\n", level, n.Pass, n.Fail, n.NotApplicable)
	}
}

// Failed returns the IDs of the failed checks of a level that binds at least as much, without those that the profile knows.
func (r Report) Failed(least Level) []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Verdict == Fail && c.Known == "" && binds(c.Level) <= binds(least) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// binds is the place of a level in Levels.
func binds(l Level) int {
	for i, level := range Levels() {
		if level == l {
			return i
		}
	}
	return len(Levels())
}
