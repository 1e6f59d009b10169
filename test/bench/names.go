package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// namesAtOnce is the number of namespaces that are created and deleted in a round.
const namesAtOnce = 50

// named is a way to create and delete namesAtOnce namespaces with a network, as commands of a shell.
type named struct {
	name, once, up, down string
}

// waysToName returns the contenders. once runs before the first round; every one of them has a shell, and so a host, of its own.
func (c *contest) waysToName() []named {
	numbers, one := counted(""), counted("n")
	patchbay, bridge := c.programs.path("patchbay"), c.programs.path("bridge")
	loop := func(body string) string { return "for i in" + numbers + "; do " + body + " || exit; done" }
	cni := "CNI_CONTAINERID=n$i CNI_NETNS=/run/netns/n$i CNI_IFNAME=eth0 CNI_PATH=" + strings.Join(c.programs, ":") + " CNI_COMMAND="
	conf := `conf='{"cniVersion":"1.0.0","name":"n","type":"bridge","bridge":"cni0","isDefaultGateway":true,"ipMasq":true,"ipam":{"type":"host-local","subnet":"10.77.0.0/24"}}'`
	return []named{
		{"patchbay, one call", patchbay + " up first", patchbay + " up" + one, patchbay + " down" + one},
		{"patchbay, a call for each", patchbay + " up first", loop(patchbay + " up n$i"), loop(patchbay + " down n$i")},
		{
			"ip, seven calls for each; the kernel deletes later", "ip link add cni0 up type bridge && ip addr add 10.77.0.1/24 dev cni0",
			loop("ip netns add n$i && ip -n n$i link set lo up && ip link add v$i type veth peer name eth0 netns n$i && ip link set v$i master cni0 up && " +
				"ip -n n$i addr add 10.77.0.$((i+1))/24 dev eth0 && ip -n n$i link set eth0 up && ip -n n$i route add default via 10.77.0.1"),
			loop("ip netns del n$i"),
		},
		{
			"reference bridge + host-local, a call for each", conf,
			loop("ip netns add n$i && echo \"$conf\" | env " + cni + "ADD " + bridge),
			loop("echo \"$conf\" | env " + cni + "DEL " + bridge + " && ip netns del n$i"),
		},
	}
}

// counted returns namesAtOnce words: a prefix and a number from 1.
func counted(prefix string) string {
	var words strings.Builder
	for i := range namesAtOnce {
		fmt.Fprintf(&words, " %s%d", prefix, i+1)
	}
	return words.String()
}

// byName compares the command line with many names: in one call, in a loop of a shell, and what people do without it.
func byName(_ context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	ways := c.waysToName()
	got := make([]times, len(ways))
	shells := make([]*shell, len(ways))
	for i, way := range ways {
		s, err := startShell()
		if err != nil {
			return nil, err
		}
		defer s.close()
		if _, err := s.timed(way.once); err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		shells[i] = s
	}
	for range p.named {
		for i, way := range ways {
			up, err := shells[i].timed(way.up)
			if err != nil {
				return nil, fmt.Errorf("%s: create: %w", way.name, err)
			}
			down, err := shells[i].timed(way.down)
			if err != nil {
				return nil, fmt.Errorf("%s: delete: %w", way.name, err)
			}
			got[i].adds, got[i].dels = append(got[i].adds, up), append(got[i].dels, down)
		}
	}
	rows := [][]string{{"contender", "create, median ms", "delete, median ms"}}
	for i, way := range ways {
		rows = append(rows, []string{way.name, ms(got[i].adds.median()), ms(got[i].dels.median())})
	}
	text := fmt.Sprintf(" of %d namespaces, ", namesAtOnce)
	return []metric{
		{"names_up_loop_over_one", "up" + text + "a call for each / one call", ratio(got[1].adds.median(), got[0].adds.median())},
		{"names_down_loop_over_one", "down" + text + "a call for each / one call", ratio(got[1].dels.median(), got[0].dels.median())},
		{"names_up_ip_over_one", "up" + text + "ip in a shell / one call", ratio(got[2].adds.median(), got[0].adds.median())},
		{"names_up_reference_over_one", "up" + text + "reference / one call", ratio(got[3].adds.median(), got[0].adds.median())},
		{"names_down_reference_over_one", "down" + text + "reference / one call", ratio(got[3].dels.median(), got[0].dels.median())},
	}, printTable(out, fmt.Sprintf("%d namespaces with a network, alternately, %d rounds", namesAtOnce, p.named), rows)
}

// shell is a shell in a network and mount namespace of its own.
type shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// ownEtc gives a shell a copy of its own of /etc: `patchbay up` writes hosts files there.
const ownEtc = "mkdir /var/lib/etc /var/lib/etc.work && mount -t overlay -o lowerdir=/etc,upperdir=/var/lib/etc,workdir=/var/lib/etc.work none /etc"

func startShell() (*shell, error) {
	cmd := exec.Command("sh")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &shell{cmd, in, bufio.NewScanner(out)}
	_, err = s.timed("mount --make-rprivate / && for d in /run/netns /run/patchbay /var/lib; do mkdir -p $d && mount -t tmpfs -o mode=755 none $d; done && " + ownEtc + " && ip link set lo up")
	return s, err
}

// timed runs a line, which may set variables, and returns how long it took. An error has what the line printed, perhaps without a
// newline at its end.
func (s *shell) timed(line string) (time.Duration, error) {
	const end = "end of the line: "
	begun := time.Now()
	if _, err := fmt.Fprintf(s.in, "trap 'status=$?; echo; echo %s$status' EXIT; { %s; } </dev/null; status=$?; echo; echo %s$status\n", end, line, end); err != nil {
		return 0, err
	}
	var printed []string
	for s.out.Scan() {
		status, ended := strings.CutPrefix(s.out.Text(), end)
		switch {
		case !ended:
			printed = append(printed, s.out.Text())
		case status == "0":
			return time.Since(begun), nil
		default:
			return 0, errors.New(strings.Join(printed, "\n"))
		}
	}
	return 0, errors.Join(errors.New("the shell ended"), s.out.Err())
}

func (s *shell) close() {
	_ = s.in.Close()
	_ = s.cmd.Wait()
}
