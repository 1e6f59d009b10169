package delegate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// plugin writes a plugin that is a shell script.
func plugin(t *testing.T, commands string) *Plugin {
	t.Helper()
	return &Plugin{Name: "fake", Path: nettest.Script(t, commands), Deadline: time.Minute, Stderr: io.Discard}
}

// failure returns the *Error of a call and checks its reason.
func failure(t *testing.T, err, reason error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, reason) {
		t.Fatalf("got %v, want: %v", err, reason)
	}
	return e
}

// TestDeadline: a plugin that takes too long is killed, and no other process.
//
// Claim: An IPAM plugin that hangs is killed at a deadline, and when the ADD is killed, also with SIGKILL
func TestDeadline(t *testing.T) {
	t.Parallel()
	p := plugin(t, "echo waiting >&2; exec sleep 600")
	p.Deadline = 300 * time.Millisecond
	begun := time.Now()
	guard, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := p.Call(guard, "ADD", nil)
	e := failure(t, err, ErrTimeout)
	if e.Msg != p.String()+": no answer within 300ms" || e.Details != "on stderr it said: waiting" || !e.Started {
		t.Errorf("got %+v", e)
	}
	if took := time.Since(begun); took < p.Deadline {
		t.Errorf("it took %v", took)
	}
}

// TestContextEndsACall: when ctx ends, a running plugin is killed and none is started.
//
// Claim: An IPAM plugin that hangs is killed at a deadline, and when the ADD is killed, also with SIGKILL
func TestContextEndsACall(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := plugin(t, "echo >"+fifo+"; exec sleep 600")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := p.Call(ctx, "ADD", nil)
		ended <- err
	}()
	if _, err := os.ReadFile(fifo); err != nil { // the plugin is running
		t.Fatal(err)
	}
	cancel()
	if e := failure(t, <-ended, ErrInterrupted); !e.Started {
		t.Errorf("got %+v", e)
	}
	_, err := p.Call(ctx, "ADD", nil)
	if e := failure(t, err, ErrInterrupted); e.Started {
		t.Errorf("got %+v", e)
	}
}

// TestOutputs: output larger than a pipe is read completely; the end of stderr is kept and all of it passed on.
//
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
func TestOutputs(t *testing.T) {
	t.Parallel()
	p := plugin(t, `echo -n '{"x": "'; head -c 4000000 /dev/zero | tr '\0' x; echo '"}'
		echo begin >&2; head -c 300000 /dev/zero | tr '\0' y >&2; echo end >&2; cat >&2; exit $CODE`)
	var stderr bytes.Buffer
	p.Stderr = &stderr
	out, err := p.CallFor(context.Background(), []string{"CNI_COMMAND=ADD", "CODE=0"}, []byte(strings.Repeat("config", 50000)))
	if err != nil || len(out) != 4000000+len(`{"x": ""}`)+1 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if want := len("begin\nend\n") + 300000 + 6*50000; stderr.Len() != want || !strings.HasPrefix(stderr.String(), "begin\n") {
		t.Errorf("%d bytes on stderr, want %d", stderr.Len(), want)
	}
	_, err = p.CallFor(context.Background(), []string{"CNI_COMMAND=DEL", "CODE=4"}, []byte("the end"))
	e := failure(t, err, ErrGarbage)
	if !strings.HasSuffix(e.Details, "end the end") || len(e.Details) > 600 || strings.Contains(e.Details, "begin") {
		t.Errorf("details are %q", e.Details)
	}
}

// TestEnvironmentIsOurs: the plugin has this process's environment with the changed variables.
//
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
func TestEnvironmentIsOurs(t *testing.T) {
	t.Setenv("CNI_COMMAND", "GC")
	t.Setenv("CNI_CONTAINERID", "old")
	t.Setenv("SOMETHING", "else")
	p := plugin(t, `echo "{\"is\": \"$CNI_COMMAND $CNI_CONTAINERID $SOMETHING $(tr '\\0' '\\n' </proc/$$/environ | grep -c ^CNI_COMMAND=)\"}"`)
	for want, changed := range map[string][]string{
		"DEL old else 1": {"CNI_COMMAND=DEL"},
		"DEL new else 1": {"CNI_COMMAND=DEL", "CNI_CONTAINERID=new"},
	} {
		out, err := p.CallFor(context.Background(), changed, nil)
		if err != nil || string(out) != `{"is": "`+want+`"}`+"\n" {
			t.Errorf("got %s, %v, want %s", out, err, want)
		}
	}
}

// TestErrorOfThePlugin: code, message and details of its error are kept; details also have the end of its stderr.
//
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
func TestErrorOfThePlugin(t *testing.T) {
	t.Parallel()
	for commands, want := range map[string]Error{
		`echo '{"code": 11, "msg": "later", "details": "wait"}'; exit 1`:                {Code: 11, Msg: ": later", Details: "wait"},
		`echo '{"code": 11, "msg": "later", "details": "wait"}'; echo why >&2; exit 99`: {Code: 11, Msg: ": later", Details: "wait; on stderr it said: why"},
		`echo '{"code": 5, "msg": "no"}'; exit 1`:                                       {Code: 5, Msg: ": no"},
		`echo '{"msg": "no code"}'; exit 1`:                                             {Code: 0, Msg: ": no code"},
	} {
		p := plugin(t, commands)
		_, err := p.Call(context.Background(), "DEL", nil)
		e := failure(t, err, ErrRefused)
		if e.Code != want.Code || e.Msg != p.String()+want.Msg || e.Details != want.Details {
			t.Errorf("%s: got %+v", commands, e)
		}
	}
	if out, err := plugin(t, "true").Call(context.Background(), "DEL", nil); err != nil || len(out) != 0 {
		t.Errorf("a DEL without output: %q, %v", out, err)
	}
}

// TestFind: the first executable of the name is found, or the error says why there is none.
//
// Claim: The name of the executable selects main plugin or IPAM plugin; a main plugin's configuration never succeeds without an interface
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
func TestFind(t *testing.T) {
	t.Parallel()
	script := nettest.Script(t, "true")
	dir, name := filepath.Dir(script), filepath.Base(script)
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(other, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, "/nowhere:" + dir, ":" + other + ":" + dir} {
		if p, err := Find(name, path); err != nil || p.Path != script || p.Deadline != Patience {
			t.Errorf("in %q: %+v, %v", path, p, err)
		}
	}
	for _, tc := range []struct {
		name, path string
		reason     error
	}{
		{name, "", ErrNotFound},
		{name, "/nowhere", ErrNotFound},
		{"dir", other, ErrNotFound},
		{name, other, ErrNotExecutable},
		{"", dir, ErrName},
		{"..", dir, ErrName},
		{"../" + filepath.Base(dir) + "/" + name, dir, ErrName},
		{name + "\x00", dir, ErrName},
	} {
		_, err := Find(tc.name, tc.path)
		if e := failure(t, err, tc.reason); e.Started {
			t.Errorf("%q in %q: %+v", tc.name, tc.path, e)
		}
	}
	if p := (&Plugin{Path: script}); p.IsSelf() {
		t.Error("a script is this program")
	}
	if p := (&Plugin{Path: "/proc/self/exe"}); !p.IsSelf() {
		t.Error("this program is another")
	}
	for name, same := range copies(t) {
		if got := (&Plugin{Path: name}).IsSelf(); got != same {
			t.Errorf("%s: this program %t, want %t", name, got, same)
		}
	}
}

// copies returns files, and whether each is a link to this program, a copy, or another version of it.
func copies(t *testing.T) map[string]bool {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{dir + "/link": true, dir + "/copy": true, dir + "/version": true, dir + "/package": false, dir + "/shorter": false, dir + "/no-sections": false, dir + "/none": false}
	version := append(bytes.Clone(text), 0)
	sections := bytes.Clone(text)
	sections[elfSections+7] = 0x80 // a negative offset
	err = errors.Join(
		os.Symlink("/proc/self/exe", dir+"/link"), os.WriteFile(dir+"/copy", text, 0o600),
		os.WriteFile(dir+"/version", version, 0o600), os.WriteFile(dir+"/no-sections", sections, 0o600),
		os.WriteFile(dir+"/package", bytes.ReplaceAll(version, []byte("path\tgithub.com"), []byte("path\tgithub.org")), 0o600), os.WriteFile(dir+"/shorter", text[1:], 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
