package jsonwriter_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

type object struct {
	Name  string         `json:"name"`
	Label string         `json:"label,omitempty"`
	Count uint64         `json:"count,omitempty"`
	Index int            `json:"index,omitempty"`
	On    bool           `json:"on,omitempty"`
	Set   *bool          `json:"set,omitempty"`
	Addr  netip.Addr     `json:"addr,omitzero"`
	List  []netip.Prefix `json:"list"`
	Inner []object       `json:"inner,omitempty"`
}

func (o object) write(w *jsonwriter.Writer) {
	w.Member("name", func() { w.String(o.Name) })
	w.StringIfSet("label", o.Label)
	w.UintIfSet("count", o.Count)
	w.IntIfSet("index", o.Index)
	w.BoolIfSet("on", o.On)
	w.BoolIfNotNil("set", o.Set)
	w.AddrIfSet("addr", o.Addr)
	jsonwriter.List(w, "list", o.List, w.Prefix)
	if len(o.Inner) > 0 {
		jsonwriter.List(w, "inner", o.Inner, func(i object) { w.Object(func() { i.write(w) }) })
	}
}

// TestWriter compares the text of objects with that of encoding/json.
func TestWriter(t *testing.T) {
	no := false
	for name, o := range map[string]object{
		"zero values":  {},
		"every member": {Name: "a", Label: "b", Count: 1 << 63, Index: -1, On: true, Set: &no, Addr: netip.MustParseAddr("fd00::1"), List: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}},
		"empty list":   {List: []netip.Prefix{}},
		"escapes":      {Name: "\"\\\n\x00<>&é\u2028\xff"},
		"nested":       {Inner: []object{{Name: "x", Inner: []object{{Name: "y"}}}, {Name: "z"}}},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.MarshalIndent(o, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			w := jsonwriter.New("\t")
			w.Object(func() { o.write(w) })
			if diff := cmp.Diff(string(want), string(w.Text())); diff != "" {
				t.Errorf("text (-encoding/json +ours):\n%s", diff)
			}
		})
	}
}
