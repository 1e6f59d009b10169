package kmod

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLists(t *testing.T) {
	const list = "kernel/net/bridge/bridge.ko\nkernel/net/netfilter/nf_tables.ko\n"
	for module, want := range map[string]bool{"bridge": true, "nf_tables": true, "tables": false, "bridge.ko": false, "veth": false, "": false} {
		if got := lists([]byte(list), module); got != want {
			t.Errorf("lists(%q): got %v", module, got)
		}
	}
}

// TestLoaded: whether a module is loaded, a part of the kernel, or the kernel has no modules, nobody waits for it.
func TestLoaded(t *testing.T) {
	entries, err := os.ReadDir("/sys/module")
	if err != nil || len(entries) == 0 {
		t.Fatalf("no module: %v", err)
	}
	unlock, missing := Lock(entries[0].Name())
	defer unlock()
	if missing {
		t.Errorf("%s is missing", entries[0].Name())
	}
}

// TestOneAtATime: a second process waits for the one that has the lock, and gets it when that one ends.
//
// Claim: One process at a time makes the kernel load a module
func TestOneAtATime(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can open " + lockFile)
	}
	holder := exec.Command("flock", "-x", lockFile, "sh", "-c", "echo locked; read end")
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := out.Read(make([]byte, len("locked\n"))); err != nil {
		t.Fatal(err)
	}
	got := make(chan func(), 1)
	go func() { got <- wait() }()
	select {
	case <-got:
		t.Fatal("two processes have the lock")
	case <-time.After(200 * time.Millisecond):
	}
	in.Close()
	unlock := <-got
	if err := holder.Wait(); err != nil && !strings.Contains(err.Error(), "exit status 1") { // of read at the end of its input
		t.Error(err)
	}
	other, err := os.Open(lockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		t.Error("wait returned without the lock")
	}
	unlock()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("after unlock: %v", err)
	}
}
