package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/noderoute"
)

// clean deletes what the program has written: routes, the overlay, network configuration and status. It goes on after a failure, and changes nothing
// else: pods keep their interfaces, and the runtime needs another configuration to delete them.
func clean(o options, log *slog.Logger) error {
	failed := []error{cleanRoutes(log), cleanOverlay(log)}
	for _, path := range []string{o.conflist, o.status, agentstatus.PeersPath(o.status), agentstatus.ReadyPath(o.status)} {
		failed = append(failed, deleteFile(path, log), deleteFile(temporary(path), log))
	}
	_ = os.Remove(filepath.Dir(o.status)) // if it is empty
	return errors.Join(failed...)
}

// deleteFile deletes a file, if it exists.
func deleteFile(path string, log *slog.Logger) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		log.Info("deleted", "path", path)
	}
	return err
}

// cleanRoutes deletes all routes of this program.
func cleanRoutes(log *slog.Logger) error {
	table, err := noderoute.Open()
	if err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	defer table.Close()
	routes, err := table.List()
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := table.Delete(r); err != nil {
			return err
		}
	}
	log.Info("deleted routes to other nodes", "routes", len(routes))
	return nil
}
