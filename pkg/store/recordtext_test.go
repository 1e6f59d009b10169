package store

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fill sets every field below a value to a non-zero value; lists get two elements.
func fill(t *testing.T, v reflect.Value, text string) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 29, 9, 30, 0, 123456000, time.UTC)))
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("2001:db8::1")))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("192.0.2.1/24")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), text)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), text)
		fill(t, v.Index(1), text)
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(-7)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 << 15)
	default:
		t.Fatalf("a record has a field of kind %s now: add it to fill and recordtext.go", v.Kind())
	}
}

func sameText(t *testing.T, what string, r *Record) {
	t.Helper()
	want, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.text()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-encoding/json +text):\n%s", what, diff)
	}
}

// TestRecordText: text and encoding/json write the same; a field that text omits is found.
func TestRecordText(t *testing.T) {
	sameText(t, "the zero record", &Record{})
	for _, text := range []string{"plain", "", "\"\\\n\x00<&>\u2028\x7fü\xff"} {
		r := &Record{}
		fill(t, reflect.ValueOf(r).Elem(), text)
		sameText(t, "every field, strings "+text, r)
	}
	for i := range reflect.TypeFor[Record]().NumField() {
		r := &Record{}
		fill(t, reflect.ValueOf(r).Elem().Field(i), "one")
		sameText(t, "only "+reflect.TypeFor[Record]().Field(i).Name, r)
	}
	sameText(t, "empty lists", &Record{Addresses: []Address{}, Planned: []Route{}, Masquerade: &Masquerade{Addresses: []netip.Prefix{}}, Publish: &Publish{Ports: []Port{}}})
	sameText(t, "nil lists, empty objects", &Record{Masquerade: &Masquerade{}, Publish: &Publish{}, SpoofCheck: &SpoofCheck{}, Pod: &Pod{}, Routes: []Route{{}}, Addresses: []Address{{}}})
}
