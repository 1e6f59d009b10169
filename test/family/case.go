package family

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// A thousand cases as tests of their own would be a thousand lines of output. Each is still a
// testing.TB of its own, with clean-ups at its own end.

// Case is a case by name.
type Case struct {
	Name string
	Run  func(t testing.TB)
}

// RunCases runs cases, some at once, and returns how many failed. Each failure is t's, with the
// name of its case in front.
func RunCases(t *testing.T, cases []Case, atOnce int) (failed int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan Case)
	for range atOnce {
		all.Go(func() {
			for c := range next {
				one := &scope{TB: t, name: c.Name}
				one.live(c.Run)
				if one.Failed() {
					mu.Lock()
					failed++
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
	return failed
}

// scope is a case's testing.TB.
type scope struct {
	testing.TB
	name string

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// live runs the case and then its clean-ups, each where FailNow may end the goroutine.
func (s *scope) live(run func(testing.TB)) {
	s.alone(func() { run(s) })
	s.mu.Lock()
	cleanups := slices.Clone(s.cleanups)
	s.mu.Unlock()
	for _, cleanup := range slices.Backward(cleanups) {
		s.alone(cleanup)
	}
}

func (s *scope) alone(run func()) {
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
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	s.TB.Errorf("%s: %s", s.name, fmt.Sprintf(format, args...))
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
