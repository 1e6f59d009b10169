package metrics

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// site is a directory with a log and a file of counters.
type site struct {
	dir, log, file string
}

func newSite(t *testing.T) site {
	t.Helper()
	dir := t.TempDir()
	return site{dir, filepath.Join(dir, "log"), filepath.Join(dir, "state", "metrics.json")}
}

// append adds text to the log.
func (s site) append(t *testing.T, text string) {
	t.Helper()
	f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// adds returns n lines of an ADD that took 2 ms.
func adds(n int) string {
	return strings.Repeat(`{"verb":"ADD","code":0,"ms":2,"steps":{"plug":1}}`+"\n", n)
}

// counted calls Update and requires a number of successful ADDs.
func (s site) counted(t *testing.T, want uint64) *Verbs {
	t.Helper()
	v, err := Update(s.file, []string{s.log})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.verb("ADD").Codes[0]; got != want {
		t.Errorf("%d ADDs, want %d", got, want)
	}
	return v
}

// TestUpdate: each line is counted once, over rotation and truncation, and an incomplete one when it is complete.
//
// Claim: `metrics` counts each line of the log once: rotation, truncation and a line that is being written do not change its counters
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.counted(t, 0)
	s.append(t, adds(3))
	s.counted(t, 3)
	s.counted(t, 3)
	s.append(t, adds(1)+`{"verb":"ADD","code":`)
	s.counted(t, 4)
	s.append(t, `0,"ms":2}`+"\n")
	s.counted(t, 5)

	s.append(t, adds(2)) // not read before the rotation
	if err := os.Rename(s.log, s.log+".1"); err != nil {
		t.Fatal(err)
	}
	s.append(t, adds(1))
	s.counted(t, 8)
	s.counted(t, 8)
	if err := os.Truncate(s.log, 0); err != nil {
		t.Fatal(err)
	}
	s.append(t, `{"verb":"ADD","code":0,"ms":2}`+"\n")
	v := s.counted(t, 9)
	if got, want := v.Steps["plug"], 0.007; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("step plug: %v s, want %v", got, want)
	}
}

// TestFirstUpdate: the first call counts what the log and the one before it have.
func TestFirstUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.append(t, adds(2))
	if err := os.Rename(s.log, s.log+".1"); err != nil {
		t.Fatal(err)
	}
	s.append(t, adds(1))
	s.counted(t, 3)
}

// TestRemovedLog: a log that another program removed keeps its counters, and another file at the place of the rotated one is not read.
func TestRemovedLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.append(t, adds(2))
	s.counted(t, 2)
	if err := os.Remove(s.log); err != nil {
		t.Fatal(err)
	}
	s.counted(t, 2)
	if err := os.WriteFile(s.log+".1", []byte(`{"time":"later","verb":"ADD","ms":2}`+"\n"+adds(5)), 0o600); err != nil { // it may get the inode of the other one
		t.Fatal(err)
	}
	s.append(t, `{"time":"last","verb":"ADD","ms":2}`+"\n")
	s.counted(t, 3)
}

// TestBadCounters: a file of counters that is damaged begins again; a line that is none is counted as one.
func TestBadCounters(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"verbs":{"ADD":null}}`, `{"verbs":{"ADD":{"codes":{"0":7},"buckets":[7]}}}`, `{"logs":{"x":{"offset":-5}}}`} {
		s := newSite(t)
		if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.append(t, adds(1)+"no JSON\n"+`{"verb":"NONE","ms":1}`+"\n"+`{"verb":"DEL","ms":-1}`+"\n"+`{"verb":"DEL","ms":1e308}`+"\n")
		v := s.counted(t, 1)
		if v.BadLines != 4 {
			t.Errorf("%q: %d bad lines, want 4", text, v.BadLines)
		}
	}
}

// TestRefusedLog: a log that is another kind of file is an error, and the other logs are counted.
func TestRefusedLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.append(t, adds(1))
	link := filepath.Join(s.dir, "link")
	if err := os.Symlink(s.log, link); err != nil {
		t.Fatal(err)
	}
	v, err := Update(s.file, []string{link, s.dir, s.log})
	if err == nil || strings.Count(err.Error(), "read log") != 2 {
		t.Errorf("got %v, want an error for the link and one for the directory", err)
	}
	if v == nil || v.verb("ADD").Codes[0] != 1 {
		t.Errorf("got %+v, want the line of the third", v)
	}
}

// TestFewLabels: the log cannot make more time series than the limits.
func TestFewLabels(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var text strings.Builder
	for i := range 2 * mostCodes {
		fmt.Fprintf(&text, `{"verb":"ADD","code":%d,"ms":1,"steps":{"s%d":1}}`+"\n", i, i)
	}
	s.append(t, text.String())
	v := s.counted(t, 1)
	if len(v.verb("ADD").Codes) != mostCodes || len(v.Steps) != mostSteps || v.BadLines != mostCodes {
		t.Errorf("%d codes, %d steps, %d bad lines", len(v.verb("ADD").Codes), len(v.Steps), v.BadLines)
	}
}

// TestDurations: a bucket has the calls that took at most its bound, and those of smaller bounds.
func TestDurations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, ms := range []float64{0.5, 1, 1.1, 30_000, 61_000} {
		s.append(t, fmt.Sprintf(`{"verb":"DEL","code":11,"ms":%v}`+"\n", ms))
	}
	v := s.counted(t, 0)
	e := &exposition{}
	e.writeDurations("d", "DEL", v.verb("DEL"))
	for _, want := range []string{
		`d_bucket{le="0.001"} 2`, `d_bucket{le="0.0025"} 3`, `d_bucket{le="10"} 3`, `d_bucket{le="30"} 4`, `d_bucket{le="60"} 4`, `d_bucket{le="+Inf"} 5`, "d_count 5",
	} {
		if !strings.Contains(e.String(), want+"\n") {
			t.Errorf("no line %q in:\n%s", want, e)
		}
	}
}

// TestSample: values of labels are escaped.
func TestSample(t *testing.T) {
	t.Parallel()
	e := &exposition{}
	e.sample("m", 1.5, "a", "x\\y\n\"z\"", "b", "\xff")
	e.sample("n", 1e9)
	if diff := cmp.Diff("m{a=\"x\\\\y\\n\\\"z\\\"\",b=\"\uFFFD\"} 1.5\nn 1e+09\n", e.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzUpdate: whatever the log has, the counters are valid and grow with its lines, and a second call counts nothing.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte(adds(1)), []byte("{}\n"))
	f.Add([]byte(`{"verb":"ADD","ms":1,"steps":{"":1e308}}`), []byte("\n\n"))
	f.Fuzz(func(t *testing.T, first, more []byte) {
		s := newSite(t)
		lines := uint64(0)
		for _, text := range [][]byte{first, more, nil} {
			s.append(t, string(text))
			v, err := Update(s.file, []string{s.log})
			if err != nil {
				t.Fatal(err)
			}
			total := v.BadLines
			for _, name := range verbs() {
				for _, n := range v.verb(name).Codes {
					total += n
				}
			}
			written, err := os.ReadFile(s.log)
			if err != nil {
				t.Fatal(err)
			}
			if lines = uint64(bytes.Count(written, []byte("\n"))); total != lines {
				t.Fatalf("%d lines counted, want %d", total, lines)
			}
			if err := Write(&bytes.Buffer{}, Host{Verbs: v}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
