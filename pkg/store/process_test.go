package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envOther is set in the process that startOther starts, to the parent directory of its Dirs.
const envOther = "PATCHBAY_STORE_OTHER"

// TestMain lets this program also run as another process that holds a lock.
func TestMain(m *testing.M) {
	base := os.Getenv(envOther)
	if base == "" {
		os.Exit(m.Run())
	}
	if err := beOther(dirsIn(base)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beOther executes the commands on stdin and writes each one back when it is done.
func beOther(dirs Dirs) error {
	a, n := &Attachment{}, &network{}
	words := bufio.NewScanner(os.Stdin)
	for words.Scan() {
		var err error
		switch words.Text() {
		case "open":
			a, err = Open(context.Background(), dirs, keyFor("c1"))
		case "save":
			err = a.Save(newRecord(a.Key))
		case "forget":
			err = a.Remove()
		case "close":
			err = a.Close()
		case "lock addresses":
			n, err = openNetwork(context.Background(), dirs, "net")
		case "unlock addresses":
			n.close()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", words.Text(), err)
		}
		fmt.Println(words.Text())
	}
	return words.Err()
}

// other is that process as a test sees it.
type other struct {
	t     *testing.T
	cmd   *exec.Cmd
	words io.Writer
	done  *bufio.Scanner
}

func startOther(t *testing.T, dirs Dirs) *other {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envOther+"="+filepath.Dir(dirs.State))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &other{t, cmd, in, bufio.NewScanner(out)}
	t.Cleanup(o.kill)
	return o
}

// does sends a command to the process and returns when it is done.
func (o *other) does(word string) {
	o.t.Helper()
	fmt.Fprintln(o.words, word)
	if !o.done.Scan() || o.done.Text() != word {
		o.t.Fatalf("the other process did not %s: %q", word, o.done.Text())
	}
}

// kill sends SIGKILL; the kernel releases the locks of the process.
func (o *other) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func (o *other) pid() int { return o.cmd.Process.Pid }

// awaitWaiter returns when a process waits for the lock of the file at path.
func awaitWaiter(t *testing.T, path string) {
	t.Helper()
	awaitWaiters(t, path, 1)
}

// awaitWaiters returns when so many processes wait.
func awaitWaiters(t *testing.T, path string, count int) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	for range 10_000 { // the kernel sends no event for this, so the table is polled
		if waiting(inode) >= count {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d processes wait for the lock of %s, want %d", waiting(inode), path, count)
}

// waiting counts the lines `1: -> FLOCK ADVISORY WRITE 4711 00:19:1234 0 EOF` in /proc/locks.
func waiting(inode string) (count int) {
	table, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 6 && fields[1] == "->" && fields[6] == inode {
			count++
		}
	}
	return count
}
