package commands

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// published returns host port, target and state of all published ports.
func (l *laptop) published(t testing.TB) (all []string) {
	t.Helper()
	for _, p := range l.ports(t) {
		all = append(all, fmt.Sprintf("%s:%d+%d/%s %d %s", p.HostIP, p.HostPort, p.Count, p.Protocol, p.ContainerPort, p.State))
	}
	return all
}

// TestPortsAddRm: each command that lists ports has the changes; a part of a range is removed from it; reload and down know the ports.
//
// Claim: `ports add` and `ports rm` change the published ports of an attachment that a command created, in the syntax of `up --publish`;
// everything that lists, restores or removes ports then knows them
func TestPortsAddRm(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	expect.Equal(t, "what add prints", l.ok(t, "ports", "add", "web", "8080:80", "127.0.0.1:53:5353/udp", "8000-8009:9000-9009"),
		"web: publishes 8080/tcp -> 80, 127.0.0.1:53/udp -> 5353, 8000-8009/tcp -> 9000-9009\n")
	expect.Equal(t, "ports", l.published(t), []string{"127.0.0.1:53+1/udp 5353 ok", ":8000+10/tcp 9000 ok", ":8080+1/tcp 80 ok"})
	expect.Contains(t, l.ok(t, "ls"), "8080/tcp", "127.0.0.1:53/udp", "8000-8009/tcp")
	expect.Contains(t, l.ok(t, "show"), "8080/tcp -> 80", "127.0.0.1:53/udp -> 5353")
	expect.Contains(t, l.ok(t, "inspect", "web"), `"hostPort": 8080`)
	if text := l.ok(t, "inspect", "web"); strings.Contains(text, "lostPorts") || strings.Contains(text, `"problems"`) {
		t.Errorf("inspect: %s", text)
	}
	expect.Contains(t, l.ok(t, "doctor"), "no problems found")
	l.ok(t, "ports", "add", "web", "8080:80") // again
	expect.Equal(t, "what rm prints", l.ok(t, "ports", "rm", "web", "8003-8004", "53/udp"), "web: no longer publishes 8003-8004/tcp, 53/udp\n")
	left := []string{":8000+3/tcp 9000 ok", ":8005+5/tcp 9005 ok", ":8080+1/tcp 80 ok"}
	expect.Equal(t, "ports after rm", l.published(t), left)
	l.Run(t, "nft", "flush", "ruleset")
	l.ok(t, "reload")
	expect.Equal(t, "ports after reload", l.published(t), left)
	l.ok(t, "ports", "rm", "web", "8000-8002", "8005-8009", "8080")
	expect.Equal(t, "no port", l.ok(t, "ports"), "no published ports\n")
	l.ok(t, "ports", "add", "web", "8080:80")
	l.ok(t, "down", "web")
}

// TestPortsAddRmRefused: the error names the thing and the remedy, and nothing is changed.
//
// Claim: `ports add` refuses a port of another attachment by its owner, a port on which a process of the host listens, and attachments that
// are stale, unreadable or of a runtime; `ports rm` of a port that is not published lists those that are. Nothing is changed then
func TestPortsAddRmRefused(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web", "-p", "8080:80", "-p", "7000-7009")
	l.ok(t, "up", "db")
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	c := l.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: "of-a-runtime", Netns: c.Path(), IfName: "eth0", Config: []byte(
		`{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`)}
	l.CNI(t, call).OK(t)
	listen := l.Command("python3", "-c", "import socket, sys; s = socket.create_server(('', 8090)); print(flush=True); sys.stdin.read()")
	in, out := pipes(t, listen)
	if !out.Scan() {
		t.Fatal("nobody listens")
	}
	before := l.published(t)
	for _, row := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"add", "db", "81", "8080:80"}, []string{"port 8080/tcp is already published by web of network patchbay, attached by a patchbay command", "choose another port"}},
		{[]string{"add", "db", "10.77.0.1:8080:80"}, []string{"port 8080/tcp is already published by web"}},
		{[]string{"add", "db", "7005"}, []string{"port 7005/tcp is already published by web"}},
		{[]string{"add", "db", "8090:80"}, []string{"port 8090/tcp is in use by a process of the host", "ss -lnp"}},
		{[]string{"add", "web", "8080:81"}, []string{"port 8080/tcp is already published by this attachment (to 10.77.0.2:80); remove that mapping first (patchbay ports rm)"}},
		{[]string{"add", "web", "127.0.0.1:7003:7003"}, []string{"port 7000-7009/tcp is already published by this attachment"}},
		{[]string{"add", "web", "[2001:db8::1]:1:1"}, []string{"port 1/tcp of 2001:db8::1 cannot be published: the container has no address of that family"}},
		{[]string{"add", "web", "80", "80:81"}, []string{"both publish 80/tcp"}},
		{[]string{"add", "web", "1-4090"}, []string{"4101 ports of one container are too many", "at most 4096"}},
		{[]string{"add", "web", "0:80"}, []string{`port "0:80": host port "0" is not a number`}},
		{[]string{"add", "web", "80:80/tpc"}, []string{`protocol "tpc"`}},
		{[]string{"add", "of-a-runtime", "80"}, []string{"was attached by a runtime", "change the port mappings of the container in the runtime"}},
		{[]string{"rm", "of-a-runtime", "80"}, []string{"was attached by a runtime"}},
		{[]string{"add", "wep", "80"}, []string{"wep", "not found", "did you mean web?"}},
		{[]string{"add", "web"}, []string{"ports add needs a name and at least one port"}},
		{[]string{"add", "--interface", "eth1", "web", "80"}, []string{"web has no interface eth1: it has eth0 on network patchbay"}},
		{[]string{"rm", "web", "8080", "99"}, []string{"port 99/tcp is not published by this attachment, which publishes 8080/tcp, 7000-7009/tcp"}},
		{[]string{"rm", "web", "7009-7010"}, []string{"port 7009-7010/tcp is not published"}},
		{[]string{"rm", "web", "127.0.0.1:8080"}, []string{"port 8080/tcp of 127.0.0.1 is not published"}},
		{[]string{"rm", "web", "8080/udp"}, []string{"port 8080/udp is not published"}},
		{[]string{"rm", "db", "80"}, []string{"port 80/tcp is not published by this attachment, which publishes none"}},
		{[]string{"rm", "web", "8080:80"}, []string{"leave the port of the container out"}},
	} {
		l.refused(t, row.parts, append([]string{"ports"}, row.args...)...)
	}
	expect.Equal(t, "ports", l.published(t), before)
	in.Close()
	_ = listen.Wait() // its standard input was closed
	call.Command = "DEL"
	l.CNI(t, call).OK(t)
	l.ok(t, "down", "web")
	l.refusedWithoutAttachment(t)
}

// refusedWithoutAttachment makes db stale, and then its record unreadable, and removes it.
func (l *laptop) refusedWithoutAttachment(t *testing.T) {
	t.Helper()
	l.Run(t, "ip", "link", "del", l.list(t)[0].HostLink)
	for _, args := range [][]string{{"ports", "add", "db", "80"}, {"ports", "rm", "db", "80"}} {
		l.refused(t, []string{"is stale: its host interface does not exist", "patchbay down", "attach the container again"}, args...)
	}
	l.Run(t, "sh", "-c", "echo nonsense >/run/patchbay/patchbay/db@eth0.json")
	l.refused(t, []string{"patchbay/db/eth0 has no readable record", "remove the attachment", "patchbay doctor"}, "ports", "add", "db", "80")
	l.run(t, "detach", "db")
	l.run(t, "down", "db")
}

// step runs a command under the stepper.
func (l *laptop) step(t testing.TB, watch func(stepper.Step) stepper.Act, args ...string) stepper.Ending {
	t.Helper()
	var ending stepper.Ending
	var err error
	l.Do(func() {
		ending, err = stepper.Run(stepper.Program{
			Path: nettest.Patchbay(t), Args: args, Env: []string{"GOMAXPROCS=1", "PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf},
		}, watch)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ending
}

// cut is a kill of `ports add` or `ports rm`.
type cut struct {
	rm     bool
	nth    int  // the changing call, from 1
	after  bool // after it, else before it
	reload bool // restore by reload, else by the command again
}

func (c cut) args() []string {
	if c.rm {
		return []string{"ports", "rm", "web", "8081", "8082/udp"}
	}
	return []string{"ports", "add", "web", "8081:80", "8082:80/udp"}
}

// begin attaches web with one port, or with all.
func (c cut) begin(t testing.TB, l *laptop) {
	t.Helper()
	args := []string{"up", "web", "-p", "8080:80"}
	if c.rm {
		args = append(args, "-p", "8081:80", "-p", "8082:80/udp")
	}
	l.ok(t, args...)
}

// run kills the command and restores the host, and requires that record and ruleset agree then, with all ports of the call or none.
func (c cut) run(t testing.TB, l *laptop) {
	t.Helper()
	c.begin(t, l)
	n := 0
	ending := l.step(t, func(s stepper.Step) stepper.Act {
		if s.Changing && !s.After {
			n++
		}
		if s.Changing && s.After == c.after && n == c.nth {
			return stepper.Signal(syscall.SIGKILL)
		}
		return stepper.Go()
	}, c.args()...)
	if ending.Signal != syscall.SIGKILL {
		t.Errorf("%+v: not killed: %d %s", c, ending.Exit, ending.Stderr)
	}
	all, one := []string{":8080+1/tcp 80 ok", ":8081+1/tcp 80 ok", ":8082+1/udp 80 ok"}, []string{":8080+1/tcp 80 ok"}
	// "rules lost": the ruleset maps 8080, and lacks other rules of the attachment.
	if has := l.published(t)[0]; has != one[0] && has != ":8080+1/tcp 80 rules lost" {
		t.Errorf("%+v: port 8080 is not published: %q", c, has)
	}
	if c.reload {
		l.ok(t, "reload")
	} else if a := l.run(t, c.args()...); a.exit != 0 && !c.rm { // rm may have been complete
		t.Errorf("%+v: again: %s", c, a.stderr)
	}
	has := l.published(t)
	switch {
	case slices.Equal(has, all) && (c.reload || !c.rm):
	case slices.Equal(has, one) && (c.reload || c.rm):
	default:
		t.Errorf("%+v: ports %q", c, has)
	}
	l.ok(t, "down", "web")
	l.NoLeaks(t)
}

// TestPortsKilled kills both commands before and after every changing call.
//
// Claim: `ports add` and `ports rm`, killed at any changing call, leave the other ports published; reload, or the command again, makes record
// and ruleset agree, and `down` leaves nothing
func TestPortsKilled(t *testing.T) {
	t.Parallel()
	nettest.Root(t)
	for name, rm := range map[string]bool{"add": false, "rm": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLaptop(t)
			whole := cut{rm: rm}
			whole.begin(t, l)
			calls := l.step(t, func(stepper.Step) stepper.Act { return stepper.Go() }, whole.args()...).Changing()
			l.ok(t, "down", "web")
			if len(calls) < 3 { // the record, its name, the transaction
				t.Fatalf("%d changing calls", len(calls))
			}
			for nth := range calls {
				t.Logf("call %d: %s", nth+1, calls[nth].Text)
				for _, c := range []cut{{rm, nth + 1, false, true}, {rm, nth + 1, true, false}, {rm, nth + 1, false, false}, {rm, nth + 1, true, true}} {
					c.run(t, l)
				}
			}
		})
	}
}
