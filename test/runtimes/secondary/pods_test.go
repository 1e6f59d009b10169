package secondary

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPods: the library of CRI-O attaches a pod to the default network, an access VLAN and a trunk, and two pods to one of the VLANs each.
//
// Claim: A pod with a default network, an access VLAN and a trunk reaches on each what is on it and nothing else, and its removal leaves nothing behind; CRI-O's library calls
func TestPods(t *testing.T) {
	h := nettest.Host(t)
	pods(t, h, newLibrary(t, h))
}

// TestMultus is TestPods with the thin plugin of Multus as the caller, whose configuration lists the delegates.
func TestMultus(t *testing.T) {
	h := nettest.Host(t)
	pods(t, h, newMultus(t, h))
}

func pods(t *testing.T, h *nettest.Node, c caller) {
	t.Helper()
	vm, hundred, other := h.Container("vm"), h.Container("hundred"), h.Container("other")
	h.Baseline()
	all := map[*nettest.Container][]string{vm: {"default", "hundred", "trunk"}, hundred: {"default", "hundred"}, other: {"default", "twohundred"}}
	if !nettest.Has(nettest.VLANFiltering) {
		if err := c.attach(vm, all[vm]); err == nil || !strings.Contains(err.Error(), "no VLAN filtering in this kernel") {
			t.Errorf("on a kernel without VLAN filtering: %v", err)
		}
		detach(t, c, vm, all[vm])
		h.NoLeaks(t)
		return
	}
	for pod, names := range all {
		if err := c.attach(pod, names); err != nil {
			t.Fatalf("attach %s to %v: %v", pod.Name(), names, err)
		}
	}
	apart(t, vm, hundred, other)
	for pod, names := range all {
		detach(t, c, pod, names)
	}
	h.NoLeaks(t)
}

func detach(t *testing.T, c caller, pod *nettest.Container, names []string) {
	t.Helper()
	if err := c.detach(pod, names); err != nil {
		t.Errorf("detach %s from %v: %v", pod.Name(), names, err)
	}
}

// apart requires what each pod reaches. The virtual machine has an interface of VLAN 200 on its trunk, and one of VLAN 100, which the
// trunk does not carry.
func apart(t *testing.T, vm, hundred, other *nettest.Container) {
	t.Helper()
	reaches(t, vm, addressOf(t, other, "eth0"), true)
	reaches(t, vm, addressOf(t, hundred, "net1"), true)
	reaches(t, vm, addressOf(t, other, "net1"), false)
	reaches(t, hundred, addressOf(t, other, "net1"), false)
	vm.Run(t, "ip", "link", "set", "net2", "up")
	for id, pod := range map[string]*nettest.Container{"200": other, "100": hundred} {
		vm.Run(t, "ip", "link", "add", "link", "net2", "name", "net2."+id, "type", "vlan", "id", id)
		vm.Run(t, "ip", "address", "add", "192.0.2.1/24", "dev", "net2."+id)
		vm.Run(t, "ip", "link", "set", "net2."+id, "up")
		pod.Run(t, "ip", "address", "add", "192.0.2."+id+"/24", "dev", "net1")
		reaches(t, vm, "192.0.2."+id, id == "200")
		reaches(t, pod, "192.0.2.1", id == "200")
		vm.Run(t, "ip", "link", "del", "net2."+id)
	}
}
