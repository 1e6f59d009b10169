package fights

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// row is a program of the node, and what it does to attachments that exist.
type row struct {
	name   string // of the program and its act, in the table
	breaks string // in the table; "nothing"
	before string // shell: how the node has the program before it acts
	act    string // shell

	works   string // the answer of the server after the act; works if it breaks nothing
	risk    string // doctor's sentence before, "" if there is none
	finding string // doctor's sentence after the act

	snippet string // file of conf/ that prevents it, ...
	dir     string // ... the directory that it is copied to
	prevent string // ... and shell commands
	how     string // prevention, in the table

	restores string // part of what patchbay-reload.service prints; "" if it does not restore this
	measured bool   // connections are counted while the program acts, though nothing is to be restored
	undo     string // shell: repairs what `patchbay reload` does not
	after    string // shell: takes the program away
}

// run runs a row: the program acts, doctor reports, the unit restores, the snippet prevents.
func (s *site) run(t *testing.T, r row) {
	t.Helper()
	began := time.Now()
	s.shell(t, r.before)
	s.await(t, works)
	risk := s.doctor(t)
	expect.Contains(t, risk, r.risk)
	s.shell(t, r.act)
	s.await(t, r.works)
	found := s.doctor(t)
	expect.Contains(t, found, r.finding)
	if r.works == works && r.finding == "" {
		expect.Contains(t, found, "no problems found")
	}
	s.shell(t, r.undo)
	if r.works != works && r.undo == "" {
		s.Run(t, "patchbay", "reload")
	}
	s.await(t, works)
	restored := "-"
	if r.restores != "" || r.measured {
		restored = s.restored(t, r)
	}
	if r.how != "" {
		s.prevented(t, r)
	}
	s.shell(t, r.after)
	s.await(t, works)
	compareLine(t, r, restored)
	t.Logf("%s: %v", r.name, time.Since(began).Round(time.Second))
}

func (s *site) shell(t *testing.T, script string) {
	t.Helper()
	if script != "" {
		s.Shell(t, script)
	}
}

// restored lets the program act while the unit runs, and returns for how long connections failed, and how long the restoration took.
func (s *site) restored(t *testing.T, r row) string {
	t.Helper()
	s.Shell(t, "systemctl start patchbay-reload; sleep 3") // so that what the start restores is not taken for it
	since := strings.TrimSpace(s.Shell(t, "date +%s"))
	journal := func() string {
		return s.Run(t, "journalctl", "-u", "patchbay-reload", "-o", "cat", "--no-pager", "--since", "@"+since)
	}
	p, acted := s.poll(t), time.Now()
	s.shell(t, r.act)
	for begun := time.Now(); !strings.Contains(journal(), r.restores); time.Sleep(300 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%s: %q is not in the journal:\n%s\n%s", r.name, r.restores, journal(), s.state(t))
		}
	}
	s.await(t, works)
	lasted, failed := p.outage(acted)
	t.Logf("%s: %d connections failed in %v; journal:\n%s", r.name, failed, lasted, journal())
	s.Shell(t, "systemctl stop patchbay-reload")
	return fmt.Sprintf("%d ms", lasted.Milliseconds())
}

// prevented takes the measures against the program, lets it act, and requires that everything works.
func (s *site) prevented(t *testing.T, r row) {
	t.Helper()
	if r.snippet != "" {
		s.copyFile(t, filepath.Join(conf, r.snippet), filepath.Join(r.dir, filepath.Base(r.snippet)), "0644")
	}
	s.shell(t, r.prevent)
	if r.risk != "" {
		lacks(t, s.doctor(t), r.risk)
	}
	s.shell(t, r.act)
	s.await(t, works)
	lacks(t, s.doctor(t), r.finding)
}

// lacks requires that doctor does not print a sentence.
func lacks(t *testing.T, text, sentence string) {
	t.Helper()
	if sentence != "" && strings.Contains(text, sentence) {
		t.Errorf("doctor still prints %q:\n%s", sentence, text)
	}
}
