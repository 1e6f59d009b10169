package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// hostLocal is the reference IPAM plugin whose keys and files the built-in one has, and whose place it can take.
const hostLocal = "host-local"

// called says what the name means by which this program was called.
func (r *Request) called() config.Called {
	if r.Program == hostLocal {
		return config.Called{Alias: hostLocal, AsIPAM: true}
	}
	return config.Called{}
}

// parse reads the configuration and finds its IPAM plugin; nil if that is the built-in one, also by another name: a link of
// that name to this program. It is found before anything has happened.
func (r *Request) parse() (*config.Config, *delegate.Plugin, error) {
	cfg, err := r.called().Parse(r.Config, r.Args)
	if err != nil || !cfg.Foreign() {
		return cfg, nil, err
	}
	plugin, err := delegate.Find(cfg.IPAMType, r.Path)
	if err != nil {
		return nil, nil, err
	}
	if plugin.IsSelf() {
		cfg, err = config.Called{Alias: cfg.IPAMType}.Parse(r.Config, r.Args)
		return cfg, nil, err
	}
	return cfg, plugin, nil
}

// identify is parse for what must do with whatever can be read.
func (r *Request) identify() config.Ident {
	id := r.called().ParseLenient(r.Config)
	if !id.Foreign() {
		return id
	}
	if plugin, err := delegate.Find(id.IPAMType, r.Path); err == nil && plugin.IsSelf() {
		return config.Called{Alias: id.IPAMType}.ParseLenient(r.Config)
	}
	return id
}

// parseGC is parse for a GC.
func (r *Request) parseGC() (*config.GC, error) {
	cfg, err := r.called().ParseGC(r.Config)
	if err != nil || !cfg.Foreign() {
		return cfg, err
	}
	if id := r.identify(); !id.Foreign() {
		return id.Called.ParseGC(r.Config)
	}
	return cfg, nil
}

// foreign is what an ADD has to do with an IPAM plugin that is not the built-in one.
type foreign struct {
	plugin  *delegate.Plugin // nil for none
	asked   bool             // it ran: it may have reserved something, whatever it said
	refused bool             // it said itself that it failed
}

// ask gets the addresses from such a plugin. The cable is there: the reference dhcp sends through it.
func (a *adding) ask(ctx context.Context) error {
	if a.ipam.plugin == nil {
		return nil
	}
	out, err := a.ipam.plugin.Call(ctx, "ADD", a.req.Config)
	a.ipam.asked, a.ipam.refused = ran(err), errors.Is(err, delegate.ErrRefused)
	if errors.Is(err, delegate.ErrInterrupted) {
		err = fmt.Errorf("%w: %w", errInterrupted, err)
	}
	if err != nil {
		return err
	}
	if err := a.accept(out); err != nil {
		return err
	}
	if err := a.gatewaysLate(); err != nil {
		return err
	}
	return a.routeHosts()
}

// gatewaysLate is beGateway for addresses that were not known when the bridge was made.
func (a *adding) gatewaysLate() (err error) {
	if !a.cfg.IsGateway {
		return nil
	}
	if a.on, err = a.host.Addresses(a.bridge.Index); err != nil {
		return err
	}
	return a.beGateway()
}

// ran reports whether a call went so far that the plugin may have done something.
func ran(err error) bool {
	var failed *delegate.Error
	return err == nil || errors.As(err, &failed) && failed.Started
}

// unanswered reports whether an earlier ADD ended while it asked: its record is ours to lock now, and nobody got a result.
func (a *adding) unanswered() bool {
	return a.state.Record != nil && a.state.Record.IPAM == store.IPAMPending
}

// giveBack undoes ask, as CNI SPEC.md section 4 wants it also after an ADD that failed. A plugin that said itself that it
// failed has nothing to give back, or is not there to take it.
func (a *adding) giveBack(ctx context.Context) error {
	if !a.ipam.asked {
		return nil
	}
	const patience = 30 * time.Second // the ADD may have taken twice that already
	plugin := *a.ipam.plugin
	plugin.Deadline = patience
	_, err := plugin.Call(context.WithoutCancel(ctx), "DEL", a.req.Config)
	if err != nil && a.ipam.refused {
		warn("%s", sentence(err))
		return nil
	}
	return err
}

// releaseForeign lets the plugin that gave the addresses free them: the recorded one, or without a record the configured one.
func (r *removal) releaseForeign(ctx context.Context) error {
	name, reserved := r.foreignType()
	if name == "" {
		return nil
	}
	plugin, err := delegate.Find(name, r.asked.Path)
	if err == nil && plugin.IsSelf() {
		return r.takeOver()
	}
	if err == nil {
		_, err = plugin.CallFor(ctx, r.environment(), r.asked.Config)
	}
	if ran(err) || errors.Is(err, delegate.ErrInterrupted) {
		return err
	}
	if reserved {
		return fmt.Errorf("%w: %w", errStillReserved, err)
	}
	warn("%s; nothing is known to be reserved", sentence(err))
	return nil
}

// foreignType is the plugin to ask, "" for none, and whether it is known to have given addresses.
func (r *removal) foreignType() (name string, reserved bool) {
	if r.asked == nil {
		return "", false
	}
	if record := r.state.Record; record != nil && (r.state.Broken == nil || record.IPAMType != "") { // a newer form may tell it elsewhere
		return record.IPAMType, record.IPAM == store.IPAMDone
	}
	if id := r.asked.identify(); id.Foreign() {
		return id.IPAMType, false
	}
	return "", false
}

// environment is that of the DEL: the runtime's own, unless another attachment is concerned than it calls about, as in a GC.
func (r *removal) environment() []string {
	env := []string{"CNI_COMMAND=DEL"}
	if r.asked.key(r.key.Network) == r.key {
		return env
	}
	env = append(env, "CNI_CONTAINERID="+r.key.ContainerID, "CNI_IFNAME="+r.key.IfName)
	if r.state.Record != nil {
		env = append(env, "CNI_NETNS="+r.state.Record.Netns)
	}
	return env
}

// takeOver lets the built-in IPAM free what the plugin gave whose place it has taken since: the files are the same.
func (r *removal) takeOver() error {
	if r.state.Record != nil {
		r.state.Record.DataDir = r.asked.identify().DataDir
	}
	return nil
}

// owns is store.Attachment.Owns, with what no address file tells: another plugin's address is ours until it has freed it.
func (r *removal) owns(addr netip.Addr) (bool, error) {
	if r.state.Record != nil && r.state.Record.IPAMType != "" {
		return true, nil
	}
	return r.state.Owns(addr)
}

// collectForeign forwards a GC, if the version of the specification has it: CNI SPEC.md section 4.
func (r *Request) collectForeign(ctx context.Context, id config.Ident) error {
	has, err := version.GreaterThanOrEqualTo(id.CNIVersion, "1.1.0")
	if err != nil || !has || !id.Foreign() {
		return nil
	}
	plugin, err := delegate.Find(id.IPAMType, r.Path)
	if err == nil {
		_, err = plugin.Call(ctx, "GC", r.Config)
	}
	return err
}

// statusForeign forwards a STATUS.
func statusForeign(ctx context.Context, plugin *delegate.Plugin, req Request) error {
	if plugin == nil {
		return nil
	}
	_, err := plugin.Call(ctx, "STATUS", req.Config)
	return notReadyWithout(err)
}

// notReadyWithout says that without an IPAM plugin that runs no ADD can pass. One that runs has a code of its own.
func notReadyWithout(err error) error {
	var failed *delegate.Error
	if errors.As(err, &failed) && failed.Code == 0 {
		return &notReadyError{why: err}
	}
	return err
}

// ipamCause is that of a plugin which has no error of its own.
func ipamCause(e *delegate.Error) cause {
	code, fix := uint(CodeIPAM), "see its own log; a DEL frees what it may have reserved"
	switch {
	case errors.Is(e, delegate.ErrName):
		code, fix = types.ErrInvalidNetworkConfig, "give the file name of a plugin, without a path"
	case !e.Started:
		fix = `install it for this machine in a directory of CNI_PATH, or set ipam.type to "` + config.TypeName + `", which is built in`
	case errors.Is(e, delegate.ErrTimeout):
		code, fix = types.ErrTryAgainLater, "see what it waits for; then call again"
	}
	if e.Details != "" {
		fix = e.Details + "; " + fix
	}
	return cause{e, code, fix}
}
