package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is what `go test -json` says of one step of one test.
type event struct {
	Action  string
	Package string
	Test    string
}

// ident is one test of one package.
type ident struct{ pkg, test string }

// outcomes holds the last word on each test: pass, fail, skip, or run for one that never ended.
type outcomes map[ident]string

// finding is one test that does not keep its claim.
type finding struct {
	claim claim
	test  string
	what  string
	fatal bool
}

// readEvents adds the outcomes of one file of events. The error names the file: one that is not there, or holds something else.
func readEvents(got outcomes, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := decodeEvents(got, file); err != nil {
		return fmt.Errorf("read test events %s: %w", path, err)
	}
	return nil
}

func decodeEvents(got outcomes, r io.Reader) error {
	for dec := json.NewDecoder(r); ; {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch e.Action {
		case "run", "pass", "fail", "skip":
			if e.Test != "" {
				got[ident{e.Package, e.Test}] = e.Action
			}
		}
	}
}

// judge looks for each named test in every package that has one of that name, its subtests included:
// a promise is not kept by a test of which a part was left out. With strict, a skip is as bad as a failure.
func judge(claims []claim, got outcomes, strict bool) []finding {
	var found []finding
	for _, c := range claims {
		for _, test := range c.tests {
			what := verdict(test, got)
			if what == "" {
				continue
			}
			skipped := strings.HasPrefix(what, "was skipped")
			found = append(found, finding{claim: c, test: test, what: what, fatal: strict || !skipped})
		}
	}
	return found
}

// verdict is "" for a test that passed whole, else the worst that can be said of it.
func verdict(test string, got outcomes) string {
	ran, skipped := false, ""
	for id, action := range got {
		if id.test != test && !strings.HasPrefix(id.test, test+"/") {
			continue
		}
		ran = ran || id.test == test
		switch action {
		case "fail":
			return "failed in " + id.pkg
		case "run":
			return "did not end in " + id.pkg
		case "skip":
			if skipped == "" || id.test < skipped {
				skipped = id.test
			}
		}
	}
	switch {
	case !ran:
		return "did not run: no package has a test of this name"
	case skipped == test:
		return "was skipped"
	case skipped != "":
		return "was skipped in part (" + strings.TrimPrefix(skipped, test+"/") + ")"
	default:
		return ""
	}
}
