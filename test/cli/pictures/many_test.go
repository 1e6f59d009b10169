package pictures

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// node attaches so many pods of six deployments, in three namespaces, with everything that show compares.
func node(t *testing.T, pods int) *scene {
	t.Helper()
	s := newScene(t)
	var ready sync.WaitGroup
	limit := make(chan struct{}, 8)
	for i := range pods {
		c := s.Container(fmt.Sprint("c", i))
		name := fmt.Sprintf("checkout-frontend-7d4b9c8f6%d-%05x", i%2, 65536+i*7919)
		conf := cni.Network(cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.9.0.0/16"), cni.Conf{"ingressPolicy": "same-bridge"},
			cni.Ports(cni.Conf{"hostPort": 20000 + i, "containerPort": 80, "protocol": "tcp"}))
		call := nettest.Call{
			Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0",
			Args: podArgs(fmt.Sprint("team-", i%3), name), Config: conf.JSON(t),
		}
		s.calls = append(s.calls, call)
		limit <- struct{}{}
		ready.Go(func() {
			s.CNI(t, call).OK(t)
			<-limit
		})
	}
	ready.Wait()
	return s
}

// timed prints how long a picture takes, and how much of that a processor works for it, and returns the picture.
func (s *scene) timed(pods int, format string) (picture string) {
	s.t.Helper()
	var took, work []time.Duration
	for range 5 {
		began := time.Now()
		cmd := s.command("show", "--width", "100", "-o", format)
		out, err := cmd.Output()
		if err != nil {
			s.t.Fatal(err)
		}
		picture = string(out)
		took = append(took, time.Since(began))
		work = append(work, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	slices.Sort(took)
	slices.Sort(work)
	s.t.Logf("show -o %s of %d attachments: %v, %v of a processor (medians of %d)", format, pods,
		took[len(took)/2].Round(time.Millisecond), work[len(work)/2].Round(time.Millisecond), len(took))
	return picture
}

// TestShow300 prints how long the picture of 300 attachments takes, and requires that it is readable: a heading for each namespace, and a
// name of its own for each pod.
//
// Claim: `patchbay show` of 300 attachments groups them by the namespace of the pods; each line has a name that no other line has
func TestShow300(t *testing.T) {
	const pods = 300
	s := node(t, pods)
	picture := s.timed(pods, "text")
	for _, format := range []string{"json", "dot", "svg", "html"} {
		s.timed(pods, format)
	}
	for i := range 3 {
		if heading := fmt.Sprintf("namespace team-%d (100)", i); strings.Count(picture, heading) != 1 {
			t.Errorf("%q occurs %d times", heading, strings.Count(picture, heading))
		}
	}
	names := map[string]bool{}
	for l := range strings.Lines(picture) {
		if _, what, found := strings.Cut(l, "─┼─● "); found {
			names[strings.Fields(what)[0]] = true
		}
	}
	if len(names) != pods {
		t.Errorf("%d names for %d pods:\n%s", len(names), pods, picture)
	}
}
