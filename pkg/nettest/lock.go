package nettest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitWaiter waits until a process is blocked by a flock(2) that the test holds on a file: then
// /proc/locks has a line with "->". It ends the test after ten seconds.
func AwaitWaiter(t testing.TB, lock *os.File) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(lock.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		table, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, "->") && strings.Contains(line, ":"+strconv.FormatUint(stat.Ino, 10)+" ") {
				return
			}
		}
	}
	t.Fatalf("no process waits for the lock of %s", lock.Name())
}
