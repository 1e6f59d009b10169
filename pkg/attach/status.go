package attach

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Status reports whether an ADD can succeed (CNI SPEC.md section 4, STATUS). It changes nothing. Errors concern the configuration, or are
// the error with which every ADD fails. With statusOnFull "warn" a full pool is only a warning.
func Status(ctx context.Context, req Request) error {
	ctx = Within(ctx)
	cfg, plugin, err := req.parse()
	if err != nil {
		return notReadyWithout(err)
	}
	p := &preflight{cfg: cfg}
	defer p.close()
	if !cfg.CalledAsIPAM() {
		if p.host, err = OpenHost(ctx); err != nil {
			return &notReadyError{why: err}
		}
	}
	err = req.Step("look", func() error {
		if err := p.examine(true); err != nil {
			return &notReadyError{why: err, limited: p.hurts(err)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = req.Step("ask", func() error { return statusForeign(ctx, plugin, req) })
	if err != nil {
		return err
	}
	if err := p.limits(); err != nil {
		return &limitedError{err}
	}
	return nil
}

// hurts reports whether the reason why every ADD fails also limits the connectivity of existing containers of the network.
func (p *preflight) hurts(why error) bool {
	if !errors.Is(why, errNoRouter) && !errors.Is(why, link.ErrNotBridge) && !errors.Is(why, nft.ErrUnsupported) {
		return false
	}
	entries, _ := store.ListNetwork(p.cfg.StateDir, p.cfg.Name)
	return len(entries) > 0
}

// statusForeign calls the delegated IPAM plugin with STATUS.
func statusForeign(ctx context.Context, plugin *delegate.Plugin, req Request) error {
	if plugin == nil {
		return nil
	}
	_, err := within(ctx, plugin).Call(ctx, "STATUS", req.Config)
	return notReadyWithout(err)
}

// NotReady makes an error that is not nil the reason why every ADD fails, for STATUS: code 50.
func NotReady(err error) error {
	if err == nil {
		return nil
	}
	return &notReadyError{why: err}
}

// notReadyWithout makes a plugin that cannot be run the reason why every ADD fails. An error that the plugin itself printed keeps its code.
func notReadyWithout(err error) error {
	var failed *delegate.Error
	if errors.As(err, &failed) && failed.Code == 0 {
		return &notReadyError{why: err}
	}
	return err
}
