package agentstatus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// write writes a file of a directory of its own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBadFiles: what is no file of the agent is an error that names it, and never a state.
//
// Claim: A file of patchbay-agent that is torn, too large, of another type or of another version is reported, and never used in part
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "torn": `{"format": 1, "node": "a", "prob`, "zeros": strings.Repeat("\x00", 100), "a list": "[]", "a string": `"x"`,
		"another type": `{"format": 1, "nodes": "many", "peers": {}}`, "a time that is none": `{"format": 1, "lastPass": "yesterday", "peers": 7}`,
		"deep": strings.Repeat(`{"a":`, 100_000), "text behind it": `{"format": 1} {}`,
		"no version": `{"node": "a"}`, "a later version": `{"format": 2, "node": {"name": "a"}, "peers": 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "f", text)
			s, err := Read(path)
			p, failed := ReadPeers(path)
			if s != nil || p != nil || err == nil || failed == nil || !strings.Contains(err.Error(), path) || !strings.Contains(failed.Error(), path) {
				t.Errorf("got %+v, %v; %+v, %v", s, err, p, failed)
			}
			if other := strings.Contains(name, "version"); other != errors.Is(err, ErrFormat) || other != errors.Is(failed, ErrFormat) {
				t.Errorf("got %v; %v", err, failed)
			}
		})
	}
	large := write(t, "f", `{"format": 1}`+strings.Repeat(" ", MaxStatusBytes))
	if _, err := Read(large); !errors.Is(err, safefile.ErrTooLarge) {
		t.Errorf("a large file: %v", err)
	}
	if s, err := Read(large + "x"); s != nil || err != nil {
		t.Errorf("without a file: %+v, %v", s, err)
	}
}

// TestLimits: more nodes and problems than the limits are counted and left out, by who writes and by who reads.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, p := Status{}, Peers{}
	for i := range MaxPeers + 7 {
		s.Problems = append(s.Problems, Problem{Text: fmt.Sprint(i)})
		p.Peers = append(p.Peers, Peer{Name: fmt.Sprint(i), Problems: make([]string, 9)})
	}
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(write(t, "s", string(text)))
	if err != nil || len(read.Problems) != MaxProblems || read.MoreProblems != MaxPeers+7-MaxProblems {
		t.Errorf("%v, %d problems and %d more", err, len(read.Problems), read.MoreProblems)
	}
	if text, err = p.Encode(); err != nil {
		t.Fatal(err)
	}
	peers, err := ReadPeers(write(t, "p", string(text)))
	if err != nil || len(peers.Peers) != MaxPeers || peers.Omitted != 7 || len(peers.Peers[1].Problems) != maxOwn {
		t.Errorf("%v, %d peers without %d", err, len(peers.Peers), peers.Omitted)
	}
	more := `{"format": 1, "omitted": 3, "peers": [` + strings.Repeat(`{},`, MaxPeers+1) + `{}]}`
	if peers, err = ReadPeers(write(t, "p", more)); err != nil || len(peers.Peers) != MaxPeers || peers.Omitted != 5 {
		t.Errorf("%v, %d peers without %d", err, len(peers.Peers), peers.Omitted)
	}
	if text, err = (Peers{}).Encode(); err != nil {
		t.Fatal(err)
	}
	if peers, err = ReadPeers(write(t, "p", string(text))); err != nil || peers.Peers == nil {
		t.Errorf("%v, %+v of %s", err, peers, text)
	}
}

// TestActivity: an agent runs as long as it has the lock, of the directory that is there now; it is late after two intervals.
func TestActivity(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dir", "status.json")
	s, now := Status{LastPass: time.Unix(1000, 0), Interval: 60}, time.Unix(1120, 0)
	is := func(want Activity, now time.Time) {
		t.Helper()
		if got := s.Activity(path, now); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	is(Stopped, now)
	var l, other Lock
	for range 2 { // another directory has the path the second time
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		is(Stopped, now)
		for range 2 {
			if err := l.Hold(path); err != nil {
				t.Fatal(err)
			}
			is(Running, now)
		}
		if err := os.Remove(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Hold(path), other.Hold(path)); err != nil || other.held {
		t.Errorf("%v; a second lock is held: %t", err, other.held)
	}
	is(Late, now.Add(time.Second))
	is(Running, time.Unix(0, 0)) // the clock was set back
	l.Release()
	is(Stopped, now)
}

// TestHoldBesideReader: a process that looks whether the agent runs, at the moment in which the agent takes its lock, does not keep it from that;
// one that keeps the lock does, and Hold then ends after 90 ms of pauses.
//
// Claim: A command that looks whether patchbay-agent runs, at the moment of its start, does not make it look stopped
func TestHoldBesideReader(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 9, 100} {
		path := filepath.Join(t.TempDir(), "status.json")
		reader, err := safefile.OpenDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(reader, unix.LOCK_SH|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		pauses, waited := 0, time.Duration(0)
		l := Lock{pause: func(d time.Duration) {
			waited += d
			if pauses++; pauses == after {
				_ = unix.Flock(reader, unix.LOCK_UN)
			}
		}}
		if err := l.Hold(path); err != nil || l.held != (after < 100) || pauses != min(after, 9) || waited > 100*time.Millisecond {
			t.Errorf("reader until pause %d: %v, held %t after %d pauses, %s", after, err, l.held, pauses, waited)
		}
		if got := Held(path); got != l.held {
			t.Errorf("reader until pause %d: Held is %t", after, got)
		}
		l.Release()
		_ = unix.Close(reader)
	}
}

// TestLockErrors: a lock that cannot be asked for is an error of Hold, and not held for a reader.
func TestLockErrors(t *testing.T) {
	t.Parallel()
	if isHeld(-1) {
		t.Error("a descriptor that is not open is locked")
	}
	l := Lock{pause: func(time.Duration) { t.Error("tried again") }}
	if err := l.take(-1); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
}

// FuzzRead: whatever the files have, they are an error, or have the format and no negative count.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"status.json", "peers.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
	}
	for _, text := range []string{
		`{"format": 2}`, `{"format": 1, "problems": 7, "peers": 7}`, `{"format": 1, "moreProblems": -9, "omitted": -9}`,
		`{"format": 1, "moreProblems": 9223372036854775807, "problems": [{}], "problemKinds": {"held": -1}, "omitted": 9223372036854775807}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := write(t, "f", string(text))
		s, err := Read(path)
		if (s == nil) == (err == nil) {
			t.Fatalf("%+v, %v", s, err)
		}
		p, failed := ReadPeers(path)
		if (p == nil) == (failed == nil) {
			t.Fatalf("%+v, %v", p, failed)
		}
		if p != nil && (p.Format != Format || p.Omitted < 0 || len(p.Peers) > MaxPeers) {
			t.Errorf("format %d, %d peers without %d", p.Format, len(p.Peers), p.Omitted)
		}
		if s == nil {
			return
		}
		if s.Format != Format || s.MoreProblems < 0 {
			t.Errorf("format %d, %d more problems", s.Format, s.MoreProblems)
		}
		for kind, count := range s.Kinds() {
			if count < 0 {
				t.Errorf("%d problems of kind %q", count, kind)
			}
		}
	})
}
