package store

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestRecordRoundTrip(t *testing.T) {
	for field, value := range reflect.ValueOf(fullRecord()).Elem().Fields() {
		if value.IsZero() {
			t.Errorf("fullRecord does not set %s", field.Name)
		}
	}
	dirs := newDirs(t)
	written(t, dirs, fullRecord())
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": fullText})
	sameMode(t, filepath.Join(dirs.State, "net/c1@eth0.json"), 0o600)
	sameMode(t, filepath.Join(dirs.State, "net"), os.ModeDir|0o700)
	sameMode(t, dirs.State, os.ModeDir|0o700)

	a := open(t, dirs, keyFor("c1"))
	if a.Broken != nil {
		t.Fatal(a.Broken)
	}
	if diff := cmp.Diff(fullRecord(), a.Record, netips()); diff != "" {
		t.Errorf("record read again (-want +got):\n%s", diff)
	}
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": fullText})
}

// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestDecodeRecord(t *testing.T) {
	for _, tc := range []struct {
		name, text, err string
		newer           bool
	}{
		{"empty", "", "", false},
		{"cut off", fullText[:100], "unreadable record: unexpected end of JSON input", false},
		{"white space", "\n", "unreadable record: unexpected end of JSON input", false},
		{"zeros, as a power failure leaves them", "\x00\x00", `unreadable record: invalid character '\x00' looking for beginning of value`, false},
		{"two records", fullText + fullText, `unreadable record: invalid character '{' after top-level value`, false},
		{"a list", "[]", "unreadable record: json: cannot unmarshal array into Go value of type struct { Version int \"json:\\\"version\\\"\" }", false},
		{"null", "null", "unreadable record: no version", false},
		{"no version", `{"network": "net"}`, "unreadable record: no version", false},
		{"a negative version", `{"version": -1}`, "unreadable record: no version", false},
		{"newer", `{"version": 4}`, "unreadable record: written by a newer patchbay: it has version 4, this one knows versions up to 3", true},
		{"newer, of other types", `{"addresses": "10.1.2.3", "created": 5, "version": 7}`, "unreadable record: written by a newer patchbay: it has version 7, this one knows versions up to 3", true},
		{"no address", `{"version": 1, "addresses": [{"address": "10.1.2.3"}]}`, `unreadable record: netip.ParsePrefix("10.1.2.3"): no '/'`, false},
		{"other types", `{"version": 1, "network": 5}`, "unreadable record: json: cannot unmarshal number into Go struct field Record.network of type string", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := decodeRecord([]byte(tc.text))
			if r != nil {
				t.Errorf("got the record %+v", r)
			}
			if errorText(err) != tc.err {
				t.Errorf("got  %v\nwant %s", err, tc.err)
			}
			if errors.Is(err, ErrUnreadable) != (tc.err != "") || errors.Is(err, ErrNewer) != tc.newer {
				t.Errorf("%v: ErrUnreadable %t, ErrNewer %t", err, errors.Is(err, ErrUnreadable), errors.Is(err, ErrNewer))
			}
		})
	}
}

// The known fields of a newer record are read if it names its attachment; the error is ErrNewer alone.
//
// Claim: Known fields of a newer record are used to remove the attachment, and the rest is found by name, mark and address file; ADD
// refuses it, reload keeps its rules or refuses
func TestDecodeNewerRecord(t *testing.T) {
	text := strings.Replace(fullText, `"version": 3,`, `"version": 4, "ports": [{"host": 80}],`, 1)
	r, err := decodeRecordOf(keyFor("c1"), []byte(text))
	if !errors.Is(err, ErrNewer) || errors.Is(err, ErrUnreadable) || errorText(err) != "written by a newer patchbay: it has version 4, this one knows versions up to 3" {
		t.Errorf("got the error %v", err)
	}
	want, failed := decodeRecord([]byte(fullText))
	if failed != nil {
		t.Fatal(failed)
	}
	want.Version = 4
	if diff := cmp.Diff(want, r, netips()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r, err = decodeRecordOf(keyFor("c2"), []byte(text))
	if r != nil || !errors.Is(err, ErrUnreadable) {
		t.Errorf("as the record of another attachment: got %v, %v", r, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// An unreadable record stays until it is removed or replaced: a newer version may need it.
//
// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestBrokenRecord(t *testing.T) {
	for name, text := range map[string]string{"torn": fullText[:50], "newer": `{"version": 4}`, "of another key": fullText} {
		t.Run(name, func(t *testing.T) {
			dirs, key := newDirs(t), keyFor("c2")
			path := filepath.Join(dirs.State, "net/c2@eth0.json")
			put(t, path, text)
			a := open(t, dirs, key)
			if a.Record != nil || !errors.Is(a.Broken, ErrUnreadable) {
				t.Fatalf("got record %v, broken %v", a.Record, a.Broken)
			}
			if name == "of another key" {
				saysOf(t, a.Broken, " to net/c1/eth0")
			}
			closeIt(t, a)
			sameFiles(t, dirs.State, map[string]string{"net/c2@eth0.json": text})

			a = open(t, dirs, key)
			if err := a.Save(newRecord(key)); err != nil {
				t.Fatal(err)
			}
			if a.Broken != nil || a.Record == nil {
				t.Errorf("after Save: record %v, broken %v", a.Record, a.Broken)
			}
			closeIt(t, a)

			put(t, path, text)
			a = open(t, dirs, key)
			if err := a.Remove(); err != nil {
				t.Fatal(err)
			}
			if a.Broken != nil {
				t.Errorf("after Remove: broken %v", a.Broken)
			}
			closeIt(t, a)
			sameFiles(t, dirs.State, map[string]string{})
		})
	}
}

// An empty record is the lock of a killed process; the next verb removes it.
//
// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestEmptyRecord(t *testing.T) {
	dirs := newDirs(t)
	put(t, filepath.Join(dirs.State, "net/c1@eth0.json"), "")
	put(t, filepath.Join(dirs.State, "net/c1@eth0.json.tmp"), `{"vers`)
	a := open(t, dirs, keyFor("c1"))
	if a.Record != nil || a.Broken != nil {
		t.Errorf("got record %v, broken %v", a.Record, a.Broken)
	}
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{})
}

// Claim: A forged record makes DEL and reload change no interface, port or element of another attachment
func TestList(t *testing.T) {
	// A glob pattern would interpret [ and *.
	state := filepath.Join(t.TempDir(), "a[b*")
	got, err := List(state)
	if got != nil || err != nil {
		t.Errorf("no directory: got %v, %v", got, err)
	}
	at := func(name string) string { return filepath.Join(state, name) }
	put(t, at("net/c1@eth0.json"), fullText)
	put(t, at("net/c1@a@b.json"), strings.NewReplacer(`"eth0"`, `"a@b"`, "net/c1/eth0", "net/c1/a@b").Replace(fullText))
	put(t, at("net/c9@eth0.json"), strings.NewReplacer(`"c1"`, `"c9"`).Replace(fullText))
	put(t, at("net/c2@eth0.json"), `{"vers`)
	put(t, at("net/c3@eth0.json"), `{"version": 4}`)
	put(t, at("net/c4@eth0.json"), "")           // a lock
	put(t, at("net/c5@eth0.json.tmp"), fullText) // an interrupted replacement
	put(t, at("net/notes.txt"), "")
	put(t, at("a/.hidden@eth0.json"), strings.NewReplacer(`"net"`, `"a"`, `"c1"`, `".hidden"`, "net/c1/", "a/.hidden/").Replace(fullText))
	put(t, at("ipam/net/10.1.2.3"), "c1\r\neth0")
	put(t, at("stray@eth0.json"), fullText)
	mkdir(t, at("net/dir@eth0.json"))
	symlink(t, "nowhere", at("net/link@eth0.json"))
	type short struct {
		Path, Key, Record, Err string
	}
	var list []short
	entries, err := List(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		s := short{Path: e.Path, Key: e.Key.String(), Err: errorText(e.Err)}
		if e.Record != nil {
			s.Record = e.Record.Key().String()
		}
		list = append(list, s)
	}
	want := []short{
		{at("a/.hidden@eth0.json"), "a/.hidden/eth0", "a/.hidden/eth0", ""},
		{at("net/c1@a@b.json"), "net/c1/a@b", "net/c1/a@b", ""},
		{at("net/c1@eth0.json"), "net/c1/eth0", "net/c1/eth0", ""},
		{at("net/c2@eth0.json"), "net/c2/eth0", "", "unreadable record: unexpected end of JSON input"},
		{at("net/c3@eth0.json"), "net/c3/eth0", "", "unreadable record: written by a newer patchbay: it has version 4, this one knows versions up to 3"},
		{at("net/c9@eth0.json"), "net/c9/eth0", "", `unreadable record: alias "patchbay:0 net/c1/eth0" belongs to another attachment`},
		{at("net/dir@eth0.json"), "net/dir/eth0", "", at("net/dir@eth0.json") + notOurs + "a directory"},
		{at("net/link@eth0.json"), "net/link/eth0", "", at("net/link@eth0.json") + notOurs + "a symbolic link"},
	}
	if diff := cmp.Diff(want, list, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

func TestListRefuses(t *testing.T) {
	state := filepath.Join(t.TempDir(), "file")
	put(t, state, "")
	_, err := List(state)
	saysOf(t, err, "not a directory")
}

func TestBootID(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if got := BootID(); got+"\n" != string(want) || got == "" {
		t.Errorf("got %q, want %q without its newline", got, want)
	}
}

func TestParseKey(t *testing.T) {
	key := Key{"net", "c1", "eth0"}
	for text, want := range map[string]struct {
		key   Key
		owner string
		whole bool
	}{
		key.String():          {key, OwnerCNI, true},
		"lxc:" + key.String(): {key, OwnerLXC, true},
		"net/c1":              {Key{"net", "c1", ""}, OwnerCNI, false},
		"cli:ne":              {Key{"ne", "", ""}, OwnerCLI, false},
		"":                    {Key{}, OwnerCNI, false},
	} {
		if got, owner, whole := ParseKey(text); got != want.key || owner != want.owner || whole != want.whole {
			t.Errorf("%q: %v, %q, %t", text, got, owner, whole)
		}
	}
}
