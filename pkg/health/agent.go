package health

import (
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
)

// Agent is what patchbay-agent says of this node as one of a cluster.
type Agent struct {
	Activity agentstatus.Activity `json:"activity"`
	Age      int                  `json:"ageSeconds"` // of the last pass; 0 if its time is in the future
	*agentstatus.Status
}

// AgentOf returns the summary of a state, nil without one.
func AgentOf(s *agentstatus.Status, now time.Time) *Agent {
	if s == nil {
		return nil
	}
	return &Agent{Activity: s.Activity(agentstatus.Path, now), Age: max(0, int(now.Sub(s.LastPass)/time.Second)), Status: s}
}
