package chaos

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Plan is how long a run takes, and what it calls.
type Plan struct {
	Seed  uint64
	Time  time.Duration
	Round *uint64 // only this one
}

// ReadPlan reads PATCHBAY_CHAOS_SEED, PATCHBAY_CHAOS_TIME (a minute by default) and PATCHBAY_CHAOS_ROUND, which runs one round of an earlier run.
func ReadPlan(t testing.TB) Plan {
	t.Helper()
	p := Plan{Seed: uint64(time.Now().UnixNano()), Time: time.Minute}
	var err error
	if text := os.Getenv("PATCHBAY_CHAOS_TIME"); text != "" {
		if p.Time, err = time.ParseDuration(text); err != nil {
			t.Fatalf("PATCHBAY_CHAOS_TIME: %v", err)
		}
	}
	if text := os.Getenv("PATCHBAY_CHAOS_SEED"); text != "" {
		if p.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("PATCHBAY_CHAOS_SEED: %v", err)
		}
	}
	if text := os.Getenv("PATCHBAY_CHAOS_ROUND"); text != "" {
		round, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("PATCHBAY_CHAOS_ROUND: %v", err)
		}
		p.Round = &round
	}
	return p
}

// Run runs rounds until the time is over, at least one, and prints the counts.
func (p Plan) Run(t testing.TB, h *Host) {
	t.Helper()
	t.Logf("seed %d, for %v", p.Seed, p.Time)
	begun := time.Now()
	defer func() { t.Logf("%v, seed %d:\n%s", time.Since(begun).Round(time.Second), p.Seed, h.Report()) }()
	if p.Round != nil {
		h.Round(t, *p.Round)
		h.End(t)
		return
	}
	printed := begun
	for round := uint64(0); round == 0 || time.Since(begun) < p.Time; round++ {
		h.Round(t, round)
		if time.Since(printed) > 5*time.Minute {
			printed = time.Now()
			t.Logf("%v:\n%s", time.Since(begun).Round(time.Second), h.Report())
		}
	}
	h.End(t)
}
