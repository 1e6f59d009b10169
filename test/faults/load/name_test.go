package load

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestNameOfAnAttachmentAtWork: an ADD finds the interface in the container; then a DEL of the same attachment deletes the veth pair,
// and before the ADD looks a third time, another ADD has created both again. The interface is then the attachment's own and no
// conflict: the error is "already attached" (100), not "interface name in use" (4).
//
// Claim: An ADD that runs beside a DEL and an ADD of the same attachment recognises its own interface; an interface that is deleted
// meanwhile is reported as gone
func TestNameOfAnAttachmentAtWork(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("web")
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: network("layer2", "br0").JSON(t)}
	do := func(verb string) nettest.Answer {
		other := call
		other.Command = verb
		return h.CNI(t, other)
	}
	do("ADD").OK(t)
	var met []string
	answer := stepped(t, h, call, func(text string) {
		switch {
		case len(met) == 0 && text == "RTM_GETLINK eth0":
			met = append(met, "the container interface")
		case len(met) == 1 && strings.HasPrefix(text, "RTM_GETLINK veth"):
			met = append(met, "the host interface")
			do("DEL").OK(t)
		case len(met) == 2 && text == "RTM_GETLINK eth0":
			met = append(met, "the container interface again")
			do("ADD").OK(t)
		}
	})
	if len(met) != 3 {
		t.Fatalf("the ADD looked only at %q", met)
	}
	if e := answer.Error(t); e.Code != codeAttached {
		t.Errorf("got %v, want code %d", e, codeAttached)
	}
	do("DEL").OK(t)
}

// stepped makes a call and runs before, with its text, before each of its netlink requests.
func stepped(t *testing.T, h *nettest.Node, call nettest.Call, before func(text string)) nettest.Answer {
	t.Helper()
	p := stepper.Program{Path: nettest.Patchbay(t), Stdin: call.Config, Env: []string{
		"CNI_COMMAND=" + call.Command, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName, "CNI_PATH=/nowhere",
	}}
	var ending stepper.Ending
	var err error
	h.Do(func() {
		ending, err = stepper.Run(p, func(step stepper.Step) stepper.Act {
			if step.Kind == stepper.Request && !step.After {
				before(step.Text)
			}
			return stepper.Go()
		})
	})
	if err != nil || ending.TimedOut {
		t.Fatalf("step %s: %v, timed out %t:\n%s", call.Command, err, ending.TimedOut, ending.Stderr)
	}
	return nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
}

// TestCheckOfAnEarlierResult: the caller passes the result of an ADD before the last DEL, and the current ADD gave another address.
//
// Claim: CHECK detects the result of an earlier ADD with another address
func TestCheckOfAnEarlierResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("web")
	conf := network("v4", "br1", cni.Gateway(), cni.Pool("10.1.0.0/23"))
	do := func(verb string) nettest.Answer { return h.CNI(t, cni.Call(t, verb, c, conf)) }
	first := do("ADD")
	first.OK(t)
	do("DEL").OK(t)
	second := do("ADD")
	second.OK(t)
	if slices.Equal(addressesIn(first.Stdout), addressesIn(second.Stdout)) {
		t.Fatalf("both ADDs gave %v", addressesIn(first.Stdout))
	}
	cni.Check(t, h, c, conf.With(cni.Prev(second.Stdout))).OK(t)
	answer := cni.Check(t, h, c, conf.With(cni.Prev(first.Stdout)))
	if e := answer.Error(t); e.Code != codeDrift {
		t.Errorf("got %v, want code %d", e, codeDrift)
	}
	do("DEL").OK(t)
}
