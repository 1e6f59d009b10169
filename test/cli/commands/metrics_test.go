package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// scrape is metrics as Prometheus reads them.
type scrape map[string]*dto.MetricFamily

// parse reads metrics with Prometheus' own parser, and requires that its linter, which `promtool check metrics` runs, accepts them.
func parse(t testing.TB, text string) scrape {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return families
}

// value returns the value of the sample that has these labels, "name=value"; it is an error if there is none.
func (s scrape) value(t testing.TB, family string, labels ...string) float64 {
	t.Helper()
	for _, m := range s[family].GetMetric() {
		var has []string
		for _, l := range m.GetLabel() {
			has = append(has, l.GetName()+"="+l.GetValue())
		}
		slices.Sort(has)
		if slices.Sort(labels); !slices.Equal(has, labels) {
			continue
		}
		if m.GetCounter() != nil {
			return m.GetCounter().GetValue()
		}
		if m.GetHistogram() != nil {
			return float64(m.GetHistogram().GetSampleCount())
		}
		return m.GetGauge().GetValue()
	}
	t.Errorf("no sample %s%v in %v", family, labels, s[family])
	return -1
}

// metered is a host with a network that has a log.
type metered struct {
	*laptop
	conf     []byte
	counters string
}

func newMetered(t *testing.T) *metered {
	t.Helper()
	l := newLaptop(t)
	conf := []byte(fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br7", "isGateway": true, "logFile": %q,
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.9.7.0/29"}]]}}`, filepath.Join(l.conf, "log")))
	write(t, filepath.Join(l.conf, "net.conf"), string(conf))
	return &metered{l, conf, filepath.Join(t.TempDir(), "counters")}
}

// cni calls a verb for a container.
func (m *metered) cni(t testing.TB, verb string, c *nettest.Container) nettest.Answer {
	t.Helper()
	return m.CNI(t, nettest.Call{Command: verb, ContainerID: c.Name(), Netns: c.Path(), IfName: "eth0", Config: m.conf})
}

// metrics returns what the command prints, and requires its exit status.
func (m *metered) metrics(t testing.TB, exit int) scrape {
	t.Helper()
	a := m.run(t, "metrics", "--counters", m.counters)
	expect.Equal(t, "exit of metrics", a.exit, exit)
	return parse(t, a.stdout)
}

// TestMetrics: gauges have what the host has, counters what the plugin was called for, in a form that Prometheus' parser and linter accept.
//
// Claim: `metrics` prints attachments, pools, ports, ruleset, findings of doctor, and counts and durations of the verbs; Prometheus'
// parser and linter accept them
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := newMetered(t)
	s := m.metrics(t, 0)
	expect.Equal(t, "ADDs before the first", s.value(t, "patchbay_verbs_total", "verb=ADD", "code=0"), 0.0)
	expect.Equal(t, "attachments before the first", s.value(t, "patchbay_attachments", "network=net", "state=up"), 0.0)

	one, two := m.Container("one"), m.Container("two")
	m.cni(t, "ADD", one).OK(t)
	m.cni(t, "ADD", two).OK(t)
	if m.cni(t, "ADD", two).Exit == 0 {
		t.Fatal("a second ADD of the same container succeeded")
	}
	m.cni(t, "DEL", two).OK(t)
	m.ok(t, "up", "web", "-p", "8000-8009:80-89", "-p", "53:53/udp")
	for range 2 { // a second call counts nothing twice
		s = m.metrics(t, 0)
		expect.Equal(t, "ADD", s.value(t, "patchbay_verbs_total", "verb=ADD", "code=0"), 2.0)
		expect.Equal(t, "DEL", s.value(t, "patchbay_verbs_total", "verb=DEL", "code=0"), 1.0)
		expect.Equal(t, "durations of ADD", s.value(t, "patchbay_add_duration_seconds"), 3.0)
	}
	failed := 0.0
	for _, one := range s["patchbay_verbs_total"].GetMetric() {
		failed += one.GetCounter().GetValue()
	}
	expect.Equal(t, "all calls", failed, 4.0)
	var is struct{ Version string }
	if err := json.Unmarshal([]byte(m.ok(t, "version", "-o", "json")), &is); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "version", s.value(t, "patchbay_build_info", "version="+is.Version), 1.0)
	for state, want := range map[string]float64{"network=net": 1, "network=patchbay": 1} {
		expect.Equal(t, "attachments of "+state, s.value(t, "patchbay_attachments", state, "state=up"), want)
	}
	for family, want := range map[string]float64{"": 5, "_used": 1, "_free": 4} {
		expect.Equal(t, "pool"+family, s.value(t, "patchbay_pool_addresses"+family, "network=net", "subnets=10.9.7.0/29"), want)
	}
	expect.Equal(t, "tcp ports", s.value(t, "patchbay_published_ports", "protocol=tcp"), 10.0)
	expect.Equal(t, "udp ports", s.value(t, "patchbay_published_ports", "protocol=udp"), 1.0)
	expect.Equal(t, "ruleset", s.value(t, "patchbay_ruleset_state", "state=complete"), 1.0)
	expect.Equal(t, "findings", s.value(t, "patchbay_doctor_findings", "check=rules"), 0.0)
	if took := s.value(t, "patchbay_add_step_seconds_total", "step=plug"); took <= 0 || took > 60 {
		t.Errorf("step plug took %v s", took)
	}

	m.Run(t, "nft", "flush", "ruleset")
	s = m.metrics(t, 0)
	expect.Equal(t, "ruleset", s.value(t, "patchbay_ruleset_state", "state=incomplete"), 1.0)
	if n := s.value(t, "patchbay_doctor_findings", "check=rules"); n < 1 {
		t.Errorf("%v findings about rules", n)
	}
	m.ok(t, "reload")
	m.cni(t, "DEL", one).OK(t)
	m.ok(t, "down", "web")
}

// TestMetricsDocs: docs/metrics.md names every family, with its type, and no other.
func TestMetricsDocs(t *testing.T) {
	t.Parallel()
	m := newMetered(t)
	c := m.Container("c")
	m.cni(t, "ADD", c).OK(t)
	m.cni(t, "DEL", c).OK(t)
	m.agentWrites(t, agentstatus.Path, asWritten(t, time.Now()))
	m.agentRuns(t)
	files := lanFiles{m.laptop, t}
	defer files.runs()()
	t.Cleanup(func() { m.onHost(t, func() error { return os.RemoveAll(lan.Dir) }) })
	files.write(filepath.Join(lan.Dir, "lan.json"), lanStatus)
	var want []string
	for name, family := range m.metrics(t, 0) {
		want = append(want, fmt.Sprintf("`%s` %s", name, strings.ToLower(family.GetType().String())))
	}
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `patchbay_") {
			got = append(got, strings.TrimPrefix(cells[0], "| ")+" "+cells[1])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	expect.Equal(t, "families", got, want)
}

// TestMetricsTextfile: the file is replaced completely, readable by node_exporter, and has another name than one that it would not read.
func TestMetricsTextfile(t *testing.T) {
	t.Parallel()
	m := newMetered(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "patchbay.prom")
	for range 2 {
		expect.Equal(t, "output", m.ok(t, "metrics", "--counters", m.counters, "--textfile", file), "")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parse(t, string(text)).value(t, "patchbay_part_success", "part=host")
	}
	expect.Equal(t, "mode and files", m.Run(t, "stat", "-c", "%a", file)+m.Run(t, "ls", "-A", dir), "644\npatchbay.prom\n")
	m.refused(t, []string{"does not end with .prom"}, "metrics", "--counters", m.counters, "--textfile", filepath.Join(dir, "patchbay"))
}

// TestMetricsInPart: what cannot be read makes the exit status 1, and the metrics have the rest.
func TestMetricsInPart(t *testing.T) {
	t.Parallel()
	m := newMetered(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	m.Run(t, "mkfifo", fifo)
	a := m.run(t, "metrics", "--counters", m.counters, "--log", fifo)
	expect.Equal(t, "exit", a.exit, 1)
	expect.Contains(t, a.stderr, "read log", fifo)
	s := parse(t, a.stdout)
	expect.Equal(t, "log", s.value(t, "patchbay_part_success", "part=log"), 0.0)
	expect.Equal(t, "host", s.value(t, "patchbay_part_success", "part=host"), 1.0)
	expect.Equal(t, "ADDs", s.value(t, "patchbay_verbs_total", "verb=ADD", "code=0"), 0.0)

	a = m.run(t, "metrics", "--counters", m.counters, "--log", fifo+"x")
	expect.Equal(t, "exit with a misspelt log", a.exit, 1)
	expect.Contains(t, a.stderr, "--log: ", fifo+"x", "no such file")
	expect.Equal(t, "log", parse(t, a.stdout).value(t, "patchbay_part_success", "part=log"), 0.0)

	a = m.run(t, "metrics", "--counters", "/proc/none/counters")
	expect.Equal(t, "exit without counters", a.exit, 1)
	s = parse(t, a.stdout)
	expect.Equal(t, "log", s.value(t, "patchbay_part_success", "part=log"), 0.0)
	expect.Equal(t, "host", s.value(t, "patchbay_ruleset_state", "state=complete"), 1.0)
}
