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
	ctx, cancel := context.WithTimeout(context.Background(), j.timeout)
	defer cancel()
	console := &tail{}
	// Two serial ports: the console of the kernel, and what the tests print.
	arguments := append([]string{
		"-accel", "tcg", "-m", "3072", "-smp", strconv.Itoa(j.cpus), "-nodefaults", "-no-user-config",
		"-display", "none", "-no-reboot", "-kernel", kernels[0], "-initrd", initramfs, "-serial", "file:/dev/stderr",
		"-append", "console=" + j.arch().console + " quiet panic=-1 mitigations=off random.trust_cpu=on",
	}, j.arch().qemu...)
	cmd := exec.CommandContext(ctx, j.qemu, arguments...)
	cmd.Stderr = console
	runtime.LockOSThread() // the signal is sent when the thread that starts the machine ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", j.qemu, err)
	}
	results := &tally{to: os.Stdout}
	failed, done := convert(out, results)
	err = cmd.Wait()
	if j.table != "" {
		err = errors.Join(err, results.writeTable(j.table, j.name, j.release))
	}
	skips := results.skips()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the machine was ended after %s\n%s", j.timeout, console)
	case err != nil || !done:
		return fmt.Errorf("the machine ended early: %w\n%s", errors.Join(err, io.ErrUnexpectedEOF), console)
	case len(failed) > 0:
		return fmt.Errorf("failed: %s", strings.Join(failed, " "))
	case len(skips) > 0:
		return fmt.Errorf("skipped, and not in test/kernels/selection.go: %s", strings.Join(skips, ", "))
	}
	return nil
}

// convert prints the events of the tests, and returns the packages that failed and whether init came to its end.
func convert(from io.Reader, to *tally) (failed []string, done bool) {
	in := bufio.NewReaderSize(from, 1<<20)
	var events *converter
	for {
		line, err := in.ReadString('\n')
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(word, beginMark):
			events = startConverter(strings.TrimPrefix(word, beginMark), to)
		case strings.HasPrefix(word, endMark):
			name, status, _ := strings.Cut(strings.TrimPrefix(word, endMark), " ")
			events.close()
			events = nil
			if status == passed || status == failures {
				to.end(name)
			}
			if status != passed {
				failed = append(failed, name)
			}
		case word == doneMark:
			done = true
		case events != nil:
			events.write(line)
		}
		if err != nil {
			events.close()
			return failed, done
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
