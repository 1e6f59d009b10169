package crash

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// vlanCallsFile lists the calls of the families that need VLAN filtering, as calls.txt those of the others. The kernel of the project's
// machines lacks it, and a virtual machine cannot write the file: a failure prints what it should contain.
const vlanCallsFile = "calls-vlan.txt"

// TestCrashVLAN is TestCrash for a network with `vlan`, `vlanTrunk` and a gateway on the VLAN, on kernels that filter by VLAN: `make
// test-kernels` runs it. An emulated CPU takes seconds for each case, so each kill point is followed by one of the four recoveries, in
// turn: one after a SIGKILL, and another one after a SIGTERM.
func TestCrashVLAN(t *testing.T) {
	nettest.Root(t)
	nettest.Need(t, nettest.VLANFiltering)
	known := parseCalls(read(t, vlanCallsFile))
	for _, f := range networks.VLANs() {
		for _, verb := range []string{"ADD", "DEL"} {
			s := &subject{family: f, verb: verb}
			t.Run(f.Name+"/"+verb, func(t *testing.T) {
				s.record(t)
				calls := slices.Sorted(slices.Values(s.calls))
				expect.Equal(t, "calls of "+vlanCallsFile+", which should have\n"+strings.Join(calls, "\n")+"\n", calls, known[verb])
				count := s.inTurns(t)
				t.Logf("%d changing calls, %d kill points, %d kills, %d failed", len(s.calls), len(s.points(true)), count.cases, count.failed)
			})
		}
	}
}

// inTurns kills at every point, with SIGKILL after each call and with SIGTERM before each, and takes the recoveries in turn.
func (s *subject) inTurns(t *testing.T) tally {
	t.Helper()
	var cases []networks.Case
	all := recoveries()
	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for j, at := range s.points(signal == syscall.SIGKILL) {
			r := all[(2*i+j)%len(all)]
			cases = append(cases, networks.Case{
				Name: fmt.Sprintf("%s %s, %s; then %s", signal, at, s.calls[at.n-1], r.name),
				Run:  func(t testing.TB) { s.endAt(t, at, signal, r) },
			})
		}
	}
	return tally{len(cases), networks.RunCases(t, cases, atOnce)}
}
