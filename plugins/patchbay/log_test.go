package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestLogIsOff: then a verb does not even make garbage for it.
//
// Claim: The log, off by default, has one line of JSON per verb, with code and message of the answer, the time of each step, pod and
// TRACEPARENT, and mode 0600
func TestLogIsOff(t *testing.T) {
	t.Setenv(logEnv, "")
	stdin := []byte(`{"cniVersion":"1.0.0","name":"net","type":"patchbay"}`)
	made := testing.AllocsPerRun(100, func() {
		log := openLog("ADD", stdin)
		log.about(nil)
		log.write(nil)
	})
	if made > 0 {
		t.Errorf("%v allocations", made)
	}
}

// TestLinesDoNotMix: each is written by one call, whatever its length.
//
// Claim: The log is rotated at 10 MB, and lines of concurrent writers are neither mixed nor lost
func TestLinesDoNotMix(t *testing.T) {
	const writers, each = 8, 300
	path := filepath.Join(t.TempDir(), "log")
	var all sync.WaitGroup
	for w := range writers {
		line := strings.Repeat(string(rune('a'+w)), 1000*(w+1)) + "\n"
		all.Go(func() {
			for range each {
				if err := appendLine(path, []byte(line)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	text := read(t, path+".1") + read(t, path)
	count := 0
	for line := range strings.Lines(text) {
		count++
		if letter := line[:1]; strings.Trim(line, letter) != "\n" || len(line) != 1000*int(letter[0]-'a'+1)+1 {
			t.Fatalf("line %d is of more than one writer: %.60q", count, line)
		}
	}
	if count != writers*each {
		t.Errorf("%d lines of %d", count, writers*each)
	}
}

// TestRotatedByAnother: who opened the log before it became the old one leaves the new one where it is.
//
// Claim: The log is rotated at 10 MB, and lines of concurrent writers are neither mixed nor lost
func TestRotatedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	full := strings.Repeat("x", maxLog)
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, err := openLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if err := appendLine(path, []byte("another's\n")); err != nil {
		t.Fatal(err)
	}
	if again, err := rotate(mine, 10); !again || err != nil {
		t.Errorf("again %v, %v", again, err)
	}
	if got := read(t, path); got != "another's\n" {
		t.Errorf("the new log is %.40q", got)
	}
	if got := read(t, path+".1"); got != full {
		t.Errorf("the old log has %d bytes", len(got))
	}
}

// read is the text of a file; "" without it.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}
