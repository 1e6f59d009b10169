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

// envOther is set in the process that startOther starts: the directory that has Dirs in it.
const envOther = "PATCHBAY_STORE_OTHER"

// TestMain lets this program be another process as well: a verb of another patchbay.
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

// beOther does what the words on stdin say, and writes each back when it is done.
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
			err = a.Forget()
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

// other is that process, seen from a test.
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

// does has the process do something and returns when it is done.
func (o *other) does(word string) {
	o.t.Helper()
	fmt.Fprintln(o.words, word)
	if !o.done.Scan() || o.done.Text() != word {
		o.t.Fatalf("the other process did not %s: %q", word, o.done.Text())
	}
}

// kill is kill -9: the process does nothing any more, the kernel takes its locks away.
func (o *other) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func (o *other) pid() int { return o.cmd.Process.Pid }

// awaitWaiter returns when somebody waits for the lock of the file that path leads to.
func awaitWaiter(t *testing.T, path string) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	for range 10_000 { // there is no event to wait for, only a table to look at
		if isAwaited(inode) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("nobody waits for the lock of %s", path)
}

// isAwaited looks for `1: -> FLOCK ADVISORY WRITE 4711 00:19:1234 0 EOF` in /proc/locks.
func isAwaited(inode string) bool {
	table, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 6 && fields[1] == "->" && fields[6] == inode {
			return true
		}
	}
	return false
}
