package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const module = "github.com/patchbay-cni/patchbay/"

// event is one step of one test, as `go test -json` prints it.
type event struct {
	Action  string
	Package string
	Test    string
}

// outcomes holds the last action of each test: pass, fail, skip, or run for one that did not end.
type outcomes map[ident]string

// kind is what a finding means for the run.
type kind string

const (
	failed  kind = "error"
	warning kind = "warning"
	left    kind = "not in this run"
)

// finding is one test that does not keep its claim.
type finding struct {
	claim claim
	test  place
	what  string
	kind  kind
}

// readEvents adds the outcomes of one file of events. An error names the file.
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

// decodeEvents adds the outcomes of a stream of events. A failure stays: a test that failed in one file and passed in another has failed.
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
			id := ident{strings.TrimPrefix(e.Package, module), e.Test}
			if e.Test != "" && got[id] != "fail" {
				got[id] = e.Action
			}
		}
	}
}

// check compares each claim with the outcomes of its tests, their subtests included.
func check(claims []claim, got outcomes, o options) []finding {
	ran := map[string]bool{}
	for id := range got {
		ran[id.dir] = true
	}
	var found []finding
	for _, c := range claims {
		for _, test := range c.tests {
			what := problem(test.ident, got)
			f := finding{claim: c, test: test, what: what, kind: failed}
			sampled := slices.ContainsFunc(o.sampled, func(pattern string) bool { return matches(pattern, test.dir) })
			switch {
			case sampled && (what == "" || what == didNotRun), what == didNotRun && !ran[test.dir] && !o.all:
				f.kind = left // passed in part, or not in this run
			case what == "":
				continue
			case strings.HasPrefix(what, "was skipped") && !o.ci:
				f.kind = warning
			}
			found = append(found, f)
		}
	}
	return found
}

// matches reports whether a pattern of -sampled, a directory or a directory with /..., names this directory.
func matches(pattern, dir string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return dir == root || tree && strings.HasPrefix(dir, root+"/")
}

const didNotRun = "did not run"

// problem returns "" for a test that passed with all its subtests, else the most severe problem.
func problem(test ident, got outcomes) string {
	ran, skipped := false, ""
	for id, action := range got {
		if id.dir != test.dir || id.name != test.name && !strings.HasPrefix(id.name, test.name+"/") {
			continue
		}
		ran = ran || id.name == test.name
		switch action {
		case "fail":
			return "failed"
		case "run":
			return "did not end"
		case "skip":
			if skipped == "" || id.name < skipped {
				skipped = id.name
			}
		}
	}
	switch {
	case !ran:
		return didNotRun
	case skipped == test.name:
		return "was skipped"
	case skipped != "":
		return "was skipped in part (" + strings.TrimPrefix(skipped, test.name+"/") + ")"
	default:
		return ""
	}
}
