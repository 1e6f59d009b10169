package chained

import (
	"context"
	"errors"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Add does the part of the plugin for an attachment and passes prevResult on. On an error it undoes its part, and only that.
func (p Plugin) Add(ctx context.Context, req attach.Request, out io.Writer) error {
	ctx = attach.Within(ctx)
	cfg, err := p.configuration(req)
	if err != nil {
		return err
	}
	for _, sentence := range cfg.Warnings {
		req.Warn("%s: %s", p.name, sentence)
	}
	if !p.part.wanted(cfg) {
		return attach.PassOn(out, cfg)
	}
	a := &adding{plugin: p, req: req, cfg: cfg, names: identity.Of(req.Key(cfg.Name)).OwnedBy(req.OwnerName())}
	defer a.close()
	return a.run(ctx, out)
}

// configuration decodes and checks the configuration of a verb that needs prevResult.
func (p Plugin) configuration(req attach.Request) (*config.Chained, error) {
	cfg, err := p.part.parse(req.Config, req.Args)
	if err == nil && cfg.PrevResult == nil {
		err = attach.ErrNoPrevResult
	}
	return cfg, err
}

// run does the steps of an ADD.
func (a *adding) run(ctx context.Context, out io.Writer) error {
	if err := a.req.Step("look", func() error { return a.look(ctx) }); err != nil {
		return err
	}
	err := a.plugin.part.plan(a)
	if errors.Is(err, errDone) {
		a.req.Note("%s: %v: nothing to do", a.plugin.name, err)
		return a.pass(out)
	}
	if err != nil {
		return err
	}
	err = a.req.Step("record", func() error { return a.save() })
	if err == nil {
		err = a.req.Step("apply", func() error { return a.plugin.part.apply(ctx, a) })
	}
	if err == nil {
		err = a.req.Step("print", func() error { return a.pass(out) })
	}
	if err != nil {
		return a.undo(ctx, err)
	}
	return nil
}

// look opens host, container and record, and finds both ends of the attachment.
func (a *adding) look(ctx context.Context) (err error) {
	if a.host, err = attach.OpenHost(ctx); err != nil {
		return err
	}
	if a.sandbox, err = link.OpenSandbox(a.req.Netns, a.req.HostNetnsAllowed); err != nil {
		return err
	}
	if a.ends, err = findEnds(a.host, a.sandbox, a.req.IfName); err != nil {
		return err
	}
	if err := a.openRecord(ctx); err != nil {
		return err
	}
	a.given = addressesIn(a.cfg.PrevResult, a.req.IfName)
	if a.isOurs() {
		a.given = a.record.Addresses
		return nil
	}
	missing, err := strangers(a.sandbox, a.ends.inside, a.given)
	for _, addr := range missing {
		a.req.Warn("%s: prevResult has %s, which %s in the container does not have", a.plugin.name, addr, a.req.IfName)
	}
	return err
}

// pass writes prevResult, with what the part changed in it.
func (a *adding) pass(out io.Writer) error { return attach.PassOn(out, a.cfg) }

// save writes the record before anything is made, so that a DEL finds whatever a killed ADD has made.
func (a *adding) save() error {
	if a.state.Dirs().State != config.DefaultStateDir {
		if err := store.NoteStateDir(config.DefaultStateDir, a.state.Dirs().State); err != nil {
			report.Warn("%v; pass it to patchbay reload and patchbay gc with --state-dir", err)
		}
	}
	return a.state.Save(a.record)
}

// undo removes the part from the kernel and restores the record.
func (a *adding) undo(ctx context.Context, err error) error {
	if a.state.Record != a.record { // it was not saved
		return err
	}
	r := &removing{plugin: a.plugin, host: a.host, state: a.state, record: a.record, req: &a.req}
	failed := a.plugin.part.remove(context.WithoutCancel(ctx), r)
	if a.putBack != nil {
		failed = errors.Join(failed, a.putBack())
	}
	switch {
	case failed != nil: // the record stays, and DEL finds what remains
	case a.before == nil:
		failed = a.state.Remove()
	default:
		failed = a.state.Save(a.before)
	}
	if failed != nil {
		return &undoneError{err, failed}
	}
	return err
}

func (a *adding) close() {
	if a.rules != nil {
		a.rules.Close()
	}
	if a.state != nil {
		_ = a.state.Close() // an empty lock file that cannot be removed is no error
	}
	if a.sandbox != nil {
		a.sandbox.Close()
	}
	if a.host != nil {
		a.host.Close()
	}
}

// openRules opens the ruleset of the host.
func (a *adding) openRules() (err error) {
	if a.rules == nil {
		a.rules, err = ruleset.Open(a.host)
	}
	return err
}

// publish adds the elements of a record that has one part only.
func (a *adding) publish(ctx context.Context, only *store.Record) error {
	return a.rules.Publish(ctx, only, a.state.Dirs().State, a.state.Dirs().Data)
}
