package power

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recovery is what happens after the boot. It returns what is wrong. Without any order an address file may have lost its mark, so that
// only a DEL or GC may release the address: there a GC comes first.
type recovery struct {
	name string
	run  func(testing.TB, *host, one, expected) []string
}

func recoveries() []recovery {
	return []recovery{
		{"ADD of others, and of the same container", sameAgain},
		{"ADD of others, and a late DEL", othersFirst},
		{"DEL and GC", cleanFirst},
	}
}

// recovery returns one of the recoveries, each for a third of the disks. A sticky address that a verb has returned is asked for, and so is one
// where nothing but sticky memory is on the disk.
func (h *host) recovery(d one) recovery {
	if h.sticky && (d.Ended || h.memoryOnly) {
		return recoveries()[0]
	}
	return recoveries()[d.number%len(recoveries())]
}

// all makes calls and returns what is wrong.
func (h *host) all(t testing.TB, verb string, names ...string) (wrong []string) {
	t.Helper()
	for _, name := range names {
		if text := h.do(t, verb, name); text != "" {
			wrong = append(wrong, text)
		}
	}
	return wrong
}

// sweep calls GC on a disk that is possible without any order only, and in a network without marks. There it calls GC twice: with old data of
// another container in the address file, the first GC removes the record of that container, and the second the address.
func (h *host) sweep(t testing.TB, d one) []string {
	t.Helper()
	if !d.unordered && !h.unmarked {
		return nil
	}
	return h.all(t, "GC", "", "")
}

// sameAgain: two other containers come first, and do not get a sticky address of the container of the verb, which gets it again. With the one
// that was attached before they need the whole pool: no address of the previous boot is lost to it.
func sameAgain(t testing.TB, h *host, d one, e expected) []string {
	names := []string{"next", "third", "one", "beside"}
	wrong := append(h.sweep(t, d), h.all(t, "ADD", names...)...)
	wrong = append(wrong, h.twice()...)
	if got := addresses(h.results["one"]); !e.allows(d, got) {
		wrong = append(wrong, fmt.Sprintf("the container got %v; it had %v before the verb and %v after it", got, e.before, e.after))
	}
	if h.sticky {
		wrong = append(wrong, h.disagree(t, names...)...)
	}
	wrong = append(wrong, h.all(t, "CHECK", names...)...)
	return append(wrong, h.leave(t, names...)...)
}

// othersFirst: other containers get the whole pool; a DEL from before the power failure changes nothing of them.
func othersFirst(t testing.TB, h *host, d one, _ expected) []string {
	names := []string{"next", "third", "fourth", "beside"}
	wrong := append(h.sweep(t, d), h.all(t, "ADD", names...)...)
	wrong = append(wrong, h.twice()...)
	wrong = append(wrong, h.all(t, "DEL", "one")...)
	wrong = append(wrong, h.all(t, "CHECK", names...)...)
	return append(wrong, h.leave(t, names...)...)
}

// cleanFirst: a DEL and a GC leave nothing of the previous boot, whatever is on the disk.
func cleanFirst(t testing.TB, h *host, _ one, _ expected) []string {
	wrong := append(h.all(t, "DEL", "one"), h.all(t, "GC", "")...)
	if left := h.left(t); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("left after DEL and GC: %s", strings.Join(left, " ")))
	}
	wrong = append(wrong, h.all(t, "ADD", "next")...)
	return append(wrong, h.leave(t, "next")...)
}

// leave deletes the attachments and lets GC remove the rest.
func (h *host) leave(t testing.TB, names ...string) []string {
	wrong := append(h.all(t, "DEL", names...), h.all(t, "GC", "")...)
	if left := h.left(t); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("left at the end: %s", strings.Join(left, " ")))
	}
	return wrong
}

// twice returns addresses that two containers have.
func (h *host) twice() (wrong []string) {
	has := map[netip.Addr]string{}
	for name, result := range h.results {
		for _, addr := range addresses(result) {
			if has[addr] != "" {
				wrong = append(wrong, fmt.Sprintf("%s and %s have %s", name, has[addr], addr))
			}
			has[addr] = name
		}
	}
	return wrong
}

// allows reports whether the container may have got these addresses: what it had after the verb if that has ended, else that or what it had
// before. Without any order, files of both may be on the disk, and then nothing is remembered.
func (e expected) allows(d one, got []netip.Addr) bool {
	if slices.Equal(got, e.after) || len(e.after) == 0 {
		return true
	}
	return !d.Ended && (len(e.before) == 0 || d.unordered || slices.Equal(got, e.before))
}

// disagree returns what does not agree in the sticky memory of containers: the owner's file, and those of its addresses.
func (h *host) disagree(t testing.TB, names ...string) (wrong []string) {
	t.Helper()
	dir := filepath.Join(memory, "net")
	h.Do(func() {
		for _, name := range names {
			owner := h.containers[name].ID() + "@eth0"
			text, err := os.ReadFile(filepath.Join(dir, "owner-"+owner))
			var want strings.Builder
			for _, addr := range addresses(h.results[name]) {
				fmt.Fprintln(&want, addr)
				if at, err := os.ReadFile(filepath.Join(dir, "ip-"+addr.String())); string(at) != owner {
					wrong = append(wrong, fmt.Sprintf("sticky memory: %s has %q, want %s (%v)", addr, at, owner, err))
				}
			}
			if string(text) != want.String() {
				wrong = append(wrong, fmt.Sprintf("sticky memory: %s has %q, want %q (%v)", owner, text, want.String(), err))
			}
		}
	})
	return wrong
}

// reset makes the host as it was after its boot.
func (h *host) reset(t testing.TB, d one) {
	t.Helper()
	h.results = map[string]json.RawMessage{}
	var err error
	h.Do(func() {
		if err = os.RemoveAll("/run/patchbay"); err == nil {
			err = writeTree(d.Tree)
		}
	})
	if err != nil {
		t.Fatalf("write the disk: %v", err)
	}
}
