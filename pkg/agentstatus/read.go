package agentstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Sizes in bytes above which a file is refused. The agent writes about 1 MB for 5 000 nodes.
const (
	MaxStatusBytes = 4 << 20
	MaxPeersBytes  = 16 << 20
)

// ErrFormat is a file of another version, written by an agent of another release.
var ErrFormat = errors.New("unknown format")

// Read reads a file of the state. Without the file it returns nil: there is no agent, or it was removed. Errors wrap ErrFormat, those of
// package safefile, or are about what is no JSON, all with the path.
func Read(path string) (*Status, error) {
	s := &Status{}
	there, err := read(path, MaxStatusBytes, s)
	if !there || err != nil {
		return nil, err
	}
	s.MoreProblems = count(s.MoreProblems)
	return s, nil
}

// ReadPeers reads a file of peers, nil without one. Errors are those of Read.
func ReadPeers(path string) (*Peers, error) {
	p := &Peers{}
	there, err := read(path, MaxPeersBytes, p)
	if !there || err != nil {
		return nil, err
	}
	p.Omitted = count(p.Omitted)
	if more := len(p.Peers) - MaxPeers; more > 0 {
		p.Peers, p.Omitted = p.Peers[:MaxPeers], p.Omitted+more
	}
	return p, nil
}

// count returns a count of a file as one to which the length of a list can be added: neither negative nor so large that the sum would be.
func count(n int) int { return min(max(0, n), 1<<30) }

// read decodes a file, and compares its format before the rest: another version may have other types.
func read(path string, most int64, into any) (there bool, err error) {
	text, err := safefile.Read(path, safefile.Rules{MaxBytes: most})
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("read what patchbay-agent has written: %w", err)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return true, fmt.Errorf("%s, which patchbay-agent has written, cannot be read: %w", path, err)
	}
	if version.Format != Format {
		return true, fmt.Errorf("%s: %w %d, and this program reads %d: use patchbay and patchbay-agent of one release", path, ErrFormat, version.Format, Format)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return true, fmt.Errorf("%s, which patchbay-agent has written, cannot be read: %w", path, err)
	}
	return true, nil
}

// Activity says whether an agent keeps the state true.
type Activity string

// The values of Activity.
const (
	Running Activity = "running"
	Late    Activity = "late"    // it runs, but its last pass is older than two intervals
	Stopped Activity = "stopped" // no process has the lock
)

// Activity returns whether the agent that has written a state runs. The lock is that of the directory of path.
func (s *Status) Activity(path string, now time.Time) Activity {
	switch {
	case !Held(path):
		return Stopped
	case now.Sub(s.LastPass) > 2*time.Duration(s.Interval)*time.Second:
		return Late
	}
	return Running
}
