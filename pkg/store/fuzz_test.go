package store

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/utils"
	"github.com/google/go-cmp/cmp"
)

// For any content of a record file: no panic; nothing, a record of a known version, or
// an error that wraps ErrUnreadable; and a record that was read can be written without loss.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzDecodeRecord(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", fullText, fullText[:300], `{"version": 2, "addresses": 5}`, `{"version": 1, "version": 2}`,
		`{"Version": 1, "addresses": [null, {"address": ""}, {"address": "::ffff:10.1.2.3/120", "gateway": "fe80::1%eth0"}]}`,
		`{"version": 1, "created": "2026-11-24T04:05:06+23:59", "pod": {}, "hostRoutes": [], "routes": [{"dst": "10.1.2.3/8", "table": -1}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			newer := errors.Is(err, ErrNewer) && !errors.Is(err, ErrUnreadable)
			if (r != nil) != newer || !newer && !errors.Is(err, ErrUnreadable) || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("got %+v and the error %q", r, err)
			}
			return
		}
		if r == nil {
			if len(data) > 0 {
				t.Errorf("%q: neither a record nor an error", data)
			}
			return
		}
		if r.Version < 1 || r.Version > RecordVersion() {
			t.Errorf("accepted a record of version %d", r.Version)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("write the record again: %v", err)
		}
		same, err := decodeRecord(again)
		if err != nil {
			t.Fatalf("read the written record: %v", err)
		}
		if diff := cmp.Diff(forget(r), forget(same), netips()); diff != "" {
			t.Errorf("written and read again (-before +after):\n%s", diff)
		}
	})
}

// forget makes lists of nothing the same as none: they are left out when a record is written.
func forget(r *Record) *Record {
	if len(r.Addresses) == 0 {
		r.Addresses = nil
	}
	if len(r.HostRoutes) == 0 {
		r.HostRoutes = nil
	}
	if len(r.Routes) == 0 {
		r.Routes = nil
	}
	return r
}

// hostLocals repeats host-local's rule for the addresses of an attachment: those with its
// container ID and interface name, else those with its container ID alone.
func hostLocals(text string, key Key, alone bool) bool {
	if alone {
		return strings.TrimSpace(text) == key.ContainerID
	}
	return strings.TrimSpace(text) == strings.TrimSpace(key.ContainerID)+"\r\n"+key.IfName
}

// For any content of two address files: DEL without a record releases what host-local's DEL
// would (plus files with LF, and empty files if they are named), nothing else; and an address
// that is not released is taken, unless its file is empty or has zeros only.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzAddressFile(f *testing.F) {
	for _, texts := range [][2]string{
		{"", ""},
		{"c1\r\neth0", "c1"},
		{"c1\r\neth1", "c1"},
		{"c1\neth0", "c2\r\neth0"},
		{" c1\r\neth0\n", "\x00"},
		{"c1\r\neth0\r\nmore", "c1\r\r\neth0"},
		{"c1\r\n", "c1 \r\neth0"},
		{"\u0085c1\r\neth0", "C1\r\neth0"},
	} {
		f.Add(texts[0], texts[1])
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text1, text2 string) {
		texts, key := []string{text1, text2}, keyFor("c1")
		addrs := []netip.Addr{addr("10.1.2.2"), addr("2001:db8::2")}
		n := &network{dir: dir}
		for i, a := range addrs {
			put(t, n.path(a), texts[i])
		}
		var want, old []netip.Addr
		for i, a := range addrs {
			if hostLocals(texts[i], key, false) || hostLocals(strings.Replace(texts[i], "c1\neth0", "c1\r\neth0", 1), key, false) {
				want = append(want, a)
			}
			if hostLocals(texts[i], key, true) {
				old = append(old, a)
			}
		}
		if len(want) == 0 {
			want = old
		}
		got, err := n.heldBy(key)
		slices.SortFunc(got, netip.Addr.Compare)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: addresses of %s: got %v, %v, want %v", texts, key, got, err, want)
		}
		for i, a := range addrs {
			givesOnlyOurs(t, n, a, texts[i])
		}
	})
}

func givesOnlyOurs(t *testing.T, n *network, a netip.Addr, text string) {
	t.Helper()
	key, nothing := keyFor("c1"), strings.TrimSpace(text) == "" || strings.Trim(text, "\x00") == ""
	if err := n.reserve(a, keyFor("c2")); (err == nil) != nothing {
		t.Errorf("%q: reserved for another: %v", text, err)
	}
	ours := !nothing && namesKey(text, key) || hostLocals(text, key, true) && !namesInterface(t, n, key)
	if err := n.release(a, key); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(n.path(a)); errors.Is(err, os.ErrNotExist) != ours {
		t.Errorf("%q: released %t, want %t", text, !ours, ours)
	}
}

// namesInterface reports whether an address file names the attachment in the current form.
func namesInterface(t *testing.T, n *network, key Key) bool {
	t.Helper()
	all, err := n.reserved()
	if err != nil {
		t.Fatal(err)
	}
	for a := range all {
		text, err := os.ReadFile(n.path(a))
		if err != nil {
			t.Fatal(err)
		}
		if hostLocals(string(text), key, false) || hostLocals(strings.Replace(string(text), "c1\neth0", "c1\r\neth0", 1), key, false) {
			return true
		}
	}
	return false
}

// A record's path determines its key, for every key that CNI allows, and is within the state
// directory; List finds the record under that key.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzKey(f *testing.F) {
	for _, k := range [][3]string{
		{"net", "c1", "eth0"},
		{"a", "b", "a@b"},
		{"net.d", "c-1_", ".json"},
		{"n", "c", "@"},
		{"n", "c", "x.json.tmp"},
		{"..", "..", ".."},
		{"n", "c", "*"},
		{"n", "c", "\\"},
		{"n", "c", "[a]?"},
		{"n", "c", "\xff"},
		{"n", "c.json", "~"},
		{"ipam", "c", "e"},
	} {
		f.Add(k[0], k[1], k[2])
	}
	f.Fuzz(func(t *testing.T, network, id, ifname string) {
		if utils.ValidateNetworkName(network) != nil || utils.ValidateContainerID(id) != nil || utils.ValidateInterfaceName(ifname) != nil {
			return // not a key
		}
		if len(network) > 200 || len(id) > 200 || strings.ContainsRune(ifname, 0) || !utf8.ValidString(ifname) {
			return // pkg/config rejects it: it cannot be part of a file name or of a record
		}
		key, dirs := Key{network, id, ifname}, newDirs(t)
		a := &Attachment{Key: key, dirs: dirs}
		if got := keyFromPath(a.path()); got != key {
			t.Errorf("the path %s gives the key %s", a.path(), got)
		}
		if rel, err := filepath.Rel(dirs.State, a.path()); err != nil || strings.Count(rel, "/") != 1 || !filepath.IsLocal(rel) {
			t.Errorf("the path %s is not two levels below %s", a.path(), dirs.State)
		}
		written(t, dirs, newRecord(key))
		entries, err := List(dirs.State)
		if err != nil || len(entries) != 1 || entries[0].Key != key || entries[0].Record == nil || entries[0].Record.Key() != key {
			t.Fatalf("List: got %+v, %v, want the record of %s", entries, err, key)
		}
		again := open(t, dirs, entries[0].Key)
		if err := again.Remove(); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, dirs.State, map[string]string{})
	})
}

// For any name and content of a file in a network's directory: List returns it as the record
// of a key whose path is this file, or skips it.
//
// Claim: Fuzz tests cover the configuration, lenient parsing, CNI_ARGS, prevResult, GC's list, records, address files and names; their
// corpora are test cases
func FuzzList(f *testing.F) {
	for _, name := range []string{"c1@eth0.json", "@.json", "c1@a@b.json", ".@.json.json", "x.json", "c1@eth0.json.tmp", "*@?.json", "\xff@\xfe.json", "lock"} {
		f.Add(name, []byte(fullText))
		f.Add(name, []byte{})
		f.Add(name, []byte("{"))
	}
	dirs := dirsIn(f.TempDir())
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || name == "" || len(name) > 255 {
			return // not a file's name
		}
		path := filepath.Join(dirs.State, "net", name)
		put(t, path, string(data))
		defer os.Remove(path)
		entries, err := List(dirs.State)
		if err != nil || len(entries) > 1 {
			t.Fatalf("got %+v, %v", entries, err)
		}
		r, broken := decodeRecord(data)
		isRecord := strings.HasSuffix(name, ".json") && strings.Contains(name, "@") && (r != nil || broken != nil)
		if isRecord != (len(entries) == 1) {
			t.Fatalf("%q with %q: got %+v", name, data, entries)
		}
		for _, e := range entries {
			a := &Attachment{Key: e.Key, dirs: dirs}
			if e.Path != path || a.path() != path || (e.Record == nil) == (e.Err == nil) {
				t.Errorf("%q: got %+v, whose key leads to %s", name, e, a.path())
			}
		}
	})
}
