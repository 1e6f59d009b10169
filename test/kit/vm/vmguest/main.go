// Vmguest runs commands in a virtual machine of package vm: it reads requests from a virtio serial port and writes the answers to it, so
// that no command depends on the network of the machine. It is started by systemd before everything else, and runs as root.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/vm/wire"
)

func main() {
	for {
		err := serve()
		fmt.Fprintln(os.Stderr, "vmguest:", err)
		time.Sleep(200 * time.Millisecond) // until the port exists
	}
}

// serve answers requests until the port ends.
func serve() error {
	path, err := port()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	out := &answers{to: file}
	// The empty line ends what the machine was writing when it was reset.
	if _, err := file.WriteString("\n"); err != nil {
		return err
	}
	out.send(wire.Answer{Boot: strings.TrimSpace(string(boot))})
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		var r wire.Request
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("request %q: %w", line, err)
		}
		go func() { out.send(run(r)) }()
	}
}

// port returns the device of the serial port.
func port() (string, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.TrimSpace(string(text)) == wire.Port {
			return "/dev/" + filepath.Base(filepath.Dir(name)), nil
		}
	}
	return "", errors.New("the machine has no port " + wire.Port)
}

// run runs a command.
func run(r wire.Request) wire.Answer {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LANG=C.UTF-8"}
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = "/root", bytes.NewReader(r.Stdin), &stdout, &stderr
	err := cmd.Run()
	a := wire.Answer{ID: r.ID, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if cmd.ProcessState != nil {
		a.Exit = cmd.ProcessState.ExitCode()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		a.Error = err.Error()
	}
	return a
}

// answers writes one answer at a time.
type answers struct {
	mu sync.Mutex
	to io.Writer
}

func (o *answers) send(a wire.Answer) {
	line, err := json.Marshal(a)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmguest:", err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.to.Write(append(line, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "vmguest:", err)
	}
}
