package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const lanStatus = `{"format": 1, "network": "lan", "node": "host1", "state": "ready", "subnet": "192.0.2.0/24", "confirmed": "2026-11-30T12:00:00Z",
	"fencedAt": "2026-12-01T00:00:00Z", "free": 13, "blocks": [{"block": "192.0.2.144/28", "phase": "active", "used": 1}, {"block": "192.0.2.176/28", "phase": "probing", "used": 0}],
	"problems": ["etcd does not answer: start it"]}`

// lanFiles has the files of network lan on a host: what patchbay-lan leaves or keeps there.
type lanFiles struct {
	*laptop
	t *testing.T
}

// write writes a file of patchbay-lan; without text it removes it.
func (l lanFiles) write(path, text string) {
	l.t.Helper()
	l.onHost(l.t, func() error {
		if text == "" {
			return os.RemoveAll(path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o600)
	})
}

// runs takes the lock of the program, and returns what releases it.
func (l lanFiles) runs() (end func()) {
	l.t.Helper()
	var lock *os.File
	path := filepath.Join(lan.Dir, "lan.lock")
	l.write(path, "\n")
	l.onHost(l.t, func() (err error) {
		if lock, err = os.Open(path); err == nil {
			err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
		return err
	})
	return func() { lock.Close() }
}

// metrics returns what metrics say of network lan: the name without its prefix, and the phase.
func (l lanFiles) metrics() map[string]float64 {
	l.t.Helper()
	values := map[string]float64{}
	for name, family := range parse(l.t, l.run(l.t, "metrics", "--counters", filepath.Join(l.t.TempDir(), "c")).stdout) {
		short, is := strings.CutPrefix(name, "patchbay_lan_")
		for _, m := range family.GetMetric() {
			key := short
			for _, label := range m.GetLabel() {
				if label.GetName() == "phase" {
					key += " " + label.GetValue()
				}
			}
			if is {
				values[key] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// TestLANStatus: status, its JSON and metrics say whether patchbay-lan runs and what it has; without it nothing is known of its blocks.
//
// Claim: `status` and `metrics` say of each network of patchbay-lan whether the program runs, whether containers get addresses, and while it runs its free addresses, blocks and problems
// Claim: `doctor` reports that patchbay-lan does not run, with and without a network configuration
func TestLANStatus(t *testing.T) {
	t.Parallel()
	l := lanFiles{newLaptop(t), t}
	t.Cleanup(func() { l.onHost(t, func() error { return os.RemoveAll(lan.Dir) }) })
	conflist, status := filepath.Join(l.conf, "lan"+lan.ConflistSuffix), filepath.Join(lan.Dir, "lan.json")
	if a := l.run(t, "status"); strings.Contains(a.stdout, "lan") || l.summary(t, 0).LAN != nil || len(l.metrics()) > 0 {
		t.Errorf("without patchbay-lan: %s", a.stdout)
	}
	check := func(what, says string, found int, want map[string]float64) health.LAN {
		t.Helper()
		expect.Contains(t, l.run(t, "status").stdout, "\nlan lan: patchbay-lan "+says+"\n")
		expect.Equal(t, "metrics "+what, l.metrics(), want)
		s := l.summary(t, found)
		if len(s.LAN) != 1 {
			t.Fatalf("%s: %+v", what, s.LAN)
		}
		return s.LAN[0]
	}
	end := l.runs()
	check("at the start", "runs, waiting: it has no network configuration; no status", 0, map[string]float64{"up": 1, "ready": 0})
	l.write(status, lanStatus)
	l.write(conflist, `{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "patchbay", "bridge": "br0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "192.0.2.0/24"}]]}}]}`)
	all := map[string]float64{"up": 1, "ready": 1, "addresses_free": 13, "problems": 1, "confirmed_timestamp_seconds": 1796040000}
	for _, phase := range lan.Phases() {
		all["blocks "+phase] = 0
	}
	all["blocks active"], all["blocks probing"] = 1, 1
	n := check("while it runs", "runs, ready; 13 free in 2 blocks of 192.0.2.0/24; 1 problem (patchbay doctor)", 1, all)
	if !n.Running || n.State != lan.Ready || n.Status == nil || n.Node != "host1" || len(n.Blocks) != 2 || !n.Confirmed.Equal(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v", n)
	}
	end()
	n = check("killed", "does not run, and its network configuration exists (patchbay doctor)", 1, map[string]float64{"up": 0, "ready": 1})
	if n.Running || n.Status != nil {
		t.Errorf("got %+v", n)
	}
	expect.Contains(t, l.run(t, "doctor").stdout, "patchbay-lan does not run for network lan: other hosts may claim its blocks", "systemctl restart patchbay-lan@lan", "1 problem found")
	l.write(conflist, "")
	check("killed while fenced", "does not run, and it has no network configuration (patchbay doctor)", 1, map[string]float64{"up": 0, "ready": 0})
	expect.Contains(t, l.run(t, "doctor").stdout, "patchbay-lan does not run for network lan, which has no network configuration: no container gets an address of it",
		"/run/patchbay/.lan/lan.json is left over from a program that was killed", "systemctl restart patchbay-lan@lan", "1 problem found")
	l.write(status, "") // as its end leaves it; the file of the lock stays
	if a := l.run(t, "status"); strings.Contains(a.stdout, "lan") || len(l.metrics()) > 0 {
		t.Errorf("after its end: %s", a.stdout)
	}
}

// TestLANBadStatus: a status that cannot be read, or that another release wrote, is one sentence; the rest is there.
//
// Claim: A status of patchbay-lan that is torn, too large, of another version or hostile never breaks `status`, `doctor` or `metrics`
func TestLANBadStatus(t *testing.T) {
	t.Parallel()
	l := lanFiles{newLaptop(t), t}
	t.Cleanup(func() { l.onHost(t, func() error { return os.RemoveAll(lan.Dir) }) })
	defer l.runs()()
	path := filepath.Join(lan.Dir, "lan.json")
	for says, text := range map[string]string{
		"unexpected end of JSON input":                        lanStatus[:100],
		"unknown format 0, and this program reads 1":          strings.Replace(lanStatus, `"format": 1, `, "", 1),
		"unknown format 2, and this program reads 1: use pat": strings.Replace(lanStatus, `"format": 1,`, `"format": 2, "blocks": "x",`, 1),
		"too large": lanStatus + strings.Repeat(" ", 3<<20),
	} {
		l.write(path, text)
		status, doctor := l.run(t, "status"), l.run(t, "doctor")
		if status.exit != 1 || strings.Count(status.stdout, says) != 1 || !strings.Contains(status.stdout, "1 check failed") || !strings.Contains(status.stdout, "\nlan lan: patchbay-lan runs, waiting") {
			t.Errorf("status of %q: exit %d\n%.900s", says, status.exit, status.stdout)
		}
		if doctor.exit != 1 || strings.Count(doctor.stderr, "\n") != 1 || !strings.Contains(doctor.stderr, says) || doctor.stdout == "" {
			t.Errorf("doctor of %q: exit %d\n%.900s\n%.900s", says, doctor.exit, doctor.stdout, doctor.stderr)
		}
		expect.Equal(t, "metrics", l.metrics(), map[string]float64{"up": 1, "ready": 0})
	}
	l.write(path, `{"format": 1, "subnet": "\u001b[2J\n", "free": -5, "blocks": [{"phase": "\"}\n"}], "problems": ["\u001b]0;x\u0007\u202e`+strings.Repeat("p", 9000)+`"]}`)
	for _, command := range [][]string{{"status"}, {"doctor"}, {"metrics", "--counters", filepath.Join(t.TempDir(), "c")}} {
		a := l.run(t, command...)
		if strings.ContainsAny(a.stdout+a.stderr, "\x00\x07\x1b\u202e") || a.exit > 1 || len(a.stdout) > 30_000 {
			t.Errorf("%s: exit %d\n%q\n%q", command, a.exit, a.stdout, a.stderr)
		}
	}
}
