package networks

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// A thousand cases as subtests would be a thousand lines of output. Each case still has its own testing.TB with its own clean-ups.

// Case is a named case.
type Case struct {
	Name string
	Run  func(t testing.TB)
}

// Part is the environment variable that names the cases to run: all, which is the default, or the third 0, 1 or 2 of those of each verb of each
// family. Three runs with the three thirds are a whole one.
const Part = "PATCHBAY_FAULTS"

// Chosen returns the cases that Part names, and logs which if they are not all.
func Chosen(t *testing.T, cases []Case) []Case {
	t.Helper()
	part := os.Getenv(Part)
	if part == "" || part == "all" {
		return cases
	}
	third := slices.Index([]string{"0", "1", "2"}, part)
	if third < 0 {
		t.Fatalf("%s is %q, want all, 0, 1 or 2", Part, part)
	}
	var chosen []Case
	for i, c := range cases {
		if i%3 == third {
			chosen = append(chosen, c)
		}
	}
	t.Logf("%s=%s: %d of %d cases", Part, part, len(chosen), len(cases))
	return chosen
}

// RunCases runs cases, atOnce of them concurrently, and returns the number of failures. Failures are reported on t, prefixed with the name
// of the case. The first error of each failed case is logged again at the end, after the long comparisons of hosts, where a truncated log
// still shows it.
func RunCases(t *testing.T, cases []Case, atOnce int) (failed int) {
	t.Helper()
	var mu sync.Mutex
	var reasons []string
	var all sync.WaitGroup
	next := make(chan Case)
	for range atOnce {
		all.Go(func() {
			for c := range next {
				one := &scope{TB: t, name: c.Name}
				one.runAndCleanUp(c.Run)
				if one.Failed() {
					mu.Lock()
					reasons = append(reasons, one.first)
					mu.Unlock()
				}
			}
		})
	}
	for _, c := range cases {
		next <- c
	}
	close(next)
	all.Wait()
	for _, reason := range reasons {
		t.Logf("failed: %s", reason)
	}
	return len(reasons)
}

// scope is the testing.TB of a case.
type scope struct {
	testing.TB
	name string

	mu       sync.Mutex
	failed   bool
	first    string // its first error
	cleanups []func()
}

// runAndCleanUp runs the case and then its clean-ups, each in a goroutine that FailNow may end.
func (s *scope) runAndCleanUp(run func(testing.TB)) {
	s.inGoroutine(func() { run(s) })
	s.mu.Lock()
	cleanups := slices.Clone(s.cleanups)
	s.mu.Unlock()
	for _, cleanup := range slices.Backward(cleanups) {
		s.inGoroutine(cleanup)
	}
}

func (s *scope) inGoroutine(run func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	<-done
}

func (s *scope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *scope) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *scope) Errorf(format string, args ...any) {
	s.TB.Helper()
	text := fmt.Sprintf("%s: %s", s.name, fmt.Sprintf(format, args...))
	s.mu.Lock()
	if !s.failed {
		s.failed, s.first = true, text
	}
	s.mu.Unlock()
	s.TB.Errorf("%s", text)
}

func (s *scope) Error(args ...any) { s.TB.Helper(); s.Errorf("%s", fmt.Sprint(args...)) }
func (s *scope) Fatal(args ...any) { s.TB.Helper(); s.Fatalf("%s", fmt.Sprint(args...)) }

func (s *scope) Fatalf(format string, args ...any) {
	s.TB.Helper()
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *scope) Logf(format string, args ...any) {
	s.TB.Helper()
	s.TB.Logf("%s: %s", s.name, fmt.Sprintf(format, args...))
}
