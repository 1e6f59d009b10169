package reported

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// person is a user of the commands, on a host with an /etc and a directory of networks of its own.
type person struct {
	*nettest.Node
	t    *testing.T
	conf string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{nettest.Host(t), t, t.TempDir()}
	p.sh(`mkdir -p /run/own/upper /run/own/work
		mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/own/upper,workdir=/run/own/work /etc
		rm -rf /etc/cni /etc/netns /etc/resolv.conf
		echo nameserver 192.0.2.53 >/etc/resolv.conf`)
	return p
}

// sh runs a shell script, which must succeed.
func (p *person) sh(script string) string {
	p.t.Helper()
	return p.Run(p.t, "sh", "-ec", script)
}

// said is the output of a command, and its exit code.
type said struct {
	exit        int
	out, errors string
}

// run runs patchbay and waits for its end.
func (p *person) run(args ...string) said {
	p.t.Helper()
	cmd := p.Command(nettest.Patchbay(p.t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + p.conf, "LC_ALL=C.UTF-8"}
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), errors.String()}
}

// ok requires success without a warning, and returns stdout.
func (p *person) ok(args ...string) string {
	p.t.Helper()
	s := p.run(args...)
	if s.exit != 0 || s.errors != "" {
		p.t.Fatalf("patchbay %s: exit %d\n%s%s", strings.Join(args, " "), s.exit, s.out, s.errors)
	}
	return s.out
}

// fails requires exit code 1, and these parts on standard error.
func (p *person) fails(parts []string, args ...string) said {
	p.t.Helper()
	s := p.run(args...)
	if s.exit != 1 {
		p.t.Errorf("patchbay %s: exit %d, want 1\n%s%s", strings.Join(args, " "), s.exit, s.out, s.errors)
	}
	expect.Contains(p.t, s.errors, parts...)
	return s
}

// network configures a network that a runtime may use.
func (p *person) network(name, bridge, subnet string) {
	p.t.Helper()
	p.file(name+".conflist", `{"cniVersion": "1.0.0", "name": "`+name+`", "plugins": [{"type": "patchbay", "bridge": "`+bridge+
		`", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "`+subnet+`"}]]}}]}`)
}

// file writes a file into the directory of networks.
func (p *person) file(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.conf, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// names returns the named namespaces of the host.
func (p *person) names() string {
	p.t.Helper()
	return strings.TrimSpace(p.sh("ls /run/netns"))
}
