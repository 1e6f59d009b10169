package bandwidth

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Join makes two interfaces one link: each frame that arrives at one of them leaves by the other, before the kernel reads it. An
// interface that has the redirection already keeps it.
//
// This is how Kata Containers and awslabs/tc-redirect-tap connect a tap with the veth of a container. A bridge of the two would learn
// MAC addresses, which here are always on the same side, would need an address generation mode and a MAC of its own, and would keep
// frames to link-local groups (802.1D) from the guest.
func Join(a, b Interface) error {
	c, err := open()
	if err != nil {
		return err
	}
	defer c.Close()
	for _, way := range [][2]Interface{{a, b}, {b, a}} {
		if err := c.redirect(way[0], way[1]); err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
				err = fmt.Errorf("%w: %w", ErrUnsupported, err)
			}
			return fmt.Errorf("redirect frames of %s to %s: %w", way[0].Name, way[1].Name, err)
		}
	}
	return nil
}

func (c conn) redirect(from, to Interface) error {
	if err := c.addClsact(from.Index); err != nil {
		return fmt.Errorf("qdisc clsact: %w", err)
	}
	return c.addFilter(from.Index, arrives, redirection(to.Index))
}

// redirection returns the filter that redirects every frame to an interface.
func redirection(index int) filter {
	f := all()
	f.redirect = index
	return f
}

// CheckJoin returns the redirections of Join that are missing, one clause each.
func CheckJoin(a, b Interface) (missing []string, err error) {
	c, err := open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, way := range [][2]Interface{{a, b}, {b, a}} {
		has, err := c.readFilters(way[0].Index, arrives)
		if err != nil {
			return nil, fmt.Errorf("read the filters of %s: %w", way[0].Name, err)
		}
		if !sameFilters(has, []filter{redirection(way[1].Index)}) {
			missing = append(missing, fmt.Sprintf("frames that arrive at %s are not redirected to %s", way[0].Name, way[1].Name))
		}
	}
	return missing, nil
}
