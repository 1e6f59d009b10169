package poll

import (
	"errors"
	"os"
	"testing"
)

// TestFailure: after a failure Happened is closed, also behind an event that nobody has received yet.
func TestFailure(t *testing.T) {
	l := &Loop{happened: make(chan struct{}, 1)}
	l.pass()
	l.pass()
	if err := l.Err(); err != nil {
		t.Errorf("before the failure: %v", err)
	}
	failed := errors.New("no more changes")
	l.pass()
	l.fail(failed)
	if _, open := <-l.Happened(); !open {
		t.Error("the event before the failure is lost")
	}
	if _, open := <-l.Happened(); open || !errors.Is(l.Err(), failed) {
		t.Errorf("open %t, error %v", open, l.Err())
	}
}

// TestLoop: each readable descriptor is read, what Read calls nothing is not passed on, and Close, like an error, closes the source once.
func TestLoop(t *testing.T) {
	failed := errors.New("no more changes")
	for name, end := range map[string]error{"Close": nil, "error": failed} {
		t.Run(name, func(t *testing.T) {
			in, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			closed := make(chan struct{})
			read := func(ready []bool) (bool, error) {
				buffer := make([]byte, 1)
				if _, err := in.Read(buffer); err != nil || len(ready) != 1 || !ready[0] {
					t.Errorf("ready %v, %v", ready, err)
				}
				switch buffer[0] {
				case 'e':
					return false, failed
				case 'h':
					return true, nil
				}
				return false, nil
			}
			l, err := Start(Source{FDs: []int{int(in.Fd())}, Read: read, Close: func() { in.Close(); close(closed) }})
			if err != nil {
				t.Fatal(err)
			}
			write := func(text string) {
				if _, err := out.WriteString(text); err != nil {
					t.Fatal(err)
				}
			}
			write("-h")
			if _, open := <-l.Happened(); !open {
				t.Fatalf("closed: %v", l.Err())
			}
			if end == nil {
				l.Close()
			} else {
				write("-e")
				if _, open := <-l.Happened(); open {
					t.Error("what Read calls nothing was passed on")
				}
			}
			<-closed
			if !errors.Is(l.Err(), end) {
				t.Errorf("got %v, want %v", l.Err(), end)
			}
		})
	}
}
