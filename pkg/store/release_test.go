package store

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// Release deletes the address files of this attachment and no others.
//
// Claim: A torn address file is a free address; files of older host-local versions are removed by their owner; DEL releases only its own
// addresses, where the record says so
func TestRelease(t *testing.T) {
	const exact = "c1\r\neth0"
	for _, tc := range []struct {
		name   string
		record string            // addresses in it; "-" for a damaged record, "" for none
		files  map[string]string // content by address
		left   string
	}{
		{"in the record", "10.1.2.2", map[string]string{"10.1.2.2": exact}, ""},
		{"LF, of a development version of host-local", "10.1.2.2", map[string]string{"10.1.2.2": "c1\neth0"}, ""},
		{"surrounded by white space", "10.1.2.2", map[string]string{"10.1.2.2": "\n c1\r\neth0\n"}, ""},
		{"container ID only", "10.1.2.2", map[string]string{"10.1.2.2": "c1\n"}, ""},
		{"container ID only beside a current one", "10.1.2.2", map[string]string{"10.1.2.2": "c1", "10.1.2.3": exact}, "10.1.2.2 10.1.2.3"},
		{"container ID of another", "10.1.2.2", map[string]string{"10.1.2.2": "c2"}, "10.1.2.2"},
		{"empty", "10.1.2.2", map[string]string{"10.1.2.2": ""}, ""},
		{"released before", "10.1.2.2", nil, ""},
		{"reserved for another since", "10.1.2.2 10.1.2.3", map[string]string{"10.1.2.2": "c2\r\neth0", "10.1.2.3": exact}, "10.1.2.2"},
		{"reserved for another interface", "10.1.2.2", map[string]string{"10.1.2.2": "c1\r\neth1"}, "10.1.2.2"},
		{"not in the record", "10.1.2.2", map[string]string{"10.1.2.3": exact}, "10.1.2.3"},
		{"no record", "", map[string]string{"10.1.2.2": exact, "10.1.2.3": "c1\r\neth1", "2001:db8::2": exact, "10.1.2.4": "c11\r\neth0", "10.1.2.5": ""}, "10.1.2.3 10.1.2.4 10.1.2.5"},
		{"damaged record", "-", map[string]string{"10.1.2.2": exact, "10.1.2.3": "c2\r\neth0"}, "10.1.2.3"},
		{"no record, container ID only", "", map[string]string{"10.1.2.2": "c1", "10.1.2.3": "c1\n", "10.1.2.4": "c2"}, "10.1.2.4"},
		{"no record, old and current forms", "", map[string]string{"10.1.2.2": "c1", "10.1.2.3": exact}, "10.1.2.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dirs, key := newDirs(t), keyFor("c1")
			for name, text := range tc.files {
				put(t, addrPath(dirs, name), text)
			}
			put(t, addrPath(dirs, "notes"), exact)
			putRecord(t, dirs, tc.record)
			a := open(t, dirs, key)
			if err := a.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"net/notes": exact, "net/lock": ""}
			for _, name := range strings.Fields(tc.left) {
				want["net/"+name] = tc.files[name]
			}
			sameFiles(t, dirs.Data, want)
		})
	}
}

// putRecord writes a record of c1 with addresses; "-" is a damaged one and "" none.
func putRecord(t *testing.T, dirs Dirs, addresses string) {
	t.Helper()
	if addresses == "" {
		return
	}
	if addresses == "-" {
		put(t, recordPath(dirs, "c1"), "{")
		return
	}
	r := newRecord(keyFor("c1"))
	r.DataDir = dirs.Data
	for _, text := range strings.Fields(addresses) {
		r.Addresses = append(r.Addresses, Address{Address: netip.PrefixFrom(addr(text), 24)})
	}
	written(t, dirs, r)
}

// The record names the data directory, whatever the configuration says by now.
//
// Claim: A torn address file is a free address; files of older host-local versions are removed by their owner; DEL releases only its own
// addresses, where the record says so
func TestReleaseWhereTheRecordSays(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	req := Request{Pool: pool(t, "10.1.2.0/24")}
	gives(t, dirs, key, req, "10.1.2.2")
	moved := Dirs{State: dirs.State, Data: filepath.Join(t.TempDir(), "moved")}
	put(t, addrPath(moved, "10.1.2.2"), "c1\r\neth0")
	release(t, moved, key)
	sameFiles(t, dirs.Data, map[string]string{"net/last_reserved_ip.0": "10.1.2.2", "net/lock": ""})
	sameFiles(t, moved.Data, map[string]string{"net/10.1.2.2": "c1\r\neth0"})

	// A record without IPAM names no directory, and not the working directory either.
	t.Chdir(moved.Data)
	r := newRecord(key)
	r.Addresses = []Address{{Address: prefix("10.1.2.2/24")}}
	written(t, dirs, r)
	release(t, moved, key)
	sameFiles(t, moved.Data, map[string]string{"net/10.1.2.2": "c1\r\neth0"})
}

func TestCheckAddresses(t *testing.T) {
	dirs := newDirs(t)
	holds := func(record string) (string, error) {
		putRecord(t, dirs, record)
		a, err := OpenExisting(t.Context(), dirs, keyFor("c1"))
		if err != nil {
			t.Fatal(err)
		}
		defer closeIt(t, a)
		return a.CheckAddresses()
	}
	put(t, addrPath(dirs, "10.1.2.2"), "c1\r\neth0")
	put(t, addrPath(dirs, "10.1.2.3"), "c2\r\neth0")
	put(t, addrPath(dirs, "10.1.2.4"), "")
	mkdir(t, addrPath(dirs, "10.1.2.5"))
	dir := filepath.Join(dirs.Data, "net")
	for _, tc := range []struct{ record, want, err string }{
		{"", "", ""},
		{"10.1.2.2", "", ""},
		{"10.1.2.2 10.1.2.3", "address 10.1.2.3 is reserved for c2/eth0 in " + dir, ""},
		{"10.1.2.4", "address 10.1.2.4 is no longer reserved in " + dir, ""},
		{"10.1.2.9", "address 10.1.2.9 is no longer reserved in " + dir, ""},
		{"10.1.2.5", "", "read address: " + dir + "/10.1.2.5" + notOurs + "a directory"},
	} {
		got, err := holds(tc.record)
		if got != tc.want || errorText(err) != tc.err {
			t.Errorf("record %q: got %q, %v, want %q, %s", tc.record, got, err, tc.want, tc.err)
		}
	}
}

func TestCountFree(t *testing.T) {
	dirs := newDirs(t)
	p := pool(t, "10.1.2.0/29", "2001:db8::/64", "10.1.3.0/28") // 5, very many, and 13 addresses
	free := func(most, want int) {
		t.Helper()
		before := files(t, dirs.Data)
		got, err := CountFree(dirs, "net", p, most)
		if got != want || err != nil {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
		sameFiles(t, dirs.Data, before)
	}
	free(1, 1)
	free(100, 5)
	put(t, addrPath(dirs, "10.1.2.2"), "c1\r\neth0")
	put(t, addrPath(dirs, "10.1.2.3"), "") // empty: free
	put(t, addrPath(dirs, "10.1.2.1"), "") // the gateway is never allocated
	free(100, 4)
	free(4, 4)
	free(3, 3)
	for i := range 11 {
		put(t, addrPath(dirs, fmt.Sprint("10.1.3.", 2+i)), "c1\r\neth0")
	}
	free(100, 2)
	for i := range 5 {
		put(t, addrPath(dirs, fmt.Sprint("10.1.2.", 2+i)), "c1\r\neth0")
	}
	free(1, 0)

	file := Dirs{Data: filepath.Join(dirs.Data, "net/10.1.2.2")}
	_, err := CountFree(file, "x", p, 1)
	saysOf(t, err, "not a directory")
}
