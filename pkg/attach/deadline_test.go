package attach

import (
	"context"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/delegate"
)

// TestDeadline: a verb has one deadline, the timeout of an IPAM plugin ends with it, and undo has time of its own.
//
// Claim: An IPAM plugin that hangs is killed at a deadline, and when the ADD is killed, also with SIGKILL
func TestDeadline(t *testing.T) {
	t.Parallel()
	ctx := Within(context.Background())
	end := deadline(ctx)
	if left := time.Until(end); left <= 0 || left > verbTime {
		t.Errorf("%v of %v remain", left, verbTime)
	}
	if again := deadline(Within(ctx)); !again.Equal(end) {
		t.Errorf("a second Within has moved the deadline from %v to %v", end, again)
	}
	plugin := &delegate.Plugin{Deadline: delegate.Patience}
	if p := within(ctx, plugin); p.Deadline != delegate.Patience {
		t.Errorf("a plugin has %v at the beginning", p.Deadline)
	}
	late := context.WithValue(ctx, deadlineKey{}, time.Now().Add(time.Second))
	if p := within(late, plugin); p.Deadline > time.Second || plugin.Deadline != delegate.Patience {
		t.Errorf("a plugin has %v when one second remains", p.Deadline)
	}
	if p := within(context.Background(), plugin); p.Deadline != delegate.Patience {
		t.Errorf("without a deadline a plugin has %v", p.Deadline)
	}
	if most, kubelet := verbTime+undoAll+undoIPAM, 2*time.Minute; most >= kubelet {
		t.Errorf("an ADD and its undoing take up to %v, kubelet waits %v", most, kubelet)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := toUndo(canceled).Err(); err != nil {
		t.Errorf("the context of undo is canceled with that of the ADD: %v", err)
	}
}
