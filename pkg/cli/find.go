package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// ErrNoNetwork is wrapped by errors about a network that is not configured.
var ErrNoNetwork = errors.New("no network")

// unreadable is the errors of files of a configuration directory that cannot be read, or of the directory.
type unreadable []error

// maxUnreadable is the greatest length in characters of the error of one file.
const maxUnreadable = 500

// Error returns the first error, and how many there are.
func (u unreadable) Error() string {
	first := printable.Text(u[0].Error(), maxUnreadable)
	if len(u) == 1 {
		return first
	}
	return fmt.Sprintf("%s, and %d more", first, len(u)-1)
}

// orNil returns nil if all files could be read.
func (u unreadable) orNil() error {
	if len(u) == 0 {
		return nil
	}
	return u
}

// clause returns the end of a sentence about a network that was not found.
func (u unreadable) clause() string {
	switch len(u) {
	case 0:
		return ""
	case 1:
		return "; 1 file could not be read: " + u.Error() + "; see patchbay doctor"
	}
	return fmt.Sprintf("; %d files could not be read: %s; see patchbay doctor", len(u), u.Error())
}

// networks returns the networks of type patchbay in a configuration directory, sorted by file name, which is
// the order that runtimes use, and what cannot be read. A directory that does not exist has none.
func networks(dir string) (all []Network, unread unreadable) {
	err := eachNetwork(dir, func(path string, n *Network, err error) {
		if err != nil {
			unread = append(unread, withPath(path, err))
		}
		if n != nil {
			all = append(all, *n)
		}
	})
	if err != nil {
		unread = append(unread, err)
	}
	return all, unread
}

// withPath adds the path to an error of a file unless it has it.
func withPath(path string, err error) error {
	if strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// unknownNetwork is an ErrNoNetwork that lists the networks.
type unknownNetwork struct {
	name     string
	known    []string // configured networks
	orBridge bool     // the name could be that of a bridge
	bridges  []string // of the host, if orBridge
	unread   unreadable
}

func (*unknownNetwork) Unwrap() error { return ErrNoNetwork }

// Error returns: no network or bridge "br1"; networks: bridge, patchbay (built in); did you mean br0?
func (u *unknownNetwork) Error() string {
	what := ErrNoNetwork.Error()
	if u.orBridge {
		what += " or bridge"
	}
	near := DidYouMean(u.name, append(listed(u.known), u.bridges...))
	return fmt.Sprintf("%s %q; networks: %s%s%s", what, u.name, strings.Join(described(u.known), ", "), u.unread.clause(), near)
}

// listed returns the names of networks, with the default one at the end unless a file configures it.
func listed(known []string) []string {
	if slices.Contains(known, DefaultName) {
		return slices.Clone(known)
	}
	return append(slices.Clone(known), DefaultName)
}

// described returns listed, with the built-in network marked.
func described(known []string) []string {
	names := listed(known)
	if len(names) > len(known) {
		names[len(known)] += " (built in)"
	}
	return names
}

// namesOf returns the printable names of networks.
func namesOf(all []Network) (names []string) {
	for _, n := range all {
		names = append(names, printable.Text(n.Name, maxName))
	}
	return names
}

// FindForHook returns the network of a name for an LXC hook. "" is the only configured network, or the default
// one if none is configured: the lines that earlier versions wrote into configurations mean that.
func FindForHook(dir, name string) (*Network, error) {
	if name != "" {
		return Find(dir, name)
	}
	all, unread := networks(dir)
	switch {
	case len(all) == 1:
		return &all[0], nil
	case len(all) == 0 && len(unread) == 0:
		return defaultNetwork()
	case len(all) == 0:
		return nil, fmt.Errorf("%w is configured: pass --network%s", ErrNoNetwork, unread.clause())
	}
	return nil, fmt.Errorf("%w is given, and %s has several: pass --network with one of %s%s", ErrNoNetwork, dir, strings.Join(namesOf(all), ", "), unread.clause())
}

// Find returns the network of a name, DefaultName for "". A file may configure the default network; if none
// does, Skipped has the errors of files that cannot be read. Errors wrap ErrNoNetwork and list the networks
// and the files that cannot be read.
func Find(dir, name string) (*Network, error) {
	name = cmp.Or(name, DefaultName)
	all, unread := networks(dir)
	for _, n := range all {
		if n.Name == name {
			return &n, nil
		}
	}
	if name != DefaultName {
		return nil, &unknownNetwork{name: name, known: namesOf(all), unread: unread}
	}
	n, err := defaultNetwork()
	if err == nil {
		n.Skipped = unread.orNil()
	}
	return n, err
}
