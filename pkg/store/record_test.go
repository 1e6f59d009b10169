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

// fullText is fullRecord on disk: the form that other versions of the program must read.
const fullText = `{
  "version": 2,
  "network": "net",
  "containerID": "c1",
  "ifname": "eth0",
  "owner": "cni",
  "role": "port",
  "created": "2026-11-24T04:05:06.000000007Z",
  "bootID": "boot",
  "hostCookie": 1,
  "netns": "/run/netns/a",
  "netnsCookie": 9223372036854775808,
  "netnsMade": true,
  "bridge": "br0",
  "bridgeMAC": "02:00:00:00:00:09",
  "hostLink": "veth0",
  "hostIndex": 7,
  "alias": "patchbay:0 net/c1/eth0",
  "mac": "02:00:00:00:00:01",
  "addresses": [
    {
      "address": "10.1.2.3/24",
      "gateway": "10.1.2.1"
    },
    {
      "address": "2001:db8::3/128"
    }
  ],
  "hostRoutes": [
    "2001:db8::3"
  ],
  "routes": [
    {
      "dst": "0.0.0.0/0",
      "gw": "10.1.2.1",
      "priority": 100,
      "table": 7
    },
    {
      "dst": "::/0"
    }
  ],
  "dataDir": "/data",
  "ipamType": "dhcp",
  "ipam": "done",
  "masquerade": {
    "addresses": [
      "10.1.2.3/24"
    ],
    "exclude": [
      "10.0.0.0/8"
    ],
    "randomFully": true
  },
  "publish": {
    "ports": [
      {
        "protocol": "tcp",
        "hostIP": "192.0.2.1",
        "hostPort": 8080,
        "count": 2,
        "container": "10.1.2.3",
        "containerPort": 80
      }
    ],
    "plain": true,
    "all": true,
    "markBit": 20,
    "localhost": true
  },
  "policy": "isolated",
  "hairpin": true,
  "gateway": true,
  "pod": {
    "namespace": "default",
    "name": "web",
    "uid": "u"
  }
}
`

func TestRecordRoundTrip(t *testing.T) {
	for field, value := range reflect.ValueOf(fullRecord()).Elem().Fields() {
		if value.IsZero() {
			t.Errorf("the test's record leaves %s out", field.Name)
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
		{"null", "null", "unreadable record: it has no version", false},
		{"no version", `{"network": "net"}`, "unreadable record: it has no version", false},
		{"a negative version", `{"version": -1}`, "unreadable record: it has no version", false},
		{"newer", `{"version": 3}`, "unreadable record: written by a newer patchbay: it has version 3, this one knows versions up to 2", true},
		{"newer, and of other shapes", `{"addresses": "10.1.2.3", "created": 5, "version": 7}`, "unreadable record: written by a newer patchbay: it has version 7, this one knows versions up to 2", true},
		{"no address", `{"version": 1, "addresses": [{"address": "10.1.2.3"}]}`, `unreadable record: netip.ParsePrefix("10.1.2.3"): no '/'`, false},
		{"other shapes", `{"version": 1, "network": 5}`, "unreadable record: json: cannot unmarshal number into Go struct field Record.network of type string", false},
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

// A record of a newer form that says what it is of is read as far as it is known; only ErrNewer is said of it.
func TestDecodeNewerRecord(t *testing.T) {
	text := strings.Replace(fullText, `"version": 2,`, `"version": 3, "ports": [{"host": 80}],`, 1)
	r, err := decodeRecordOf(keyFor("c1"), []byte(text))
	if !errors.Is(err, ErrNewer) || errors.Is(err, ErrUnreadable) || errorText(err) != "written by a newer patchbay: it has version 3, this one knows versions up to 2" {
		t.Errorf("got the error %v", err)
	}
	want, failed := decodeRecord([]byte(fullText))
	if failed != nil {
		t.Fatal(failed)
	}
	want.Version = 3
	if diff := cmp.Diff(want, r, netips()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r, err = decodeRecordOf(keyFor("c2"), []byte(text))
	if r != nil || !errors.Is(err, ErrUnreadable) {
		t.Errorf("in the place of another's: got %v, %v", r, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// An unreadable record stays where it is until it is forgotten or replaced: it may be what a
// newer version needs.
func TestBrokenRecord(t *testing.T) {
	for name, text := range map[string]string{"torn": fullText[:50], "newer": `{"version": 3}`, "of another key": fullText} {
		t.Run(name, func(t *testing.T) {
			dirs, key := newDirs(t), keyFor("c2")
			path := filepath.Join(dirs.State, "net/c2@eth0.json")
			put(t, path, text)
			a := open(t, dirs, key)
			if a.Record != nil || !errors.Is(a.Broken, ErrUnreadable) {
				t.Fatalf("got record %v, broken %v", a.Record, a.Broken)
			}
			if name == "of another key" {
				saysOf(t, a.Broken, " of net/c1/eth0")
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
			if err := a.Forget(); err != nil {
				t.Fatal(err)
			}
			if a.Broken != nil {
				t.Errorf("after Forget: broken %v", a.Broken)
			}
			closeIt(t, a)
			sameFiles(t, dirs.State, map[string]string{})
		})
	}
}

// A record that says nothing is a lock of somebody who is dead: it goes with the next verb.
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

func TestList(t *testing.T) {
	// [ and * would be a pattern's.
	state := filepath.Join(t.TempDir(), "a[b*")
	got, err := List(state)
	if got != nil || err != nil {
		t.Errorf("no directory: got %v, %v", got, err)
	}
	at := func(name string) string { return filepath.Join(state, name) }
	put(t, at("net/c1@eth0.json"), fullText)
	put(t, at("net/c1@a@b.json"), strings.Replace(fullText, `"eth0"`, `"a@b"`, 1))
	put(t, at("net/c2@eth0.json"), `{"vers`)
	put(t, at("net/c3@eth0.json"), `{"version": 3}`)
	put(t, at("net/c4@eth0.json"), "")           // a lock
	put(t, at("net/c5@eth0.json.tmp"), fullText) // half a replacement
	put(t, at("net/notes.txt"), "")
	put(t, at("a/.hidden@eth0.json"), strings.NewReplacer(`"net"`, `"a"`, `"c1"`, `".hidden"`).Replace(fullText))
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
		{at("net/c3@eth0.json"), "net/c3/eth0", "", "unreadable record: written by a newer patchbay: it has version 3, this one knows versions up to 2"},
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
