package store_test

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestIsNamespace: a cookie decides; without cookies, before Linux 5.14, the inode number does.
//
// Claim: Before Linux 5.14, without cookies of namespaces, DEL of `sbr` recognizes another namespace by its inode number
func TestIsNamespace(t *testing.T) {
	for _, tc := range []struct {
		name          string
		record        store.Record
		cookie, inode uint64
		want          bool
	}{
		{"same cookie", store.Record{NetnsCookie: 7, NetnsInode: 1}, 7, 2, true},
		{"another cookie, the inode number used again", store.Record{NetnsCookie: 7, NetnsInode: 1}, 8, 1, false},
		{"no cookies, same inode", store.Record{NetnsInode: 1}, 0, 1, true},
		{"no cookies, another inode", store.Record{NetnsInode: 1}, 0, 2, false},
		{"no cookies, a record without an inode", store.Record{}, 0, 2, true},
		{"a record of a kernel without cookies", store.Record{NetnsInode: 1}, 8, 1, false},
	} {
		if got := tc.record.IsNamespace(tc.cookie, tc.inode); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}
