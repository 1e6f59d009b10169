package nodes

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testMesh counts the answers of 12 pods to each other.
func (c *cluster) testMesh(t *testing.T) {
	echoes, requests := mesh(t, c.awaitPods(t, "default", "app=web", 12))
	t.Logf("%d of 288 echoes, %d of 288 requests that see the address of the client", echoes, requests)
	if echoes != 288 || requests != 288 {
		t.Error("not all")
	}
}

// mesh requires that every pod reaches every pod, itself too, at both addresses: by an echo, and by a request whose server sees the address of the
// client. It returns the number of both that were answered.
func mesh(t *testing.T, pods []pod) (echoes, requests int) {
	t.Helper()
	var all, hosts []string
	for _, p := range pods {
		for _, ip := range p.ips {
			all, hosts = append(all, ip.String()), append(hosts, hostOf(ip))
		}
	}
	var wait sync.WaitGroup
	var pinged, kept atomic.Int64
	limit := make(chan struct{}, 3)
	for _, p := range pods {
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			lost := p.in(t, append([]string{"sh", "-c", `for a; do ping -c 1 -W 5 -q $a >/dev/null || echo $a; done`, "sh"}, all...)...)
			if lost != "" {
				t.Errorf("from %s, no echo of %s", p, strings.Fields(lost))
			}
			pinged.Add(int64(len(all) - len(strings.Fields(lost))))
			kept.Add(int64(sources(t, p, pods, p.ask(t, hosts...))))
		})
	}
	wait.Wait()
	return int(pinged.Load()), int(kept.Load())
}

// sources requires that each answer to a pod is that of the server that was asked, and has the address of the pod; it returns the number of these.
func sources(t *testing.T, from pod, pods []pod, answers []string) (good int) {
	t.Helper()
	var want []string
	for _, p := range pods {
		for i := range p.ips {
			source := from.ips[i].String()
			if p.uid == from.uid {
				source = p.ips[i].String()
			}
			want = append(want, fmt.Sprintf("%s %s", p.name, source))
		}
	}
	if len(answers) != len(want) {
		t.Errorf("from %s: %d answers, want %d: %q", from, len(answers), len(want), answers)
		return 0
	}
	for i := range want {
		if answers[i] != want[i] {
			t.Errorf("from %s: the answer is %q, want %q", from, answers[i], want[i])
			continue
		}
		good++
	}
	return good
}
