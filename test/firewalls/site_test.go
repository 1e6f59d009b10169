package firewalls

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
	"github.com/patchbay-cni/patchbay/test/hostfw"
)

// TestMain runs more tests at once than there are processors: most of a test is waiting for what does not come.
func TestMain(m *testing.M) { expect.Main(m, 4) }

const (
	hostPort = 8080             // published, and leads to 80
	secret   = 81               // what listens there is not published
	patient  = 20 * time.Second // with a connection that is expected
)

// Addresses of both families, IPv4 first.
var (
	hostAddrs    = [2]string{"198.51.100.1", "2001:db8:0:2::1"}
	outsideAddrs = [2]string{"198.51.100.7", "2001:db8:0:2::7"}
)

// site is a host behind whose eth0, the way to everywhere, is the outside, which has a route to the containers; and two
// containers, of which web publishes a port. Everybody listens.
type site struct {
	*nettest.Node
	fw      *hostfw.Firewall // nil without
	outside *nettest.Container
	web, db *nettest.Container
	prev    map[string][]byte // results of ADD by the container's name
}

// newSite starts a firewall, if start says which, before anything is attached.
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
		listen(t, c.Netns, 80)
		listen(t, c.Netns, secret)
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

// listen accepts connections until the test ends, and closes each.
func listen(t *testing.T, n *nettest.Netns, port int) {
	t.Helper()
	var l net.Listener
	var err error
	n.Do(func() { l, err = net.Listen("tcp", fmt.Sprint(":", port)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_ = conn.Close()
		}
	}()
}

// conf are the keys of a configuration.
type conf map[string]any

// network is the usual one: dual stack, masquerade, on cni0; with more keys.
func network(more conf) conf {
	c := conf{
		"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
		"ipam": conf{"type": "patchbay", "ranges": [][]conf{{{"subnet": "10.88.0.0/16"}}, {{"subnet": "fd00:88::/64"}}}},
	}
	for key, value := range more {
		c[key] = value
	}
	return c
}

// publishing is a network's configuration as a runtime passes it for a container with a port.
func (c conf) publishing(ports ...conf) conf {
	return c.with("runtimeConfig", conf{"portMappings": ports})
}

func (c conf) with(key string, value any) conf {
	all := conf{key: value}
	for k, v := range c {
		if k != key {
			all[k] = v
		}
	}
	return all
}

func webPort() conf { return conf{"hostPort": hostPort, "containerPort": 80, "protocol": "tcp"} }

func (s *site) call(t testing.TB, verb string, c *nettest.Container, config conf) nettest.Call {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return nettest.Call{Command: verb, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: text}
}

func (s *site) add(t testing.TB, c *nettest.Container, config conf) {
	t.Helper()
	s.prev[c.Name()] = s.CNI(t, s.call(t, "ADD", c, config)).OK(t).Stdout
}

// address is what a container has got, of a family: 0 is IPv4.
func (s *site) address(t testing.TB, c *nettest.Container, family int) string {
	t.Helper()
	return nettest.Answer{Stdout: s.prev[c.Name()]}.Result(t).IPs[family].Address.IP.String()
}

func (s *site) del(t testing.TB, c *nettest.Container, config conf) {
	t.Helper()
	s.CNI(t, s.call(t, "DEL", c, config)).OK(t)
}

func (s *site) check(t testing.TB, c *nettest.Container, config conf) nettest.Answer {
	t.Helper()
	return s.CNI(t, s.call(t, "CHECK", c, config.with("prevResult", json.RawMessage(s.prev[c.Name()]))))
}

// populate attaches both containers; web publishes its port.
func (s *site) populate(t testing.TB, config conf) {
	t.Helper()
	s.add(t, s.web, config.publishing(webPort()))
	s.add(t, s.db, config)
}

func (s *site) leave(t testing.TB, config conf) {
	t.Helper()
	s.del(t, s.web, config)
	s.del(t, s.db, config)
}

// way is a connection that somebody may want.
type way struct {
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

func (s *site) ways(t testing.TB, family int) []way {
	t.Helper()
	web := s.address(t, s.web, family)
	return []way{
		{published, s.outside, hostAddrs[family], hostPort},
		{leaving, s.web, outsideAddrs[family], 80},
		{neighbours, s.db, web, 80},
		{across, s.db, hostAddrs[family], hostPort},
		{shut, s.outside, web, secret},
	}
}

// connects wants those connections that are open, and none of the others, of a family: 0 is IPv4.
func (s *site) connects(t *testing.T, when string, family int, open ...string) {
	t.Helper()
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, w := range s.ways(t, family) {
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

// dial tries again where the other was just looked for and not found: that who asked was not let through is remembered for a moment.
func dial(from *nettest.Netns, addr string, port uint16, patience time.Duration) error {
	to := netip.AddrPortFrom(netip.MustParseAddr(addr), port).String()
	var conn net.Conn
	err := error(unix.EHOSTUNREACH)
	for until := time.Now().Add(patience); errors.Is(err, unix.EHOSTUNREACH) && time.Now().Before(until); {
		from.Do(func() { conn, err = net.DialTimeout("tcp", to, patience) })
	}
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// everything is what a well host lets through of a family: all but what its firewall is for.
func everything(but ...string) (open []string) {
	for _, w := range []string{published, leaving, neighbours, across, shut} {
		if !contains(but, w) {
			open = append(open, w)
		}
	}
	return open
}

// patchbay runs a command for people, and returns its exit status, output and errors.
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

// finding is one of `patchbay doctor -o json`.
type finding struct {
	About, Says, Seen string
	Maybe             bool
	Fix               []string
}

// doctor is what it found, by both outputs.
func (s *site) doctor(t testing.TB) []finding {
	t.Helper()
	exit, out, errs := s.patchbay(t, "doctor", "-o", "json")
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	var report struct {
		Networks, Attachments int
		Looked                []string
		Findings              []finding
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

// healthy wants doctor to find nothing, and to say so.
func (s *site) healthy(t testing.TB, when string) {
	t.Helper()
	if found := s.doctor(t); len(found) > 0 {
		t.Errorf("%s: doctor finds %+v", when, found)
	}
	_, text, _ := s.patchbay(t, "doctor")
	expect.Contains(t, text, "nothing is wrong: ")
}
