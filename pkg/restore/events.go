package restore

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
	"github.com/patchbay-cni/patchbay/pkg/poll"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// need says what is to be looked at.
type need struct {
	links  bool
	rules  bool
	causes []string // of rules, each once
	losses []link.Loss
}

// add adds the needs of another.
func (n *need) add(other need) {
	n.links, n.rules = n.links || other.links, n.rules || other.rules
	for _, c := range other.causes {
		n.because(c)
	}
	n.losses = append(n.losses, other.losses...)
	n.losses = n.losses[:min(len(n.losses), mostLosses)]
}

// because adds a cause.
func (n *need) because(cause string) {
	if !slices.Contains(n.causes, cause) && len(n.causes) < mostCauses {
		n.causes = append(n.causes, cause)
	}
}

// explain adds as causes those losses whose object a sentence about a restoration names: others are of a DEL, or of another program's
// interfaces.
func (n *need) explain(done []string) {
	for _, loss := range n.losses {
		if slices.ContainsFunc(done, func(sentence string) bool {
			return slices.Contains(strings.FieldsFunc(sentence, func(r rune) bool { return r == ' ' || r == ',' }), loss.Object)
		}) {
			n.because(printable.Text(loss.Says, 0))
		}
	}
}

const (
	mostCauses = 5    // that are reported of one restoration
	mostLosses = 1000 // that are remembered until it
)

// events are the subscriptions, and the need of what they have noticed since it was taken.
type events struct {
	rules *nfnl.Changes // nil on a kernel without nftables, which has no ruleset to lose
	links *link.Changes
	loop  *poll.Loop

	mu   sync.Mutex
	need need
}

// subscribe subscribes in the network namespace of the process. Close its loop when done.
func subscribe() (*events, error) {
	e := &events{}
	var err error
	if e.links, err = link.OpenHostChanges(); err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	if e.rules, err = nfnl.OpenChanges(); err != nil && !nfnl.IsUnsupported(err) {
		e.links.Close()
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	fds := []int{e.links.FD()}
	if e.rules != nil {
		fds = append(fds, e.rules.FD())
	}
	if e.loop, err = poll.Start(poll.Source{FDs: fds, Read: e.read, Close: e.close}); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return e, nil
}

// close closes the subscriptions.
func (e *events) close() {
	e.links.Close()
	if e.rules != nil {
		e.rules.Close()
	}
}

// take returns what was noticed since the last call.
func (e *events) take() need {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.need
	e.need = need{}
	return n
}

// read reads the notifications that have arrived. Of interfaces any change is a reason to look; what is missing is found by looking.
func (e *events) read(ready []bool) (happened bool, err error) {
	var n need
	if ready[0] {
		n.links = true
		if n.losses, err = e.links.Read(); err != nil {
			return false, fmt.Errorf("watch interfaces: %w", err)
		}
	}
	if len(ready) > 1 && ready[1] {
		if err := e.readRules(&n); err != nil {
			return false, err
		}
	}
	if !n.links && !n.rules {
		return false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.need.add(n)
	return true, nil
}

// readRules adds the need of transactions that have ended.
func (e *events) readRules(n *need) error {
	transactions, err := e.rules.Read()
	if nlsock.IsLoss(err) {
		n.add(need{links: true, rules: true, causes: []string{"notifications of nftables were lost"}})
		return nil
	}
	for i := range transactions {
		if why := cause(&transactions[i]); why != "" {
			n.add(need{rules: true, causes: []string{why}})
		}
	}
	return err
}
