package lan

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadStatus: a status is read as it was written; another version, whatever its fields have, is refused.
func TestReadStatus(t *testing.T) {
	t.Parallel()
	want := NewRunner(Options{Network: "lan", Self: Owner{Node: "a"}}).Status()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadStatus(text)
	if diff := cmp.Diff(want, got); err != nil || diff != "" || got.Format != StatusFormat {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, other := range []string{`"format":0`, `"format":2,"free":"many"`} {
		if s, err := ReadStatus([]byte(strings.Replace(string(text), `"format":1`, other, 1))); !errors.Is(err, ErrStatusFormat) || s.Network != "" {
			t.Errorf("%s: %+v, %v", other, s, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"format": 1, "blocks": 7}`} {
		if _, err := ReadStatus([]byte(bad)); err == nil {
			t.Errorf("%q is a status", bad)
		}
	}
	for i, name := range Phases() {
		if phase(i).String() != name {
			t.Errorf("phase %d is %s, not %s", i, phase(i), name)
		}
	}
	if all := Phases(); len(all) != int(quarantine)+1 || slices.Contains(all, "") {
		t.Errorf("phases %q", all)
	}
}
