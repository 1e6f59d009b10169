package identity

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

func TestNamespaceName(t *testing.T) {
	for want, r := range map[string]store.Record{
		"default/web": {Netns: "/run/netns/cni-1", Pod: &store.Pod{Namespace: "default", Name: "web"}},
		"process 47":  {Netns: "/proc/47/ns/net", Owner: store.OwnerCLI},
		"blue":        {Netns: "/run/netns/blue"},
		"lxc my-web":  {Netns: "/proc/47/ns/net", Owner: store.OwnerLXC, ContainerID: "lxc-my-web-f1c591de"},
	} {
		if got := NamespaceName(&r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
