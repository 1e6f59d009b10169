package firewalls

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/firewalls/hostfw"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// TestMain runs more tests in parallel than there are CPUs: they mostly wait for timeouts.
func TestMain(m *testing.M) { expect.Main(m, 4) }

const (
	hostPort = 8080             // published, for container port 80
	secret   = 81               // a server that is not published
	patient  = 20 * time.Second // timeout of expected connections
)

// Addresses of both families, IPv4 first.
var (
	hostAddrs    = [2]string{"198.51.100.1", "2001:db8:0:2::1"}
	outsideAddrs = [2]string{"198.51.100.7", "2001:db8:0:2::7"}
)

// site is a host with a default route through eth0 to an outside machine, which has a route to the containers; and two containers, of which web
// publishes a port. All have servers.
type site struct {
	*nettest.Node
	fw      *hostfw.Firewall // nil without
	outside *nettest.Container
	web, db *nettest.Container
	prev    map[string][]byte // results of ADD by the container's name
}

// newSite creates a site and starts a firewall, if start is not nil.
func newSite(t *testing.T, start func(testing.TB, *nettest.Node) *hostfw.Firewall) *site {
	t.Helper()
	nettest.Need(t, nettest.BrNetfilter)
	h := nettest.Host(t)
	s := &site{Node: h, outside: h.Container("outside"), prev: map[string][]byte{}}
	h.Veth("eth0", s.outside.Netns, "eth0")
	h.AddAddress("eth0", hostAddrs[0]+"/24", hostAddrs[1]+"/64")
	s.outside.AddAddress("eth0", outsideAddrs[0]+"/24", outsideAddrs[1]+"/64")
	h.AddRoute("0.0.0.0/0", outsideAddrs[0])
	h.AddRoute("::/0", outsideAddrs[1])
	s.outside.AddRoute("10.0.0.0/8", hostAddrs[0])
	s.outside.AddRoute("fd00::/8", hostAddrs[1])
	h.Settle("eth0")
	s.outside.Settle("eth0")
	s.web, s.db = h.Container("web"), h.Container("db")
	for _, c := range []*nettest.Container{s.outside, s.web, s.db} {
		serve.TCP(t, c.Netns, ":80", nil)
		serve.TCP(t, c.Netns, fmt.Sprint(":", secret), nil)
	}
	s.bridgeNetfilter("0")
	h.Baseline()
	if start != nil {
		s.fw = start(t, h)
	}
	return s
}

// bridgeNetfilter sets both values; the namespace has them for itself.
func (s *site) bridgeNetfilter(value string) {
	s.SetSysctl("net/bridge/bridge-nf-call-iptables", value)
	s.SetSysctl("net/bridge/bridge-nf-call-ip6tables", value)
}

// network returns the configuration of these tests: dual stack with masquerading on cni0, with further keys.
func network(more ...cni.Conf) cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.88.0.0/16", "fd00:88::/64")).With(more...)
}

func webPort() cni.Conf {
	return cni.Conf{"hostPort": hostPort, "containerPort": 80, "protocol": "tcp"}
}

func (s *site) add(t testing.TB, c *nettest.Container, config cni.Conf) {
	t.Helper()
	s.prev[c.Name()] = cni.Add(t, s.Node, c, config).Stdout
}

// address returns the address of a container; family 0 is IPv4, 1 is IPv6.
func (s *site) address(t testing.TB, c *nettest.Container, family int) string {
	t.Helper()
	return nettest.Answer{Stdout: s.prev[c.Name()]}.Result(t).IPs[family].Address.IP.String()
}

func (s *site) del(t testing.TB, c *nettest.Container, config cni.Conf) {
	t.Helper()
	cni.Del(t, s.Node, c, config)
}

func (s *site) check(t testing.TB, c *nettest.Container, config cni.Conf) nettest.Answer {
	t.Helper()
	return cni.Check(t, s.Node, c, config.With(cni.Prev(s.prev[c.Name()])))
}

// populate attaches both containers; web publishes its port.
func (s *site) populate(t testing.TB, config cni.Conf) {
	t.Helper()
	s.add(t, s.web, config.With(cni.Ports(webPort())))
	s.add(t, s.db, config)
}

func (s *site) leave(t testing.TB, config cni.Conf) {
	t.Helper()
	s.del(t, s.web, config)
	s.del(t, s.db, config)
}

// path is a connection between two machines of the test.
type path struct {
	what string
	from *nettest.Container
	to   string
	port uint16
}

const (
	published  = "outside -> published port"
	leaving    = "container -> outside"
	neighbours = "container -> neighbour"
	across     = "neighbour -> published port"
	shut       = "outside -> port that is not published"
)

func (s *site) paths(t testing.TB, family int) []path {
	t.Helper()
	web := s.address(t, s.web, family)
	return []path{
		{published, s.outside, hostAddrs[family], hostPort},
		{leaving, s.web, outsideAddrs[family], 80},
		{neighbours, s.db, web, 80},
		{across, s.db, hostAddrs[family], hostPort},
		{shut, s.outside, web, secret},
	}
}

// connects checks that of one family the open connections succeed, and all others fail.
func (s *site) connects(t *testing.T, when string, family int, open ...string) {
	t.Helper()
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, w := range s.paths(t, family) {
		wait.Go(func() {
			wanted := contains(open, w.what)
			patience := 700 * time.Millisecond
			if wanted {
				patience = 20 * time.Second
			}
			if err := dial(w.from.Netns, w.to, w.port, patience); (err == nil) != wanted {
				t.Errorf("%s, IPv%d: %s: open %v, want %v: %v", when, 4+2*family, w.what, err == nil, wanted, err)
			}
		})
	}
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// dial retries after EHOSTUNREACH: a failed neighbour resolution is cached for a short time.
func dial(from *nettest.Netns, addr string, port uint16, patience time.Duration) error {
	to := netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	err := error(unix.EHOSTUNREACH)
	for until := time.Now().Add(patience); errors.Is(err, unix.EHOSTUNREACH) && time.Now().Before(until); {
		err = serve.Connect(from, to, patience)
	}
	return err
}

// everything returns all connections except those in but.
func everything(but ...string) (open []string) {
	for _, w := range []string{published, leaving, neighbours, across, shut} {
		if !contains(but, w) {
			open = append(open, w)
		}
	}
	return open
}

// patchbay runs a command and returns its exit status, standard output and standard error.
func (s *site) patchbay(t testing.TB, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	cmd := s.Command(nettest.Patchbay(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// finding is a finding of `patchbay doctor -o json`.
type finding struct {
	About, Says, Seen string
	Maybe             bool
	Fix               []string
}

// doctor runs doctor with both output formats, compares them, and returns the findings.
func (s *site) doctor(t testing.TB) []finding {
	t.Helper()
	exit, out, errs := s.patchbay(t, "doctor", "-o", "json")
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	var report struct {
		Networks, Attachments int
		Looked, Unchecked     []string
		Notes                 []string
		Risks                 []struct {
			Program, Says, Seen string
			Fix                 []string
		}
		Findings []finding
	}
	if err := decoder.Decode(&report); err != nil || errs != "" {
		t.Fatalf("doctor -o json: %v\n%s%s", err, out, errs)
	}
	want := 0
	if len(report.Findings) > 0 {
		want = 1
	}
	plain, text, errs := s.patchbay(t, "doctor")
	if exit != want || plain != want || errs != "" {
		t.Errorf("doctor with %d findings: exit %d, as JSON %d: %s", len(report.Findings), plain, exit, errs)
	}
	t.Logf("patchbay doctor:\n%s", text)
	for _, f := range report.Findings {
		expect.Contains(t, text, append([]string{f.Says, "seen: " + f.Seen}, f.Fix...)...)
	}
	return report.Findings
}

// healthy checks that doctor finds nothing and reports that.
func (s *site) healthy(t testing.TB, when string) {
	t.Helper()
	if found := s.doctor(t); len(found) > 0 {
		t.Errorf("%s: doctor finds %+v", when, found)
	}
	_, text, _ := s.patchbay(t, "doctor")
	expect.Contains(t, text, "no problems found", "; examined ")
}
