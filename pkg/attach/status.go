package attach

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// errNotReady is wrapped by what STATUS answers: CNI code 50.
var errNotReady = errors.New("no container can be attached")

// Status says whether an ADD could pass: CNI SPEC.md section 4, STATUS. It changes nothing.
// Errors are about the configuration, or say why every ADD would fail.
func Status(_ context.Context, req Request) error {
	cfg, err := config.Parse(req.Config, req.Args)
	if err != nil {
		return err
	}
	if err := writable(cfg.StateDir); err != nil {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	if err := bridgeUsable(cfg); err != nil {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	if cfg.IPAM == nil {
		return nil
	}
	if err := addressLeft(cfg); err != nil {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	return nil
}

// addressLeft looks, when a pool is full, for what an ADD would reclaim.
func addressLeft(cfg *config.Config) error {
	d := dirs(cfg.Ident)
	free, err := store.Free(d, cfg.Name, cfg.IPAM.Pool, 1)
	if err != nil || free > 0 {
		return err
	}
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	dead, err := reclaimable(host, d, cfg.Name)
	if err != nil {
		return err
	}
	left, err := store.FreeWithout(d, cfg.Name, cfg.IPAM.Pool, dead)
	if err == nil && !left {
		err = fmt.Errorf("no IP address is left in the ranges of network %s", cfg.Name)
	}
	return err
}

// writable asks without writing; a directory that is missing will be made.
func writable(dir string) error {
	err := unix.Access(dir, unix.W_OK)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("state directory %s: %w", dir, err)
	}
	return nil
}

func bridgeUsable(cfg *config.Config) error {
	if cfg.Delegated() {
		return nil
	}
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	_, err = host.Bridge(cfg.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		return nil
	}
	return err
}
