package topo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// withPods is a node with pods of deployments in three namespaces, and one container that is no pod.
func withPods(n int) *View {
	v := withMany(n)
	for i := range v.Attachments[1:] {
		a := &v.Attachments[i+1]
		pod := &store.Pod{Namespace: "kube-system", Name: fmt.Sprintf("coredns-5d78c9869d-%05x", 65536+i*7919)}
		switch i % 3 {
		case 1:
			pod = &store.Pod{Namespace: "production", Name: fmt.Sprintf("checkout-frontend-7d4b9c8f6d-%05x", 65536+i*7919)}
		case 2:
			pod = &store.Pod{Namespace: "a-team-with-a-rather-long-name-of-its-own", Name: fmt.Sprintf("checkout-frontend-7d4b9c8f6d-%05x", 65536+i*7919)}
		}
		a.Record.Pod = pod
		v.Namespaces[i+1].Name = pod.Namespace + "/" + pod.Name
	}
	return v
}

// TestPodNamespaces: a long list of pods has a heading for each namespace, and below it names that differ, without the namespace.
//
// Claim: Shortened names in the picture and in tables stay different, and keep the part in which pods of one deployment differ
func TestPodNamespaces(t *testing.T) {
	for width := 30; width <= 160; width += 10 {
		picture := draw(t, withPods(301), Style{Width: width})
		for _, want := range []string{"namespace a-team-with-", "namespace kube-system", "namespace production", "not a pod (1)"} {
			if n := strings.Count(picture, want); n != 1 {
				t.Errorf("at %d columns %q occurs %d times, want once", width, want, n)
			}
		}
		inOrder(t, picture, "namespace a-team", "namespace kube-system", "namespace production", "not a pod")
		seen := map[string]string{}
		heading := ""
		for l := range strings.Lines(picture) {
			if _, title, found := strings.Cut(l, "namespace "); found {
				heading = title
			}
			if _, what, found := strings.Cut(l, "● "); found && strings.Contains(what, "eth0") && !strings.Contains(l, "═") {
				short := strings.Fields(what[strings.LastIndex(what, "● ")+1:])[0]
				name := heading + strings.TrimPrefix(short, "●")
				if other, known := seen[name]; known {
					t.Fatalf("at %d columns two lines are alike:\n%s%s", width, other, l)
				}
				seen[name] = l
			}
		}
		if len(seen) != 301 {
			t.Errorf("at %d columns %d names for 301 attachments", width, len(seen))
		}
	}
	if picture := draw(t, withPods(20), Style{}); strings.Contains(picture, "not a pod") {
		t.Errorf("a short list has headings:\n%s", picture)
	}
}

func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%q is not after the parts before it", part)
			return
		}
		rest = after
	}
}
