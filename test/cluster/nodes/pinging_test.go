package nodes

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// pinging is echoes every 10 ms between pods of different nodes, in both families, until stop.
type pinging struct {
	started []*echoes
	last    string // the file that ends them, on each node
}

// echoes is those of a pod to an address.
type echoes struct {
	name   string
	out    *strings.Builder
	from   pod
	cmd    *nettest.Cmd
	waited chan error
}

// sendEchoes repeats a series of 100, at least 15 times, until there is the file $0.
const sendEchoes = `i=0; while [ $i -lt 15 ] || [ ! -e "$0" ]; do ping -c 100 -i 0.01 -W 10 -q "$1"; i=$((i+1)); done`

// ping starts: from a pod of each node to one of the next node.
func (c *cluster) ping(t *testing.T, pods []pod) *pinging {
	t.Helper()
	first := map[*node]pod{}
	for _, p := range pods {
		if _, ok := first[p.node]; !ok {
			first[p.node] = p
		}
	}
	run := &pinging{last: "/run/last-echo"}
	for i, n := range c.nodes {
		to := first[c.nodes[(i+1)%len(c.nodes)]]
		n.run(t, "rm", "-f", run.last)
		for _, ip := range to.ips {
			e := &echoes{name: fmt.Sprintf("%s to %s of %s", n.name, ip, to.node.name), out: &strings.Builder{}, from: first[n], waited: make(chan error, 1)}
			e.cmd = n.command("ip", "netns", "exec", e.from.netns(t), "sh", "-c", sendEchoes, run.last, ip.String())
			e.cmd.Stdout, e.cmd.Stderr = e.out, io.Discard
			if err := e.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { e.waited <- e.cmd.Wait() }()
			run.started = append(run.started, e)
		}
	}
	return run
}

// stop ends it, and fails the test if an echo was lost, or fewer than 1 500 of a pair were sent.
func (run *pinging) stop(t *testing.T) {
	t.Helper()
	sent, received := 0, 0
	for _, e := range run.started {
		e.from.node.run(t, "touch", run.last)
	}
	for _, e := range run.started {
		if err := <-e.waited; err != nil {
			t.Errorf("echoes from %s: %v", e.name, err)
		}
		s, r := count(e.out.String())
		if s != r || s < 1500 {
			t.Errorf("echoes from %s: %d sent, %d answered", e.name, s, r)
		}
		sent, received = sent+s, received+r
	}
	t.Logf("%d of %d echoes answered, at least 1500 for each of %d pairs", received, sent, len(run.started))
}

// count adds up the last lines of ping.
func count(text string) (sent, received int) {
	for _, m := range regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`).FindAllStringSubmatch(text, -1) {
		s, _ := strconv.Atoi(m[1])
		r, _ := strconv.Atoi(m[2])
		sent, received = sent+s, received+r
	}
	return sent, received
}
