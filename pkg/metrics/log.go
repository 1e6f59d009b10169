package metrics

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/fnv"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// maxLogBytes is the greatest size of a log that is read: the plugin rotates it at 10 MB.
const maxLogBytes = 64 << 20

// maxFirstLine is how many bytes of a log identify it at most: a line begins with its time.
const maxFirstLine = 4 << 10

// position is how far a log was read.
type position struct {
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
	Head   uint64 `json:"head"`   // hash of the first line: a new file may get the inode of one that was deleted
	Offset int64  `json:"offset"` // bytes, after the end of a line
}

// is reports whether a file, by the position of its beginning, is the one that was read.
func (p position) is(file position) bool {
	return p.Dev == file.Dev && p.Ino == file.Ino && (p.Offset == 0 || p.Head == file.Head)
}

// beginning returns the position at the beginning of a file.
func beginning(f *safefile.File) (position, error) {
	text, err := f.Start(maxFirstLine)
	if err != nil {
		return position{}, err
	}
	p := position{}
	p.Dev, p.Ino = f.Inode()
	first, _, complete := bytes.Cut(text, []byte("\n"))
	if complete || len(text) == maxFirstLine {
		hash := fnv.New64a()
		hash.Write(first)
		p.Head = hash.Sum64()
	}
	return p, nil
}

// line is what the counters need of a line of the log (docs/log.md).
type line struct {
	Verb  string             `json:"verb"`
	Code  uint               `json:"code"`
	MS    float64            `json:"ms"`
	Steps map[string]float64 `json:"steps"` // milliseconds
}

// readNew adds the lines that a log got since a position, also those at the end of the
// file that was rotated to NAME.1, and returns the new position. A log that does not
// exist yet has no lines. A file that is shorter than the position was truncated, and is
// read from its beginning.
func readNew(path string, from position, add func(line), bad func()) (position, error) {
	f, err := openLog(path)
	if errors.Is(err, os.ErrNotExist) {
		return from, nil
	}
	if err != nil {
		return from, err
	}
	defer f.Close()
	to, err := beginning(f)
	if err != nil {
		return from, err
	}
	if from.is(to) && f.Size() >= from.Offset {
		to.Offset = from.Offset
	} else if err := readRotated(path+".1", from, add, bad); err != nil {
		return from, err
	}
	to.Offset, err = readLines(f, to.Offset, add, bad)
	return to, err
}

// readRotated adds the rest of the file that had the position. Another file, and none,
// have no lines that are new; before the first call all of them are.
func readRotated(path string, from position, add func(line), bad func()) error {
	f, err := openLog(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	defer f.Close()
	at, err := beginning(f)
	if err != nil || from != (position{}) && !from.is(at) {
		return err
	}
	_, err = readLines(f, from.Offset, add, bad)
	return err
}

func openLog(path string) (*safefile.File, error) {
	return safefile.Open(path, safefile.Rules{SharedGroup: true, MaxBytes: maxLogBytes})
}

// readLines adds the complete lines from an offset, and returns the offset behind them.
func readLines(f *safefile.File, offset int64, add func(line), bad func()) (int64, error) {
	text, err := f.ReadFrom(offset)
	if err != nil {
		return offset, err
	}
	for {
		one, rest, complete := bytes.Cut(text, []byte("\n"))
		if !complete {
			return offset, nil // a line that is being written
		}
		var l line
		if err := json.Unmarshal(one, &l); err != nil {
			bad()
		} else {
			add(l)
		}
		offset, text = offset+int64(len(one))+1, rest
	}
}
