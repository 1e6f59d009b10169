package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// logEnv is the variable with the path of the log if the configuration has none; kindnet's plugin uses it too.
const logEnv = "CNI_LOG_FILE"

// maxLog is the size in bytes at which the log is rotated.
const maxLog = 10 << 20

// verbLog collects the log line of one verb. A nil verbLog logs nothing.
type verbLog struct {
	path  string
	begun time.Time
	line  logLine
}

// logLine is one line of the log. Times are UTC, durations in milliseconds.
type logLine struct {
	Time         string             `json:"time"` // start of the verb
	Verb         string             `json:"verb"`
	Network      string             `json:"network,omitempty"`
	ContainerID  string             `json:"containerID,omitempty"`
	IfName       string             `json:"ifname,omitempty"`
	Netns        string             `json:"netns,omitempty"`
	Owner        string             `json:"owner,omitempty"` // if not a runtime
	PodNamespace string             `json:"podNamespace,omitempty"`
	PodName      string             `json:"podName,omitempty"`
	PodUID       string             `json:"podUID,omitempty"`
	Traceparent  string             `json:"traceparent,omitempty"` // W3C trace context; libcni passes it
	Code         uint               `json:"code"`                  // 0 if it succeeded
	Msg          string             `json:"msg,omitempty"`
	Warnings     []string           `json:"warnings,omitempty"` // conditions that are no error of the verb and limit a container or the host
	Notes        []string           `json:"notes,omitempty"`    // what a verb did not need to do
	MS           float64            `json:"ms"`
	Steps        map[string]float64 `json:"steps,omitempty"`
}

// openLog returns the log of a verb, nil if no log is configured. It opens no file; without a log it costs a look at
// the environment and a search in the configuration.
func openLog(verb string, stdin []byte) *verbLog {
	path := os.Getenv(logEnv)
	if path == "" && !bytes.Contains(stdin, []byte(`"logFile"`)) {
		return nil
	}
	id := config.ParseLenient(stdin)
	if id.LogFile != "" {
		path = id.LogFile
	}
	if path == "" {
		return nil
	}
	now := time.Now()
	return &verbLog{path: path, begun: now, line: logLine{
		Time: now.UTC().Format(time.RFC3339Nano), Verb: verb, Network: id.Name, Traceparent: os.Getenv("TRACEPARENT"),
	}}
}

// about adds the attachment of a verb, and has its steps timed.
func (l *verbLog) about(req *attach.Request) {
	if l == nil {
		return
	}
	l.line.ContainerID, l.line.IfName, l.line.Netns = req.ContainerID, req.IfName, req.Netns
	if req.Owner != store.OwnerCNI {
		l.line.Owner = req.Owner
	}
	if args, err := config.ParseArgs(req.Args); err == nil {
		l.line.PodNamespace, l.line.PodName, l.line.PodUID = args.PodNamespace, args.PodName, args.PodUID
	}
	l.line.Steps = map[string]float64{}
	req.Warned = func(sentence string) { l.line.Warnings = append(l.line.Warnings, sentence) }
	req.Noted = func(sentence string) { noted(sentence); l.line.Notes = append(l.line.Notes, sentence) }
	req.Took = func(step string, d time.Duration) { l.line.Steps[step] += milliseconds(d) }
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// write writes the line. An error is printed on stderr, and the verb does not fail.
func (l *verbLog) write(e *types.Error) {
	if l == nil {
		return
	}
	if e != nil {
		l.line.Code, l.line.Msg = e.Code, e.Msg
	}
	l.line.MS = milliseconds(time.Since(l.begun))
	text, err := json.Marshal(l.line)
	if err == nil {
		err = appendLine(l.path, append(printable.JSON(text), '\n'))
	}
	if err != nil {
		complain("log: %s", oneLine(err))
	}
}

// logged runs a verb that a command calls, and writes its log line.
func logged(verb string, req attach.Request, run func(attach.Request) error) *types.Error {
	log := openLog(verb, req.Config)
	log.about(&req)
	var e *types.Error
	if err := run(req); err != nil {
		e = attach.CNIError(err)
	}
	log.write(e)
	return e
}

// appendLine writes with one write(2) and O_APPEND, so that lines of several processes do not mix. A process that opened
// the file before its rotation still writes to the old file.
func appendLine(path string, line []byte) error {
	f, err := openLogFile(path)
	if err != nil {
		return err
	}
	if again, failed := rotate(f, len(line)); again {
		f.Close()
		if f, err = openLogFile(path); err != nil {
			return err
		}
	} else if failed != nil {
		err = failed
	}
	defer f.Close()
	_, failed := f.Write(line)
	return errors.Join(err, failed)
}

// openLogFile follows no symbolic link in the last element, does not wait for a FIFO, and accepts only a regular file
// of root with one hard link.
func openLogFile(path string) (*safefile.Appender, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is not an absolute path", path)
	}
	return safefile.OpenAppend(path)
}

// rotate renames a full log to NAME.1, under a lock that other processes do not wait for. It returns true if there may
// be a new file at the path.
func rotate(f *safefile.Appender, more int) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 || info.Size()+int64(more) <= maxLog {
		return false, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false, nil // another process rotates it
	}
	if !f.Is() {
		return true, nil
	}
	if err := f.Rename(filepath.Base(f.Name()) + ".1"); err != nil {
		return false, err
	}
	return true, nil
}
