package chained

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// Of returns the plugin of a name; false if it is none of a chain.
func Of(name string) (Plugin, bool) {
	p, known := map[string]part{
		names.Portmap:     portmap(),
		names.Firewall:    firewall(),
		names.Bandwidth:   limits(),
		names.Tuning:      tuning(),
		names.SourceRoute: sourceRouting(),
	}[name]
	return Plugin{name, p}, known
}

// Status returns why no ADD of the plugin can succeed, of which the main plugin's STATUS knows nothing.
func (p Plugin) Status(ctx context.Context, req attach.Request) error {
	cfg, err := p.part.parse(req.Config, req.Args)
	if err != nil {
		return attach.NotReady(err)
	}
	host, err := attach.OpenHost(ctx)
	if err != nil {
		return attach.NotReady(err)
	}
	defer host.Close()
	return attach.NotReady(p.part.status(cfg, host))
}

// GC removes the attachments of the network that the runtime does not list as valid, with all that any plugin of the list has made.
func (p Plugin) GC(ctx context.Context, req attach.Request) error { return attach.GC(ctx, req) }
