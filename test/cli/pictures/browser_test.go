package pictures

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// browser is a page of a headless Chromium, driven by the DevTools protocol over two pipes: no port is opened.
type browser struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	session string
	last    int
	events  []event
}

type event struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Params json.RawMessage `json:"params"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browse opens a file in a new browser. Its requests and errors are events from the beginning.
func browse(t *testing.T, path string) *browser {
	t.Helper()
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, also, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(nettest.Program(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
		"--disable-background-networking", "--user-data-dir="+home, "--window-size=1400,1000", "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, also} // 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // without a test it ends by itself: its pipe is closed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	also.Close()
	b := &browser{t: t, to: to, from: bufio.NewReaderSize(from, 1<<20)}
	if err := from.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its own group
		_ = cmd.Wait()
		to.Close()
		from.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network", "Log", "Security"} {
		b.call(domain+".enable", nil, nil)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	b.call("Page.navigate", map[string]any{"url": (&url.URL{Scheme: "file", Path: absolute}).String()}, nil)
	b.await("Page.loadEventFired")
	return b
}

// call calls a method of the protocol. Events that come before its result are kept.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		message["params"] = map[string]any{}
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		e := b.next()
		if e.ID != b.last {
			b.events = append(b.events, e)
			continue
		}
		if e.Error != nil {
			b.t.Fatalf("%s: %s", method, e.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(e.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

func (b *browser) next() event {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser has closed its pipe: %v", err)
	}
	var e event
	if err := json.Unmarshal(text[:len(text)-1], &e); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// await waits for an event.
func (b *browser) await(method string) {
	b.t.Helper()
	for _, e := range b.events {
		if e.Method == method {
			return
		}
	}
	for {
		e := b.next()
		b.events = append(b.events, e)
		if e.Method == method {
			return
		}
	}
}

// eval returns the value of an expression, or of the promise that it is.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v: %s", expression, err, answer.Result.Value)
	}
}

// screenshot keeps a picture of the page in PATCHBAY_SCREENSHOTS, if that is set, and returns its size in bytes.
func (b *browser) screenshot(name string) int {
	b.t.Helper()
	var answer struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &answer)
	picture, err := base64.StdEncoding.DecodeString(answer.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if dir := os.Getenv("PATCHBAY_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	return len(picture)
}

// scheme makes the page see a light or dark desktop.
func (b *browser) scheme(value string) {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": value}}}, nil)
}

// complaints returns what the browser logged: errors of scripts, and what the content security policy refused.
func (b *browser) complaints() []string {
	var all []string
	for _, e := range b.events {
		switch e.Method {
		case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
			all = append(all, fmt.Sprintf("%s: %s", e.Method, e.Params))
		}
	}
	return all
}

// requests returns the addresses that the page requested.
func (b *browser) requests() []string {
	b.t.Helper()
	var all []string
	for _, e := range b.events {
		if e.Method != "Network.requestWillBeSent" {
			continue
		}
		var params struct{ Request struct{ URL string } }
		if err := json.Unmarshal(e.Params, &params); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, params.Request.URL)
	}
	return all
}
