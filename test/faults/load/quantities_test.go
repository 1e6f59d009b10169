package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// quantity is what a sample has a value of. Its median in the last quarter of the samples may be larger than in the second one by a share of
// it, and by a number.
type quantity struct {
	name  string
	share float64
	more  float64
}

func (q quantity) limit(before float64) float64 { return before*(1+q.share) + q.more }

// Quantities that have several readers.
const (
	watcherRSS   = "RSS of reload --watch, KiB"
	watcherFiles = "file descriptors of reload --watch"
	addRSS       = "max RSS of an ADD, KiB"
	linkCount    = "links"
	elements     = "elements of nftables"
	logBytes     = "log, bytes"
	kernelKiB    = "kernel memory, KiB"
)

// quantities returns what must not grow. Counts have to be equal; the memory of a program of Go depends on when it collects garbage.
func quantities() []quantity {
	return []quantity{
		{watcherRSS, 0.1, 2048},
		{watcherFiles, 0, 0},
		{addRSS, 0.1, 1024},
		{linkCount, 0, 0},
		{elements, 0, 0},
		{"/run/patchbay, files", 0, 0},
		{"/run/patchbay, bytes", 0.01, 256},
		{"/var/lib/patchbay, files", 0, 0},
		{"/var/lib/patchbay, bytes", 0.01, 256},
		{kernelKiB, 0.1, 4096},
	}
}

// maxLog is the size of the log and of the one before it (docs/log.md).
const maxLog = 2*10_000_000 + 100_000

// sample has values by quantity.
type sample map[string]float64

func (s sample) String() string {
	text := fmt.Sprintf("round %.0f", s["round"])
	for _, q := range append(quantities(), quantity{name: logBytes}) {
		text += fmt.Sprintf("\t%s: %.0f", q.name, s[q.name])
	}
	return text
}

// take measures the host.
func (s *soak) take(t *testing.T) sample {
	t.Helper()
	now := sample{}
	pid := s.watcher.Process.Pid
	rss, running := statusOf(t, pid, "VmRSS")
	if !running {
		t.Fatal("reload --watch has ended")
	}
	now[watcherRSS] = rss
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	now[watcherFiles] = float64(len(open))
	now[linkCount] = float64(len(linksOf(t, s.h.Netns)))
	now[elements] = s.countElements(t)
	for _, dir := range []string{"/run/patchbay", "/var/lib/patchbay"} {
		now[dir+", files"], now[dir+", bytes"] = s.sizeOf(t, dir)
	}
	_, now[logBytes] = s.sizeOf(t, filepath.Dir(s.log))
	if now[logBytes] > maxLog {
		t.Errorf("the log has %.0f bytes, at most %d", now[logBytes], maxLog)
	}
	now[addRSS] = s.peakOfAdd(t)
	if value, measured := s.memory(); measured {
		now[kernelKiB] = value
	}
	return now
}

// statusOf returns a line of /proc/PID/status in KiB; false if the process has ended.
func statusOf(t *testing.T, pid int, name string) (float64, bool) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, name+":"); is {
			value, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return value, true
		}
	}
	return 0, false
}

// countElements counts the elements of all sets and maps.
func (s *soak) countElements(t *testing.T) float64 {
	t.Helper()
	var ruleset struct {
		Nftables []map[string]struct{ Elem []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(s.h.Run(t, "nft", "-j", "list", "sets")), &ruleset); err != nil {
		t.Fatal(err)
	}
	sets := len(ruleset.Nftables)
	n := 0
	var maps struct {
		Nftables []map[string]struct{ Elem []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(s.h.Run(t, "nft", "-j", "list", "maps")), &maps); err != nil {
		t.Fatal(err)
	}
	for _, object := range append(ruleset.Nftables, maps.Nftables...) {
		n += len(object["set"].Elem) + len(object["map"].Elem)
	}
	if n == 0 {
		t.Fatalf("no elements in %d sets and %d maps", sets, len(maps.Nftables))
	}
	return float64(n)
}

// sizeOf counts the files below a directory, and their bytes.
func (s *soak) sizeOf(t *testing.T, dir string) (files, bytes float64) {
	t.Helper()
	var err error
	s.h.Do(func() {
		err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			files++
			if err == nil {
				bytes += float64(info.Size())
			}
			return err
		})
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files, bytes
}

// peakOfAdd returns the largest memory that an ADD has had when it prints its result, in KiB. Standard output is a pipe that is full, so that the
// program is there. (The usage that wait4(2) returns has the memory of this process, which the kernel counts until execve.)
func (s *soak) peakOfAdd(t *testing.T) float64 {
	t.Helper()
	for range 10 {
		if peak, printed := s.peakOnce(t); printed {
			return peak
		}
	}
	t.Fatal("no ADD has printed a result")
	return 0
}

// peakOnce is peakOfAdd of one ADD, which may fail because another process held a lock for 10 s.
func (s *soak) peakOnce(t *testing.T) (peak float64, printed bool) {
	t.Helper()
	k := key{"dual", s.planner.ids[len(s.planner.ids)-1], "eth0"}
	r, w, err := os.Pipe()
	if err == nil {
		err = fill(int(w.Fd()))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	add := s.h.Command(nettest.Patchbay(t))
	add.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + k.ID, "CNI_NETNS=" + s.containers[k.ID].Path(), "CNI_IFNAME=" + k.IfName, "CNI_PATH=/nowhere"}
	add.Stdin, add.Stdout = strings.NewReader(string(s.planner.configOf(k).JSON(t))), w
	if err := add.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	for running := true; running && !prints(add.Process.Pid); _, running = statusOf(t, add.Process.Pid, "VmHWM") {
		time.Sleep(time.Millisecond) // the kernel has no event for the begin of a write
	}
	peak, printed = statusOf(t, add.Process.Pid, "VmHWM")
	_ = r.Close() // the ADD fails, and is undone
	_ = add.Wait()
	if d := s.detach(t, k); d.code != 0 {
		t.Errorf("%s: %s", d.op, d.answer)
	}
	return peak, printed
}

// fill writes into a pipe until no more fits.
func fill(fd int) error {
	err := unix.SetNonblock(fd, true)
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 1))
	}
	if !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("fill a pipe: %w", err)
	}
	return unix.SetNonblock(fd, false)
}

// prints reports whether a thread of a process is in write(2) on standard output, or there is none.
func prints(pid int) bool {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/syscall", pid, task.Name()))
		if strings.HasPrefix(string(text), fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE)) {
			return true
		}
	}
	return err != nil
}
