package attach

import (
	"context"
	"errors"
	"fmt"
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
	entries, err := store.List(id.StateDir)
	if err != nil {
		return err
	}
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	started, failed := time.Now(), error(nil)
	for _, e := range entries {
		if !collectable(e, id.Name, started) || slices.Contains(valid, config.Attachment{ContainerID: e.Key.ContainerID, IfName: e.Key.IfName}) {
			continue
		}
		failed = errors.Join(failed, collect(ctx, host, dirs(id), e.Key))
	}
	return failed
}

func collectable(e store.Entry, network string, started time.Time) bool {
	if e.Key.Network != network {
		return false
	}
	return e.Record == nil || e.Record.Owner == store.OwnerCNI && e.Record.Created.Before(started)
}

func collect(ctx context.Context, host *link.Host, d store.Dirs, key store.Key) error {
	state, err := store.TryOpen(d, key)
	if errors.Is(err, store.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeState(state)
	r := &removal{key: key, names: namesOf(key), host: host, state: state, forget: true}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("collect %s: %w", key, err)
	}
	return nil
}
