package conformance

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// session is the testing.TB that hosts of package nettest need, for one check outside of `go test`. Errors after the first are logged.
type session struct {
	testing.TB // nil: only for the method that other packages cannot implement

	name     string
	mu       sync.Mutex
	cleanups []func()
	failure  string
	skip     string
	log      []string
}

// run runs a check and its clean-ups, each where FailNow may end the goroutine.
func (s *session) run(check func()) {
	s.guard(check)
	for _, c := range slices.Backward(s.cleanups) {
		s.guard(c)
	}
}

// guard runs f in a goroutine of its own and waits for it; a panic is a failure of the check.
func (s *session) guard(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				s.fail(fmt.Sprintf("the check panicked: %v", p))
			}
		}()
		f()
	}()
	<-done
}

// fail records the first failure.
func (s *session) fail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == "" {
		s.failure = text
		return
	}
	s.log = append(s.log, text)
}

// Name returns the ID of the check.
func (s *session) Name() string { return s.name }

// Helper does nothing: failures have no line of code.
func (s *session) Helper() {}

// Cleanup adds a function that runs after the check, the last one first.
func (s *session) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// Failed reports whether the check has failed.
func (s *session) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != ""
}

// Skipped reports whether the check is not applicable.
func (s *session) Skipped() bool { return s.skip != "" }

// Logf adds a line to the log of the outcome.
func (s *session) Logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// Log adds a line to the log of the outcome.
func (s *session) Log(args ...any) { s.Logf("%s", fmt.Sprint(args...)) }

// Errorf fails the check, which continues.
func (s *session) Errorf(format string, args ...any) { s.fail(fmt.Sprintf(format, args...)) }

// Error fails the check, which continues.
func (s *session) Error(args ...any) { s.fail(fmt.Sprint(args...)) }

// Fatalf fails the check and ends it.
func (s *session) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Fatal fails the check and ends it.
func (s *session) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

// FailNow ends the check.
func (s *session) FailNow() { s.Fatalf("failed") }

// Skipf makes the check not applicable, with the reason, and ends it.
func (s *session) Skipf(format string, args ...any) {
	s.skip = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Skip makes the check not applicable, with the reason, and ends it.
func (s *session) Skip(args ...any) { s.Skipf("%s", fmt.Sprint(args...)) }
