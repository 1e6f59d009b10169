package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// logEnv names the log where the configuration does not; kindnet's plugin has the same variable.
const logEnv = "CNI_LOG_FILE"

// maxLog is the size in bytes at which the log becomes the old one, and a new one is begun.
const maxLog = 10 << 20

// verbLog is what the log gets of one verb. The nil verbLog is one that is off.
type verbLog struct {
	path  string
	begun time.Time
	line  logLine
}

// logLine is one line of the log. Times are UTC, durations in milliseconds.
type logLine struct {
	Time         string             `json:"time"` // when the verb began
	Verb         string             `json:"verb"`
	Network      string             `json:"network,omitempty"`
	ContainerID  string             `json:"containerID,omitempty"`
	IfName       string             `json:"ifname,omitempty"`
	Netns        string             `json:"netns,omitempty"`
	Owner        string             `json:"owner,omitempty"` // unless it is a runtime
	PodNamespace string             `json:"podNamespace,omitempty"`
	PodName      string             `json:"podName,omitempty"`
	PodUID       string             `json:"podUID,omitempty"`
	Traceparent  string             `json:"traceparent,omitempty"` // W3C trace context; libcni passes it
	Code         uint               `json:"code"`                  // 0 if it succeeded
	Msg          string             `json:"msg,omitempty"`
	Warnings     []string           `json:"warnings,omitempty"` // what is no error and hurts somebody
	MS           float64            `json:"ms"`
	Steps        map[string]float64 `json:"steps,omitempty"`
}

// openLog begins the line of a verb, if somebody wants one. Nothing is opened yet, and where
// nobody does this costs a look at the environment and at the bytes of the configuration.
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

// about notes what a verb is about, and has its steps timed.
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
	req.Took = func(step string, d time.Duration) { l.line.Steps[step] += milliseconds(d) }
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// write ends the line. A log that cannot be written is told on stderr, and fails nothing.
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
		err = appendLine(l.path, append(text, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "patchbay: log:", err)
	}
}

// logged runs a verb that no runtime has called.
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

// appendLine writes by one call of write(2) with O_APPEND, so that lines of many processes do not
// mix. One that opened the file before it became the old one writes there.
func appendLine(path string, line []byte) error {
	f, err := openLogFile(path)
	if err != nil {
		return err
	}
	if again, failed := rotate(f, path, len(line)); again {
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

// openLogFile follows no link in the last place, waits for no pipe, and writes to nothing but a file of one name.
func openLogFile(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is not an absolute path", path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if there, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || !ok || there.Nlink > 1 {
		f.Close()
		return nil, fmt.Errorf("%s is no file, or has a second name", path)
	}
	return f, nil
}

// rotate makes a log that is full the old one, whose place it takes. Only one process does, under a
// lock that nobody waits for; true if there may be a new file at the path now.
func rotate(f *os.File, path string, more int) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 || info.Size()+int64(more) <= maxLog {
		return false, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false, nil // another one is at it
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, info) {
		return true, nil
	}
	if err := os.Rename(path, path+".1"); err != nil {
		return false, err
	}
	return true, nil
}
