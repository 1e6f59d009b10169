package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// adding is one ADD on its way.
type adding struct {
	req     Request
	cfg     *config.Config
	names   names
	host    *link.Host
	sandbox *link.Sandbox
	state   *store.Attachment
	record  *store.Record
	prefer  []netip.Addr   // what a dead attachment of this key had
	bridge  *link.Bridge   // as seen last; nil as long as there is none
	on      []netip.Prefix // addresses of the bridge as seen last
	chained *chainLink     // nil unless another plugin made the interface
	rules   *nft.Ruleset   // nil unless the network needs it
	ipam    foreign        // of no plugin, if IPAM is the built-in one or there is none
	routes  []link.Route
	undo    undo

	flushed <-chan struct{} // closed when the flows of its ports are; nil if there are none
}

// Add attaches a container: CNI SPEC.md section 4, ADD. The result goes to out, in the form of
// the configuration's cniVersion. On an error, ctx's end among them, everything of this
// attachment is away again; the bridge and what else serves all attachments stays.
func Add(ctx context.Context, req Request, out io.Writer) (err error) {
	cfg, plugin, err := req.parse()
	if err != nil {
		return err
	}
	if err := resolveDNS(cfg); err != nil {
		return err
	}
	if cfg.Delegated() {
		return addAddresses(ctx, req, cfg, out)
	}
	a := &adding{req: req, cfg: cfg, names: namesOf(req.key(cfg.Name)).by(req.owner()), ipam: foreign{plugin: plugin}}
	defer a.close()
	defer a.undo.onError(&err)
	return inTurn(ctx, &a.req, step{"look", a.look}, step{"reserve", a.reserve}, step{"plug", a.plug}, step{"ask", a.ask},
		step{"publish", a.publish}, step{"up", a.up}, step{"print", func(context.Context) error { return a.print(out) }})
}

func (a *adding) close() {
	a.endFlush()
	if a.state != nil {
		closeState(a.state)
	}
	if a.sandbox != nil {
		a.sandbox.Close()
	}
	if a.rules != nil {
		a.rules.Close()
	}
	if a.host != nil {
		a.host.Close()
	}
}

// look opens both namespaces, locks the record and refuses what could not end well. Nothing
// of the network has been touched when it fails.
func (a *adding) look(ctx context.Context) (err error) {
	if a.host, err = link.OpenHost(); err != nil {
		return err
	}
	if a.sandbox, err = link.OpenSandbox(a.req.Netns, a.req.HostNetnsAllowed); err != nil {
		return err
	}
	if err := a.lookAtBridge(); err != nil {
		return err
	}
	if err := a.lookForName(); err != nil {
		return err
	}
	if err := a.openRules(); err != nil {
		return err
	}
	if err := a.portsAreFree(); err != nil {
		return err
	}
	if err := a.bridgeIsFree(); err != nil {
		return err
	}
	if a.cfg.PrevResult != nil {
		if a.chained, err = a.findChainLink(); err != nil {
			return err
		}
	}
	if a.state, err = store.Open(ctx, dirs(a.cfg.Ident), a.req.key(a.cfg.Name)); err != nil {
		return err
	}
	return a.replaceDead(ctx)
}

// lookAtBridge refuses an interface that is no bridge. A bridge that is missing will be made.
func (a *adding) lookAtBridge() error {
	b, err := a.host.Bridge(a.cfg.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.bridge = b
	if !a.cfg.IsGateway {
		return nil
	}
	if a.on, err = a.host.Addresses(b.Index); err != nil {
		return err
	}
	_, err = a.addressPlan(a.gatewaysOfPool())
	return err
}

// lookForName refuses if the container's end could not have its name, before a state directory
// is made. If the host end of this attachment is there, the name may be its own, and the
// record tells what that means; in a chain the interface is there by right.
func (a *adding) lookForName() error {
	has, err := a.sandbox.Has(a.req.IfName)
	if err != nil || !has || a.cfg.PrevResult != nil {
		return err
	}
	_, err = a.host.Link(a.names.hostLink)
	if !errors.Is(err, link.ErrNotFound) {
		return err
	}
	// A DEL that is at work may have taken both between the two looks.
	if has, err = a.sandbox.Has(a.req.IfName); err != nil || !has {
		return err
	}
	return fmt.Errorf("interface %s %w in %s", a.req.IfName, link.ErrExists, a.req.Netns)
}

// replaceDead looks at what the record and the derived name say of an earlier ADD. One that is
// alive is an error, one that is dead is cleaned up without a word (a runtime may use an ID
// again after a crash; nomad issue 15763, nerdctl issue 3355).
func (a *adding) replaceDead(ctx context.Context) error {
	l, err := a.host.Link(a.names.hostLink)
	if err != nil && !errors.Is(err, link.ErrNotFound) {
		return err
	}
	if l != nil && !l.IsOurs(a.names.mark) {
		return fmt.Errorf("interface %s, the name derived for this attachment, %w: its alias is %q", l.Name, link.ErrForeign, l.Alias)
	}
	if l != nil && l.Alias != "" && !a.unanswered() {
		return a.alive()
	}
	if errors.Is(a.state.Broken, store.ErrNewer) {
		return a.state.Broken
	}
	if l == nil && a.state.Record == nil && a.state.Broken == nil {
		return nil // the usual case: nothing was ever there
	}
	if a.state.Record != nil && a.lives(a.state.Record) {
		return a.alive()
	}
	a.prefer = addressesOf(a.state.Record)
	return (&removal{key: a.state.Key, names: a.names, host: a.host, state: a.state, bridge: a.cfg.Bridge, asked: &a.req}).run(ctx)
}

// lives reports whether a record's attachment may be in use, though the link that would be its
// own is not there, or has no alias yet.
func (a *adding) lives(r *store.Record) bool {
	j := newJudge(a.host)
	switch {
	case j.unseen(r):
		return true
	case r.Role == store.RoleChained:
		return a.chainAlive(r)
	}
	// Another name was derived before the machine-id changed; there is none in another plugin's.
	return r.HostLink != a.names.hostLink && !j.dead(r)
}

func addressesOf(r *store.Record) []netip.Addr {
	if r == nil {
		return nil
	}
	var addrs []netip.Addr
	for _, address := range r.Addresses {
		addrs = append(addrs, address.Address.Addr())
	}
	return addrs
}

// alive says where the earlier attachment lives.
func (a *adding) alive() error {
	r := a.state.Record
	if r == nil {
		return fmt.Errorf("%w: %s carries its mark, but there is no readable record", errAliveElsewhere, a.names.hostLink)
	}
	same := r.NetnsCookie == a.sandbox.Cookie() && r.NetnsCookie != 0 || r.NetnsCookie == 0 && r.Netns == a.req.Netns
	if same {
		return fmt.Errorf("%w: container %s has %s on network %s", errAttached, a.req.ContainerID, a.req.IfName, a.cfg.Name)
	}
	return fmt.Errorf("%w: container %s is attached to network %s in %s, not in %s", errAliveElsewhere, a.req.ContainerID, a.cfg.Name, r.Netns, a.req.Netns)
}

// reserve writes down what is going to be, with addresses if the network has any.
func (a *adding) reserve(ctx context.Context) error {
	a.record = a.newRecord()
	a.undo.push(func() error { return a.forget(ctx) })
	a.undo.push(func() error { return a.withdraw(context.WithoutCancel(ctx)) })
	if a.cfg.IPAM == nil { // or another plugin is asked, when the cable is there
		return a.state.Save(a.record)
	}
	return a.addresses(ctx)
}

// addresses reserves them, and when none is free tries again without the dead.
func (a *adding) addresses(ctx context.Context) error {
	r := request(a.cfg, a.prefer, a.req)
	r.Complete = a.complete
	err := a.state.Reserve(ctx, a.record, r)
	if outOfAddresses(err) && reclaim(ctx, a.host, dirs(a.cfg.Ident), a.cfg.Name) {
		return a.state.Reserve(ctx, a.record, r)
	}
	return err
}

// complete puts what only the addresses tell into the record.
func (a *adding) complete() error {
	overrideGateways(a.record.Addresses, a.cfg.IPAM.Gateways)
	a.routes = routesOf(a.cfg, a.record.Addresses)
	a.record.HostRoutes = nil
	for _, address := range a.record.Addresses {
		if a.cfg.IsGateway && address.Address.IsSingleIP() {
			a.record.HostRoutes = append(a.record.HostRoutes, address.Address.Addr())
		}
	}
	a.planMasquerade()
	return a.planPorts()
}

// forget frees the addresses and then the record, as the last steps of undoing. The signal
// that may have ended the ADD does not end this.
func (a *adding) forget(ctx context.Context) error {
	if err := a.giveBack(ctx); err != nil {
		return err
	}
	if err := a.state.Release(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return a.state.Forget()
}

// withdraw comes after the cable is gone: who builds the ruleset anew lists the living, and if it
// did before, has built by the time that this gets the lock.
func (a *adding) withdraw(ctx context.Context) error {
	if !inRules(a.record) {
		return nil
	}
	unlock, err := holdRules(ctx, a.cfg.StateDir)
	if err != nil {
		return err
	}
	defer unlock()
	return withdraw(a.record)
}

func (a *adding) newRecord() *store.Record {
	r := newRecord(a.req, a.cfg, store.RolePort)
	r.HostCookie, r.NetnsCookie = a.host.Cookie(), a.sandbox.Cookie()
	r.Bridge, r.HostLink, r.Alias = a.cfg.Bridge, a.names.hostLink, a.names.alias
	r.BridgeMAC = bridgeMAC(a.bridge)
	r.Hairpin, r.Gateway = a.cfg.HairpinMode || a.reachesItself(), a.cfg.IsGateway
	r.Policy = policyOf(a.cfg)
	r.MAC = macText(a.names.mac)
	if a.cfg.MAC != nil {
		r.MAC = macText(a.cfg.MAC)
	}
	if a.ipam.plugin != nil {
		r.IPAMType, r.IPAM = a.cfg.IPAMType, store.IPAMPending
	}
	if a.chained != nil {
		r.Role, r.HostLink, r.HostIndex, r.MAC = store.RoleChained, a.chained.host.Name, a.chained.host.Index, ""
	}
	return r
}

// bridgeMAC is that of a bridge of ours, "" of another's, whose MAC is its owner's business.
func bridgeMAC(b *link.Bridge) string {
	if b == nil || !b.Ours {
		return ""
	}
	return macText(b.MAC)
}

func newRecord(req Request, cfg *config.Config, role string) *store.Record {
	r := &store.Record{
		Version: store.RecordVersion(), Network: cfg.Name, ContainerID: req.ContainerID, IfName: req.IfName,
		Owner: req.owner(), Role: role, Created: time.Now().UTC(), BootID: store.BootID(), Netns: req.Netns, NetnsMade: req.NetnsMade,
	}
	if cfg.Args.PodName != "" {
		r.Pod = &store.Pod{Namespace: cfg.Args.PodNamespace, Name: cfg.Args.PodName, UID: cfg.Args.PodUID}
	}
	return r
}
