package nettest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// recorder is a testing.TB that records how it ended, for tests of functions that end a test.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
	skip     string
}

// record runs f as a test of its own, with its clean-ups.
func record(t testing.TB, f func(testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	r.run(func() { f(r) })
	for _, c := range slices.Backward(r.cleanups) {
		r.run(c)
	}
	return r
}

// run runs f where FailNow may end the goroutine.
func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool              { return len(r.errors) > 0 }
func (r *recorder) Skipped() bool             { return r.skip != "" }
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Errorf(s string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(s, a...)) }

func (r *recorder) Fatalf(s string, a ...any) {
	r.Errorf(s, a...)
	runtime.Goexit()
}

func (r *recorder) Fatal(a ...any) { r.Fatalf("%s", fmt.Sprint(a...)) }

func (r *recorder) Skipf(s string, a ...any) {
	r.skip = fmt.Sprintf(s, a...)
	runtime.Goexit()
}

// said returns all that the test failed with.
func (r *recorder) said() string { return strings.Join(r.errors, "\n") }
