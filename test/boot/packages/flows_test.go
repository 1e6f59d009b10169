package packages

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// counts are those of the program guest.
type counts struct {
	Sent, Answered, Lines, Echoed int
	Failed                        string
	Ended                         bool
}

// flow is a client that asks a server the whole time.
type flow struct {
	name string
	read func() counts
	end  func()
}

// servers is a script that starts a server in namespaces of the machine.
func servers(namespaces ...string) string {
	var script strings.Builder
	for _, name := range namespaces {
		script.WriteString("systemd-run -q --unit=answer-" + name + " ip netns exec " + name + " /root/guest answer :7\n")
	}
	return script.String()
}

// startFlows starts traffic from n1 to the outside, which sees the host's address, from n3 to n4 on the same bridge, from the outside to the published
// port of n2, and from the host to it by 127.0.0.1.
func (s *site) startFlows(t *testing.T) {
	t.Helper()
	s.Shell(t, servers("n2", "n4"))
	server := s.router.Command(nettest.Program(t, "guest"), "answer", beyond4+":7")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	n4 := strings.Fields(s.Shell(t, "ip netns exec n4 hostname -I"))[0]
	s.flowInside(t, "masquerade", "ip netns exec n1", beyond4+":7")
	s.flowInside(t, "neighbour", "ip netns exec n3", n4+":7")
	s.flowInside(t, "localhost", "", "127.0.0.1:8002")
	s.flowFromOutside(t, "published", host4+":8002")
	s.goOn(t, "before everything")
}

// flowInside starts a client in the machine.
func (s *site) flowInside(t *testing.T, name, prefix, to string) {
	t.Helper()
	file := "/run/ask-" + name
	s.Shell(t, "systemd-run -q --unit=ask-"+name+" "+prefix+" /root/guest ask "+file+" "+to)
	s.flows = append(s.flows, &flow{
		name: name,
		read: func() counts { return parse(t, []byte(s.Try(t, "cat", file).Stdout)) },
		end:  func() { s.Run(t, "systemctl", "stop", "ask-"+name) },
	})
}

// flowFromOutside starts a client on the router.
func (s *site) flowFromOutside(t *testing.T, name, to string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	cmd := s.router.Command(nettest.Program(t, "guest"), "ask", file, to)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s.flows = append(s.flows, &flow{
		name: name,
		read: func() counts {
			text, _ := os.ReadFile(file) // there is none in the beginning
			return parse(t, text)
		},
		end: func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		},
	})
}

func parse(t *testing.T, text []byte) (c counts) {
	t.Helper()
	if len(text) == 0 {
		return c
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatalf("counts: %v: %s", err, text)
	}
	return c
}

// goOn waits until each flow has been answered several times more, by both protocols.
func (s *site) goOn(t *testing.T, when string) {
	t.Helper()
	const more = 5
	for _, f := range s.flows {
		first := f.read()
		s.until(t, "traffic goes on: "+f.name+" "+when, func() bool {
			now := f.read()
			if now.Failed != "" {
				t.Fatalf("%s, %s: %+v", f.name, when, now)
			}
			return now.Answered >= first.Answered+more && now.Echoed >= first.Echoed+more
		})
	}
}

// noneLost ends all flows, and requires that everything was answered.
func (s *site) noneLost(t *testing.T) {
	t.Helper()
	for _, f := range s.flows {
		f.end()
		c := f.read()
		t.Logf("%s: %d of %d datagrams and %d of %d lines lost", f.name, c.Sent-c.Answered, c.Sent, c.Lines-c.Echoed, c.Lines)
		if !c.Ended || c.Failed != "" || c.Sent != c.Answered || c.Lines != c.Echoed {
			t.Errorf("%s: %+v", f.name, c)
		}
	}
	s.flows = nil
	s.Shell(t, "systemctl stop 'answer-*'; rm -f /run/ask-*")
}
