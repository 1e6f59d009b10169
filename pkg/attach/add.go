package attach

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Add attaches a container (CNI SPEC.md section 4, ADD). It writes the result to out in the format of the configuration's
// cniVersion. On an error, and if ctx is done, it removes everything of this attachment. The bridge and other resources that
// serve several attachments stay: a concurrent ADD may already use them.
func Add(ctx context.Context, req Request, out io.Writer) (err error) {
	ctx = Within(ctx)
	cfg, plugin, err := req.parse()
	if err != nil {
		return err
	}
	if cfg.CalledAsIPAM() {
		return addAddresses(ctx, req, cfg, out)
	}
	a := &adding{preflight: preflight{cfg: cfg}, req: req, names: identity.Of(req.Key(cfg.Name)).OwnedBy(req.OwnerName()), ipam: delegatedIPAM{plugin: plugin, static: cfg.Static}}
	defer a.close()
	return a.run(ctx, a.steps(out))
}

// steps returns the steps of an ADD in order, under the names that the log has.
func (a *adding) steps(out io.Writer) []step {
	return []step{
		{"look", a.look},
		{"reserve", a.reserve},
		{"plug", a.plug},
		{"ask", a.ask},
		{"publish", a.publish},
		{"up", a.up},
		{"print", func(context.Context) error { return a.print(out) }},
	}
}

// run runs the steps in order. If one fails, it undoes everything that the steps have registered with undo.
func (a *adding) run(ctx context.Context, steps []step) (err error) {
	defer a.undo.onError(&err)
	return a.writeError(runSteps(ctx, &a.req, steps...))
}

// adding is the state of one ADD.
type adding struct {
	preflight

	req     Request
	names   identity.Names
	sandbox *link.Sandbox
	state   *store.Attachment
	record  *store.Record
	prefer  []netip.Addr  // addresses of a stale attachment of this key
	chained *chainLink    // nil unless another plugin created the interface
	ipam    delegatedIPAM // without plugin if IPAM is built in or not configured
	routes  []link.Route
	undo    undo
	probed  time.Duration // time spent probing addresses on the LAN

	reserved  bool            // the lock of the addresses was held: some may be reserved
	published bool            // the lock of the ruleset was held: elements may exist
	flushed   <-chan struct{} // closed when stale flows to its ports are deleted; nil if there are none
}

func (a *adding) close() {
	a.endFlush()
	if a.state != nil {
		closeState(a.state)
	}
	if a.sandbox != nil {
		a.sandbox.Close()
	}
	a.preflight.close()
}
