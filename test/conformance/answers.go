package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// failure is the error object of a plugin.
type failure struct {
	CNIVersion *string `json:"cniVersion"`
	Code       *uint   `json:"code"`
	Msg        *string `json:"msg"`
	Details    string  `json:"details"`
}

// succeeds ends the check unless the call succeeded.
func (t *trial) succeeds(a nettest.Answer, what string) {
	if a.Exit != 0 {
		t.Fatalf("%s fails: %s", what, message(a))
	}
}

// refuses ends the check unless the call failed by itself: not by a signal, and not by a crash of Go's runtime.
func (t *trial) refuses(a nettest.Answer, what string) {
	switch {
	case a.Exit == 0:
		t.Fatalf("%s succeeds", what)
	case a.Exit < 0:
		t.Fatalf("%s ends by a signal", what)
	case bytes.Contains(a.Stderr, []byte("panic: ")) || bytes.Contains(a.Stderr, []byte("fatal error: ")):
		t.Fatalf("%s crashes", what)
	}
}

// coded ends the check unless the call failed with one of the codes.
func (t *trial) coded(a nettest.Answer, what string, codes ...uint) {
	t.refuses(a, what)
	if f := t.failure(a, what); !slices.Contains(codes, *f.Code) {
		t.Fatalf("%s: code %d instead of %s", what, *f.Code, list(codes))
	}
}

func list(codes []uint) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(codes), " ", " or "), "[]")
}

// failure decodes the error object; stdout must be one.
func (t *trial) failure(a nettest.Answer, what string) failure {
	var f failure
	if err := single(a.Stdout, &f, false); err != nil {
		t.Fatalf("%s: stdout is not an error object: %v", what, err)
	}
	if f.Code == nil || f.Msg == nil || *f.Msg == "" {
		t.Fatalf("%s: the error object has no code or msg", what)
	}
	return f
}

// silent ends the check unless the call succeeded and printed nothing on stdout.
func (t *trial) silent(a nettest.Answer, what string) {
	t.succeeds(a, what)
	if out := bytes.TrimSpace(a.Stdout); len(out) > 0 {
		t.Fatalf("%s prints on stdout: %.60s", what, out)
	}
}

// single decodes stdout, which must be one JSON value and nothing else.
func single(stdout []byte, into any, strict bool) error {
	dec := json.NewDecoder(bytes.NewReader(stdout))
	if strict {
		dec.DisallowUnknownFields()
	}
	if len(bytes.TrimSpace(stdout)) == 0 {
		return fmt.Errorf("nothing is printed")
	}
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("more than one JSON value is printed")
	}
	return nil
}

// message is what a failed call says, for people.
func message(a nettest.Answer) string {
	var f failure
	if json.Unmarshal(a.Stdout, &f) == nil && f.Msg != nil {
		return strings.Join(strings.Fields(*f.Msg), " ")
	}
	if a.Exit < 0 {
		return "ended by a signal"
	}
	return "exit status without an error object"
}

// versionAnswer calls VERSION with a cniVersion.
func (t *trial) versionAnswer(version string) versions {
	a := t.do(t.call("VERSION", nil, conf{"cniVersion": version}))
	t.succeeds(a, "VERSION")
	var v versions
	if err := single(a.Stdout, &v, true); err != nil {
		t.Fatalf("VERSION: %v", err)
	}
	return v
}

// versions is the result of VERSION.
type versions struct {
	CNIVersion        string   `json:"cniVersion"`
	SupportedVersions []string `json:"supportedVersions"`
}
