package load

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// minSamples is the least number of samples of a run, so that each quarter has two.
const minSamples = 8

// soak is a churn whose host is measured again and again with the same attachments.
type soak struct {
	*churn
	watcher *nettest.Cmd
	memory  func() (float64, bool) // see kernelMemory
	file    *os.File
	samples []sample
	given   int // rounds that were given up, see gaveUp
}

// TestSoak: random calls, as in TestChurn, while `patchbay reload --watch` runs the whole time and the calls are logged. Every few rounds
// all attachments are deleted, after which nothing may be left, and the same ones are made: then the host is measured. A quantity that is larger
// in the last quarter of the samples than in the second one grows with the number of calls, see quantity.flat.
//
// PATCHBAY_SOAK_TIME is how long it runs, PATCHBAY_SOAK_EVERY the rounds from one sample to the next, PATCHBAY_SOAK_FILE a file to which each sample
// is appended.
//
// Claim: Under random calls without end the memory and file descriptors of `reload --watch`, the memory of an ADD, links, elements of nftables,
// files, the log and the kernel's memory do not grow
func TestSoak(t *testing.T) {
	length := duration(t, "PATCHBAY_SOAK_TIME", 2*time.Minute)
	every := setting(t, "PATCHBAY_SOAK_EVERY", 2)
	seed := setting(t, "PATCHBAY_LOAD_SEED", uint64(time.Now().UnixNano()))
	t.Logf("PATCHBAY_LOAD_SEED=%d, for %v, a sample every %d rounds", seed, length, every)
	s := newSoak(t, seed)
	tally := map[string]int{}
	round := uint64(0)
	for begun := time.Now(); time.Since(begun) < length || len(s.samples) < minSamples; round++ {
		calls := s.round(t)
		count(tally, calls)
		if slices.ContainsFunc(calls, gaveUp) {
			s.giveUp(t, calls)
			continue
		}
		s.compare(t, calls)
		s.disrupt(t)
		if round%every == every-1 {
			s.detachAll(t)
			s.h.NoLeaks(t)
			s.measure(t, round+1)
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	t.Logf("%d rounds, %d samples, %d rounds given up because a process waited for a lock for 10 s: %v", round, len(s.samples), s.given, tally)
	s.verdict(t)
	s.end(t)
}

// giveUp detaches what may exist after a round in which a call gave up, an answer that the model does not have. The round is compared with
// nothing but the empty host.
func (s *soak) giveUp(t *testing.T, calls []done) {
	t.Helper()
	s.given++
	for _, d := range calls {
		s.models[d.key.ID] = s.models[d.key.ID].with(d.key, entry{}, false)
	}
	s.detachAll(t)
	s.h.NoLeaks(t)
}

// duration returns a length of time from an environment variable.
func duration(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// newSoak starts the watcher, and attaches once what has a file for ever: each attachment of the networks with sticky addresses.
func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{churn: newChurn(t, seed), memory: kernelMemory(t)}
	s.log = "/var/lib/patchbay-log/calls.log"
	s.h.Run(t, "mkdir", "/var/lib/patchbay-log")
	s.watcher = s.h.Command(nettest.Patchbay(t), "reload", "--watch")
	said, err := os.Create(filepath.Join(t.TempDir(), "watch"))
	if err == nil {
		s.watcher.Stdout, s.watcher.Stderr = said, said
		err = s.watcher.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.h.Allow("process ")
		_ = s.watcher.Process.Kill()
		_ = s.watcher.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("end of the output of reload --watch:\n%s", text[max(0, len(text)-4000):])
		}
	})
	s.h.Baseline()
	s.file = openSamples(t)
	s.attachSticky(t)
	return s
}

func openSamples(t *testing.T) *os.File {
	t.Helper()
	path := os.Getenv("PATCHBAY_SOAK_FILE")
	if path == "" {
		path = os.DevNull
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func (s *soak) attachSticky(t *testing.T) {
	t.Helper()
	for _, f := range s.planner.families {
		if !f.sticky {
			continue
		}
		for _, id := range s.planner.ids {
			for _, name := range interfaces() {
				s.attach(t, key{f.name, id, name})
			}
			s.detachAll(t)
		}
	}
}

// attach calls ADD, which must succeed, and adds the attachment to its model.
func (s *soak) attach(t *testing.T, k key) {
	t.Helper()
	d := s.do(t, op{verb: "ADD", key: k, config: s.planner.configOf(k)})
	for gaveUp(d) {
		s.detach(t, k)
		d = s.do(t, op{verb: "ADD", key: k, config: s.planner.configOf(k)})
	}
	if d.code != 0 {
		t.Fatalf("%s: %s", d.op, d.answer)
	}
	s.models[k.ID] = s.models[k.ID].with(k, entry{result: d.result, addresses: d.addresses}, s.planner.familyOf(k).sticky)
}

// measure attaches one container to each network, and takes a sample.
func (s *soak) measure(t *testing.T, round uint64) {
	t.Helper()
	for i, f := range s.planner.families {
		s.attach(t, key{f.name, s.planner.ids[i], "eth0"})
	}
	now := s.take(t)
	now["round"] = float64(round)
	s.samples = append(s.samples, now)
	line := now.String()
	t.Log(line)
	if _, err := fmt.Fprintf(s.file, "%s\t%s\n", time.Now().UTC().Format(time.RFC3339), line); err != nil {
		t.Error(err)
	}
}

// verdict compares the last quarter of the samples with the second one.
func (s *soak) verdict(t *testing.T) {
	t.Helper()
	table := "\n| quantity | first sample | second quarter | last quarter | last sample | at most |\n|---|---:|---:|---:|---:|---:|\n"
	n := len(s.samples)
	for _, q := range quantities() {
		if _, measured := s.samples[0][q.name]; !measured {
			t.Logf("%s cannot be measured here", q.name)
			continue
		}
		values := make([]float64, n)
		for i, one := range s.samples {
			values[i] = one[q.name]
		}
		second, last := median(values[n/4:n/2]), median(values[n-n/4:])
		limit := q.limit(second)
		table += fmt.Sprintf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", q.name, values[0], second, last, values[n-1], limit)
		if last > limit {
			t.Errorf("%s grows: %.0f in the second quarter, %.0f in the last one, at most %.0f; all samples: %.0f", q.name, second, last, limit, values)
		}
	}
	t.Log(table)
}

// median returns the lower of the two in the middle if their number is even.
func median(values []float64) float64 {
	all := slices.Sorted(slices.Values(values))
	return all[(len(all)-1)/2]
}
