package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Burial is what Bury is to do.
type Burial struct {
	StateDir string
	Network  string // only this one; "" for all
	DryRun   bool   // tell, and change nothing
}

// Bury takes away what is provably dead, whoever has made it: attachments whose cable and whose
// namespace are gone, and addresses that an earlier life of the host has left. It returns what it
// did, a sentence each, also of what it had to leave; it goes on past errors.
func Bury(ctx context.Context, b Burial) (done []string, err error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	g := &graveyard{Burial: b, judge: newJudge(host)}
	for _, dir := range store.StateDirs(b.StateDir) {
		err = errors.Join(err, g.visit(ctx, dir))
	}
	if !b.DryRun && b.Network == "" {
		disallowed, failed := sweepHost(ctx, host, b.StateDir)
		for _, bridge := range disallowed {
			g.say("removed the rules of bridge %s from docker's chain DOCKER-USER", bridge)
		}
		err = errors.Join(err, failed)
	}
	return g.done, err
}

// graveyard is one Bury on its way.
type graveyard struct {
	Burial
	judge judge
	done  []string
}

func (g *graveyard) say(format string, args ...any) {
	g.done = append(g.done, fmt.Sprintf(format, args...))
}

// visit buries what is dead in one state directory.
func (g *graveyard) visit(ctx context.Context, stateDir string) error {
	entries, err := store.List(stateDir)
	if err != nil {
		return err
	}
	places := map[store.Dirs][]string{} // networks by directories
	for _, e := range entries {
		switch {
		case g.Network != "" && e.Key.Network != g.Network:
			continue
		case e.Err != nil:
			g.say("left: %s: %v", e.Path, e.Err)
			continue
		}
		d := store.Dirs{State: stateDir, Data: e.Record.DataDir}
		if d.Data != "" && !slices.Contains(places[d], e.Key.Network) {
			places[d] = append(places[d], e.Key.Network)
		}
		err = errors.Join(err, g.look(ctx, d, e.Record))
	}
	for d, networks := range places {
		for _, network := range networks {
			err = errors.Join(err, g.lost(ctx, d, network))
		}
	}
	return err
}

// look buries one attachment if it is dead.
func (g *graveyard) look(ctx context.Context, d store.Dirs, r *store.Record) error {
	if !g.judge.dead(r) || g.inhabited(r) {
		return nil
	}
	what := fmt.Sprintf("%s%s, whose namespace %s is gone", r.Key(), having(r), r.Netns)
	if r.IPAMType != "" {
		g.say("left: %s: only a DEL, or detach, tells its IPAM plugin %s", what, r.IPAMType)
		return nil
	}
	if g.DryRun {
		g.say("would remove %s", what)
		return nil
	}
	buried, err := g.judge.bury(ctx, d, r.Key())
	if err != nil {
		return fmt.Errorf("remove %s: %w", r.Key(), err)
	}
	if buried {
		g.say("removed %s", what)
	}
	return nil
}

// inhabited reports whether the namespace of a record is still there: who is in it may get its cable
// back. What cannot be looked at, for whatever reason, is.
func (g *graveyard) inhabited(r *store.Record) bool {
	if g.judge.otherBoot(r) || r.Netns == "" {
		return false
	}
	cookie, err := link.NetnsCookie(r.Netns)
	switch {
	case errors.Is(err, link.ErrNoNetns), errors.Is(err, link.ErrNotNetns), errors.Is(err, link.ErrHostNetns):
		return false
	case err != nil:
		return true
	}
	return cookie == r.NetnsCookie // of a kernel without cookies too: then both are 0
}

func having(r *store.Record) string {
	var addrs []string
	for _, a := range r.Addresses {
		addrs = append(addrs, a.Address.Addr().String())
	}
	if len(addrs) == 0 {
		return ""
	}
	return " with " + strings.Join(addrs, ", ")
}

// lost frees the addresses of a network that no record tells of.
func (g *graveyard) lost(ctx context.Context, d store.Dirs, network string) error {
	var addrs []netip.Addr
	var err error
	verb := "freed"
	if g.DryRun {
		verb = "would free"
		addrs, err = store.Lost(d, network, g.judge.host.Cookie())
	} else {
		addrs, err = store.ReclaimLost(ctx, d, network, g.judge.host.Cookie())
	}
	for _, addr := range addrs {
		g.say("%s %s of network %s, which an earlier life of this host left", verb, addr, network)
	}
	return err
}
