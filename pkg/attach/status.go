package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// notReadyError is what STATUS answers where no ADD could pass: CNI code 50, or 51 where
// containers that run already are hurt by the same.
type notReadyError struct {
	why     error
	limited bool
}

func (e *notReadyError) Error() string { return "no container can be attached: " + e.why.Error() }
func (e *notReadyError) Unwrap() error { return e.why }

var (
	errNoAddress = errors.New("no IP address is left")
	errNoRouter  = errors.New("the host does not forward, and cannot be told to")
)

// Status says whether an ADD could pass: CNI SPEC.md section 4, STATUS. It changes nothing.
// Errors are about the configuration, or say why every ADD would fail. A pool that is full is no
// error if the configuration says so: it is told on stderr.
func Status(ctx context.Context, req Request) error {
	cfg, plugin, err := req.parse()
	if err != nil {
		return notReadyWithout(err)
	}
	host, err := link.OpenHost()
	if err != nil {
		return &notReadyError{why: err}
	}
	defer host.Close()
	r := &readiness{cfg: cfg, host: host}
	looks := []func() error{r.state, r.addresses}
	if !cfg.Delegated() {
		looks = []func() error{r.privileges, r.state, r.bridge, r.forwarding, r.ruleset, r.addresses}
	}
	err = req.step("look", func() error {
		for _, look := range looks {
			if err := look(); err != nil {
				return &notReadyError{why: err, limited: r.hurts(err)}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return req.step("ask", func() error { return statusForeign(ctx, plugin, req) })
}

// readiness looks at all that an ADD needs.
type readiness struct {
	cfg  *config.Config
	host *link.Host
}

// hurts reports whether the reason why no ADD can pass cuts off the containers of the network too,
// and there are some.
func (r *readiness) hurts(why error) bool {
	if !errors.Is(why, errNoRouter) && !errors.Is(why, link.ErrNotBridge) && !errors.Is(why, nft.ErrUnsupported) {
		return false
	}
	entries, _ := store.ListNetwork(r.cfg.StateDir, r.cfg.Name)
	return len(entries) > 0
}

// privileges are those that README lists for an ADD, in the user namespace of the process.
func (r *readiness) privileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return fmt.Errorf("look up capabilities: %w", err)
	}
	needs := []struct {
		bit  uint
		name string
		when bool
	}{
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", true},
		{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", true},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", r.serves(false) && !r.cfg.DisableContainerInterface},
	}
	for _, n := range needs {
		if n.when && has[0].Effective&(1<<n.bit) == 0 {
			return fmt.Errorf("missing: %s: %w", n.name, unix.EPERM)
		}
	}
	return nil
}

// serves reports whether the network gives addresses of a family.
func (r *readiness) serves(is4 bool) bool {
	if r.cfg.IPAM == nil {
		return false
	}
	for _, set := range r.cfg.IPAM.Pool.Sets {
		if set.Is4() == is4 {
			return true
		}
	}
	return false
}

// state is where records and addresses are, or will be made.
func (r *readiness) state() error {
	addresses := r.cfg.IPAM != nil
	for _, place := range dirs(r.cfg.Ident).Places(r.cfg.Name, addresses, addresses && r.cfg.IPAM.Sticky) {
		if err := place.InTheWay(); err != nil {
			return err
		}
		if err := writable(place.Path); err != nil {
			return fmt.Errorf("state directory %s: %w", place.Path, err)
		}
	}
	return nil
}

// writable asks without writing. What is missing will be made in what is there.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			if _, leadsNowhere := os.Lstat(dir); leadsNowhere == nil {
				return err
			}
			dir = filepath.Dir(dir)
			continue
		}
		if err == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err == nil {
			err = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}
		if err != nil {
			err = &fs.PathError{Op: "write to", Path: dir, Err: err}
		}
		return err
	}
}

// bridge is one that has room for a port, or a name that is free.
func (r *readiness) bridge() error {
	b, err := r.host.Bridge(r.cfg.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.host.Room(b)
}

func (r *readiness) forwarding() error {
	for _, is4 := range []bool{true, false} {
		if !r.cfg.IsGateway || !r.serves(is4) {
			continue
		}
		if err := r.host.MayForward(is4); err != nil {
			return fmt.Errorf("%w: %w", errNoRouter, err)
		}
	}
	return nil
}

// ruleset is there for who needs it, in a form that this patchbay can add to.
func (r *readiness) ruleset() error {
	if (r.cfg.Masq == nil || r.cfg.IPAMType == "") && policyOf(r.cfg) == "" {
		return nil // a container without ports needs none; STATUS is not told whether one has ports
	}
	return withRules((*nft.Ruleset).Usable)
}

// addresses are left, or an ADD would reclaim one.
func (r *readiness) addresses() error {
	if r.cfg.IPAM == nil {
		return nil
	}
	left, err := r.addressLeft()
	if err != nil || left {
		return err
	}
	err = fmt.Errorf("%w in the ranges of network %s", errNoAddress, r.cfg.Name)
	if r.cfg.WarnOnFull {
		warn("%v; ready all the same, as statusOnFull says", err)
		return nil
	}
	return err
}

func (r *readiness) addressLeft() (bool, error) {
	d := dirs(r.cfg.Ident)
	free, err := store.Free(d, r.cfg.Name, r.cfg.IPAM.Pool, 1)
	if err != nil || free > 0 {
		return err == nil, err
	}
	dead, err := reclaimable(r.host, d, r.cfg.Name)
	if err != nil || len(dead) == 0 {
		return false, err
	}
	return store.FreeWithout(d, r.cfg.Name, r.cfg.IPAM.Pool, dead)
}
