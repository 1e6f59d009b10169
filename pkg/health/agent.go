package health

import (
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
)

// APIState says whether the API server answers patchbay-agent.
type APIState string

// The values of APIState.
const (
	APIAnswers APIState = "answers"
	APIFails   APIState = "fails"   // the last request failed
	APIUnknown APIState = "unknown" // the agent does not run, or has no answer yet
)

// Agent is what patchbay-agent says of this node as one of a cluster. What it says of the cluster is that of its last pass, which is old unless
// Activity is Running: then AsOf is the time of that pass, and without an agent that runs nothing is said of the API server.
type Agent struct {
	Activity agentstatus.Activity `json:"activity"`
	Age      int                  `json:"ageSeconds"`    // of the last pass; 0 if its time is in the future
	AsOf     time.Time            `json:"asOf,omitzero"` // zero if Activity is Running
	API      APIState             `json:"api"`           // of the last pass
	*agentstatus.Status
}

// AgentOf returns the summary of a state, nil without one.
func AgentOf(s *agentstatus.Status, now time.Time) *Agent {
	if s == nil {
		return nil
	}
	known := *s
	a := &Agent{Activity: s.Activity(agentstatus.Path, now), Age: max(0, int(now.Sub(s.LastPass)/time.Second)), API: APIUnknown, Status: &known}
	if a.Activity != agentstatus.Running {
		a.AsOf = s.LastPass
	}
	switch {
	case a.Activity == agentstatus.Stopped:
		known.APIError, known.APISince = "", time.Time{}
	case s.APIError != "":
		a.API = APIFails
	case s.Synced:
		a.API = APIAnswers
	}
	return a
}

// Current reports whether what the agent says of the cluster is of now.
func (a *Agent) Current() bool { return a.Activity == agentstatus.Running }
