package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// CountersFile is the file of the counters if the caller has no other.
const CountersFile = "/var/lib/patchbay/metrics.json"

// state is the content of the file of the counters.
type state struct {
	Verbs
	Logs map[string]position `json:"logs"` // by path
}

// Update adds the lines that the logs got since the last call with this file to its
// counters, writes the file, and returns the counters. Calls with one directory wait for
// each other. A log that cannot be read is skipped; the counters are valid beside an
// error of a log. Without a file, or with one that has another content, the counters
// begin with the lines that the logs still have.
func Update(file string, logs []string) (*Verbs, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("create directory of the counters: %w", err)
	}
	lock, err := safefile.OpenDir(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("open directory of the counters: %w", err)
	}
	defer unix.Close(lock)
	if err := unix.Flock(lock, unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock directory of the counters: %w", err)
	}
	s, err := readState(file)
	if err != nil {
		return nil, err
	}
	failed := s.readLogs(logs)
	text, err := json.Marshal(s)
	if err == nil {
		err = safefile.Write(file, 0o600, append(text, '\n'))
	}
	if err != nil {
		return nil, err
	}
	return &s.Verbs, failed
}

// readState reads the file of the counters.
func readState(file string) (*state, error) {
	s := &state{}
	text, err := safefile.Read(file, safefile.Rules{})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	if json.Unmarshal(text, s) != nil {
		s = &state{}
	}
	if s.Verbs.Verbs == nil {
		s.Verbs.Verbs = map[string]*Verb{}
	}
	if s.Steps == nil {
		s.Steps = map[string]float64{}
	}
	if s.Logs == nil {
		s.Logs = map[string]position{}
	}
	return s, nil
}

// readLogs adds the new lines of logs. Positions of logs that are not given stay: a
// configuration may come back.
func (s *state) readLogs(logs []string) (failed error) {
	for _, path := range logs {
		to, err := readNew(path, s.Logs[path], s.add, func() { s.BadLines++ })
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read log: %w", err))
			continue
		}
		if to != (position{}) {
			s.Logs[path] = to
		}
	}
	return failed
}
