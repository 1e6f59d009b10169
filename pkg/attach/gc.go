package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// GC takes away what the runtime does not list as valid: CNI SPEC.md section 4, GC. Only
// attachments that a runtime made are concerned; one that another process works on, or that
// is newer than this call, is in flight and left alone. It goes on past errors.
func GC(ctx context.Context, req Request) error {
	valid, present, err := config.ValidAttachments(req.Config)
	if err != nil {
		return err
	}
	id := config.ParseLenient(req.Config)
	if !present || id.Name == "" {
		return nil // nothing was said to be valid or invalid
	}
	entries, err := store.ListNetwork(id.StateDir, id.Name)
	if err != nil {
		return err
	}
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	c := &collection{host: host, dirs: dirs(id), bridge: config.BridgeLenient(req.Config), started: time.Now()}
	var failed error
	for _, e := range entries {
		if slices.Contains(valid, config.Attachment{ContainerID: e.Key.ContainerID, IfName: e.Key.IfName}) {
			continue
		}
		failed = errors.Join(failed, c.take(ctx, e.Key))
	}
	return failed
}

// collection is one GC on its way.
type collection struct {
	host    *link.Host
	dirs    store.Dirs
	bridge  string
	started time.Time
}

// take collects one attachment that is not valid. It is judged when its record is locked: the
// one that was listed may have ended meanwhile, and a new one begun.
func (c *collection) take(ctx context.Context, key store.Key) error {
	state, err := store.TryOpen(c.dirs, key)
	if errors.Is(err, store.ErrBusy) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeState(state)
	if !c.collectable(state.Record) {
		return nil
	}
	r := &removal{key: key, names: namesOf(key), host: c.host, state: state, forget: true, bridge: c.bridge}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("collect %s: %w", key, err)
	}
	return nil
}

// collectable reports whether a record is one that a runtime made before this GC. One that
// cannot be read is too, and so is the empty one of a verb that was killed: nobody else takes
// them away.
func (c *collection) collectable(r *store.Record) bool {
	return r == nil || r.Owner == store.OwnerCNI && r.Created.Before(c.started)
}
