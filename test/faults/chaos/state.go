package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// mark is a point in time of what happens beside the calls.
type mark struct {
	disturbed int64
	again     bool // the call repeats an ADD that was killed
}

func (h *Host) mark() mark { return mark{disturbed: h.disturbed.Load()} }

// wasDisturbed reports whether another program deleted something since, or what it had deleted was not restored yet.
func (h *Host) wasDisturbed(since mark) bool {
	return since.disturbed%2 == 1 || h.disturbed.Load() != since.disturbed
}

// claim requires that no other live attachment of the network has an address of this one, and that a sticky address came again.
func (h *Host) claim(t testing.TB, a *attachment) {
	var addresses []string
	for _, ip := range (nettest.Answer{Stdout: a.last()}).Result(t).IPs {
		addresses = append(addresses, ip.Address.IP.String())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, address := range addresses {
		at := a.network + " " + address
		if other, taken := h.owners[at]; taken {
			t.Errorf("%s was given to %s and to %s", at, other, a.key)
		}
		h.owners[at] = a.key
	}
	if !a.net.sticky {
		return
	}
	if before := h.sticky[a.key]; before != nil && !slices.Equal(before, addresses) {
		t.Errorf("%s has %v, and had the sticky addresses %v", a.key, addresses, before)
	}
	h.sticky[a.key] = addresses
}

// release forgets the addresses of an attachment, before the call that releases them.
func (h *Host) release(a *attachment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at, owner := range h.owners {
		if owner == a.key {
			delete(h.owners, at)
		}
	}
}

// known returns the attachments of a network that runtimes know, while no ADD and no DEL of it runs.
func (h *Host) known(network string) []key {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []key
	for _, owner := range h.owners {
		if owner.network == network && !slices.Contains(all, owner) {
			all = append(all, owner)
		}
	}
	return all
}

// Counts are what a run has done.
type Counts struct {
	Rounds    int
	Calls     [5]atomic.Int64 // by verb, see verbs
	Kills     atomic.Int64
	Refused   atomic.Int64 // ADDs by the older version on the newer table
	Disturbed atomic.Int64 // ADDs that failed because another program deleted something
	Deletions atomic.Int64 // by another program
	Busy      atomic.Int64 // calls that ended because a lock was held for 10 s
	Commands  atomic.Int64
	Restarts  atomic.Int64 // of a runtime, by SIGKILL
	Pods      atomic.Int64 // started by it
	Compared  atomic.Int64 // attachments that passed CHECK and ping
}

func verbNames() []string { return []string{"ADD", "CHECK", "DEL", "GC", "STATUS"} }

func (h *Host) count(verb string, a nettest.Answer) {
	h.Calls[slices.Index(verbNames(), verb)].Add(1)
	if a.Exit == -1 {
		h.Kills.Add(1)
	}
}

// Report returns the counts as a table of Markdown.
func (h *Host) Report() string {
	total := int64(0)
	var verbs []string
	for i, name := range verbNames() {
		n := h.Calls[i].Load()
		total += n
		verbs = append(verbs, fmt.Sprintf("%s %d", name, n))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n| what | number |\n|---|---:|\n")
	for _, row := range []struct {
		what string
		n    int64
	}{
		{"rounds", int64(h.Rounds)},
		{"calls of plugins: " + strings.Join(verbs, ", "), total},
		{"of these ended by SIGKILL", h.Kills.Load()},
		{"installations of the other version", h.swaps.Load()},
		{"ADDs that the older version refused, because the table is of the newer one", h.Refused.Load()},
		{"deletions of all rules or of a bridge, forwarding disabled, by another program", h.Deletions.Load()},
		{"ADDs that failed because of these", h.Disturbed.Load()},
		{"calls that gave up after 10 s of waiting for a lock, and were repeated", h.Busy.Load()},
		{"commands: reload, gc, doctor, metrics", h.Commands.Load()},
		{"pods of containerd", h.Pods.Load()},
		{"SIGKILLs of containerd", h.Restarts.Load()},
		{"attachments compared with the host: links, addresses, records, rules, CHECK, ping", h.Compared.Load()},
	} {
		fmt.Fprintf(&b, "| %s | %d |\n", row.what, row.n)
	}
	return b.String()
}

// history has the calls of the round.
type history struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
}

func (r *history) begin(round uint64) {
	r.mu.Lock()
	r.begun, r.lines = time.Now(), nil
	r.mu.Unlock()
	r.add("round %d", round)
}

func (r *history) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%9.3f ", time.Since(r.begun).Seconds())+fmt.Sprintf(format, args...))
}

func (r *history) last(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines[max(0, len(r.lines)-n):], "\n")
}

// write writes the calls to a file, and returns its name.
func (r *history) write(seed, round uint64) string {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("patchbay-chaos-%d-%d.log", seed, round))
	if err := os.WriteFile(path, []byte(r.last(1<<30)+"\n"), 0o600); err != nil {
		return err.Error()
	}
	return path
}

// addressesOf returns the addresses of a record as "10.1.0.2".
func addressesOf(text []byte) []string {
	var r struct {
		Addresses []struct{ Address string }
	}
	_ = json.Unmarshal(text, &r)
	var out []string
	for _, a := range r.Addresses {
		address, _, _ := strings.Cut(a.Address, "/")
		out = append(out, address)
	}
	return out
}
