package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Lines by which init reports beside the output of the tests.
const (
	beginMark = "\x01begin " // and a package
	endMark   = "\x01end "   // and a package and an exit status
	doneMark  = "\x01done"
)

// Exit statuses of compiled tests that have come to their end. One that reaches its limit panics, with status 2.
const (
	passed   = "0"
	failures = "1"
)

// do boots the kernel and converts what the tests print. The machine ends when they have ended, or with the timeout.
func (j *job) do() error {
	scratch, err := os.MkdirTemp("", "kernels")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	kernels, err := filepath.Glob(filepath.Join(j.kernel, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("%d kernels in %s/boot: %w", len(kernels), j.kernel, err)
	}
	j.release = strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	for _, pkg := range j.packages {
		printExceptions(os.Stderr, j.except(pkg))
	}
	initramfs := filepath.Join(scratch, "initramfs")
	if err := j.image(initramfs); err != nil {
		return err
	}
	for boots := 1; ; boots++ {
		began, err := j.boot(kernels[0], initramfs)
		if err == nil || began || boots == mostBoots {
			return err
		}
		fmt.Fprintf(os.Stderr, "kernels: it is booted again, because no test had begun: %v\n", err)
	}
}

// mostBoots is how often a machine is booted that ends before its first test: a kernel that patches its own code while two emulated CPUs run
// it ends in "Oops: int3" once in a while (docs/kernels.md).
const mostBoots = 3

// boot boots the kernel once, and reports whether a test began.
func (j *job) boot(kernel, initramfs string) (began bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), j.timeout)
	defer cancel()
	console := &tail{}
	cmd := j.command(ctx, kernel, initramfs)
	cmd.Stderr = console
	runtime.LockOSThread() // the signal is sent when the thread that starts the machine ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return false, fmt.Errorf("start %s: %w", j.qemu, err)
	}
	results := &tally{to: os.Stdout}
	r := convert(out, results)
	err = cmd.Wait()
	if j.table != "" {
		err = errors.Join(err, results.writeTable(j.table, j.name, j.release))
	}
	skips := results.skips()
	switch {
	case ctx.Err() != nil:
		return true, fmt.Errorf("the machine was ended after %s\n%s", j.timeout, console)
	case err != nil || !r.done:
		return r.began, fmt.Errorf("the machine ended early: %w\n%s", errors.Join(err, io.ErrUnexpectedEOF), console)
	case len(r.failed) > 0:
		return true, fmt.Errorf("failed: %s", strings.Join(r.failed, " "))
	case len(skips) > 0:
		return true, fmt.Errorf("skipped, and not in test/kernels/selection.go: %s", strings.Join(skips, ", "))
	}
	return true, nil
}

// command is the machine, with two serial ports: the console of the kernel, and what the tests print.
func (j *job) command(ctx context.Context, kernel, initramfs string) *exec.Cmd {
	arguments := append([]string{
		"-accel", "tcg", "-m", "3072", "-smp", strconv.Itoa(j.cpus), "-nodefaults", "-no-user-config",
		"-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initramfs, "-serial", "file:/dev/stderr",
		"-append", "console=" + j.arch().console + " quiet panic=-1 mitigations=off random.trust_cpu=on",
	}, j.arch().qemu...)
	return exec.CommandContext(ctx, j.qemu, arguments...)
}

// ran is what a machine has run.
type ran struct {
	began  bool     // a package
	failed []string // packages
	done   bool     // init came to its end
}

// convert prints the events of the tests.
func convert(from io.Reader, to *tally) (r ran) {
	in := bufio.NewReaderSize(from, 1<<20)
	var events *converter
	for {
		line, err := in.ReadString('\n')
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(word, beginMark):
			r.began = true
			events = startConverter(strings.TrimPrefix(word, beginMark), to)
		case strings.HasPrefix(word, endMark):
			name, status, _ := strings.Cut(strings.TrimPrefix(word, endMark), " ")
			events.close()
			events = nil
			if status == passed || status == failures {
				to.end(name)
			}
			if status != passed {
				r.failed = append(r.failed, name)
			}
		case word == doneMark:
			r.done = true
		case events != nil:
			events.write(line)
		}
		if err != nil {
			events.close()
			return r
		}
	}
}

// modulePath is what the names of packages begin with.
const modulePath = "github.com/patchbay-cni/patchbay/"

// converter is `go tool test2json` for one package.
type converter struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func startConverter(pkg string, to io.Writer) *converter {
	c := &converter{cmd: exec.Command("go", "tool", "test2json", "-t", "-p", modulePath+pkg)}
	c.cmd.Stdout, c.cmd.Stderr = to, os.Stderr
	in, err := c.cmd.StdinPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels: go tool test2json:", err)
		return nil
	}
	c.in = in
	return c
}

func (c *converter) write(line string) {
	if c != nil {
		_, _ = io.WriteString(c.in, line)
	}
}

func (c *converter) close() {
	if c != nil {
		_ = c.in.Close()
		_ = c.cmd.Wait()
	}
}

// tail keeps the end of what the console printed.
type tail struct{ text []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.text = append(t.text, p...)
	if len(t.text) > most {
		t.text = bytes.Clone(t.text[len(t.text)-most:])
	}
	return len(p), nil
}

// String returns it.
func (t *tail) String() string { return "the end of its console:\n" + string(t.text) }
