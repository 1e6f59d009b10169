package interrupt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const envChild = "PATCHBAY_INTERRUPT_CHILD" // set in a process that a test sends signals to: what it is to do

func TestMain(m *testing.M) {
	if todo := os.Getenv(envChild); todo != "" {
		child(todo)
	}
	os.Exit(m.Run())
}

// child does one thing with the signals, says so, and ends.
func child(todo string) {
	if rest, ok := strings.CutPrefix(todo, "ignored "); ok {
		ignore := action{handler: sigIgnore}
		_ = exchange(syscall.SIGHUP, &ignore, nil)
		todo = rest
	}
	ctx, stop := Catch()
	if todo == "stop" {
		stop()
	}
	if todo == "done and stop" {
		_ = ctx.Done()
		stop()
	}
	fmt.Println("ready")
	switch todo {
	case "err":
		for ctx.Err() == nil {
			runtime.Gosched()
		}
	case "done":
		<-ctx.Done()
	case "wait":
		time.Sleep(100 * time.Millisecond) // for a signal that does nothing there is no event
		if ctx.Err() == nil {
			fmt.Println("still here")
		}
		os.Exit(0)
	case "err then done":
		for ctx.Err() == nil {
			runtime.Gosched()
		}
		<-ctx.Done()
	default:
		time.Sleep(10 * time.Second) // the signal ends it
		os.Exit(3)
	}
	fmt.Println(ctx.Err(), errors.Is(ctx.Err(), context.Canceled))
	os.Exit(0)
}

// signalled starts a child, sends it signals, and returns what it said and how it ended.
func signalled(t *testing.T, todo string, signals ...syscall.Signal) (string, *os.ProcessState) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envChild+"="+todo)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if ready, err := lines.ReadString('\n'); ready != "ready\n" {
		t.Fatalf("the child says %q, %v", ready, err)
	}
	for _, s := range signals {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	said, _ := lines.ReadString('\n')
	_ = cmd.Wait()
	return strings.TrimSpace(said), cmd.ProcessState
}

// TestCaught: each of the signals is noticed, by those who ask and by those who wait, and many of
// them do no more than one.
func TestCaught(t *testing.T) {
	t.Parallel()
	for _, todo := range []string{"err", "done", "err then done"} {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			t.Run(todo+" "+s.String(), func(t *testing.T) {
				t.Parallel()
				said, ended := signalled(t, todo, s, s, s)
				if said != "context canceled true" || !ended.Success() {
					t.Errorf("it says %q and ended with %s", said, ended)
				}
			})
		}
	}
}

// TestIgnoredStaysIgnored: a process that nohup started outlives its terminal, whether it waits or not.
func TestIgnoredStaysIgnored(t *testing.T) {
	t.Parallel()
	for _, todo := range []string{"err", "done"} {
		t.Run(todo, func(t *testing.T) {
			t.Parallel()
			said, ended := signalled(t, "ignored "+todo, syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM)
			if said != "context canceled true" || !ended.Success() {
				t.Errorf("it says %q and ended with %s", said, ended)
			}
			said, ended = signalled(t, "ignored wait", syscall.SIGHUP)
			if said != "still here" || !ended.Success() {
				t.Errorf("after SIGHUP alone it says %q and ended with %s", said, ended)
			}
		})
	}
}

// TestManyAtOnce: who waits and who asks may be different goroutines (run with -race).
func TestManyAtOnce(t *testing.T) {
	ctx, stop := Catch()
	defer stop()
	child, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	asked := make(chan error, 8)
	for range cap(asked) {
		go func() {
			select {
			case <-ctx.Done():
			default:
			}
			asked <- errors.Join(ctx.Err(), child.Err())
		}()
	}
	for range cap(asked) {
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
	if _, has := ctx.Deadline(); has {
		t.Error("it has a deadline")
	}
}

// TestGivenBack: after stop the signals end the process as before.
func TestGivenBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		todo   string
		signal syscall.Signal
	}{{"stop", syscall.SIGTERM}, {"done and stop", syscall.SIGHUP}} {
		t.Run(tc.todo, func(t *testing.T) {
			t.Parallel()
			said, ended := signalled(t, tc.todo, tc.signal)
			status, ok := ended.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != tc.signal || said != "" {
				t.Errorf("it says %q and ended with %s, want death by %s", said, ended, tc.signal)
			}
		})
	}
}

// TestWithoutSignal: nothing is done.
func TestWithoutSignal(t *testing.T) {
	ctx, stop := Catch()
	defer stop()
	if ctx.Err() != nil {
		t.Errorf("without a signal: %v", ctx.Err())
	}
	select {
	case <-ctx.Done():
		t.Error("done without a signal")
	default:
	}
}
