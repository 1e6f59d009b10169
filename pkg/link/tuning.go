package link

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Tuning has settings of a container interface, and sysctls of its network namespace. A field with its
// zero value is not set, and not read.
type Tuning struct {
	Sysctls  []Sysctl         // in the order in which they are written
	MAC      net.HardwareAddr // of six bytes
	MTU      int              // bytes
	Promisc  *bool            // IFF_PROMISC as set by flags; packet sockets such as tcpdump's do not count
	AllMulti *bool            // IFF_ALLMULTI, likewise
	TxQLen   *int             // packets
}

// IsZero reports whether nothing is set.
func (t Tuning) IsZero() bool { return len(t.Sysctls) == 0 && !t.changesLink() }

// changesLink reports whether a setting of the interface is set, beside sysctls.
func (t Tuning) changesLink() bool {
	return t.MAC != nil || t.MTU != 0 || t.Promisc != nil || t.AllMulti != nil || t.TxQLen != nil
}

// Tuned returns the present values of what is set in of. A sysctl that can be written only, as
// net.ipv4.route.flush, is left out. A sysctl that does not exist is a *TuneError, an interface
// ErrNotFound; it is looked up only if one of its settings, and not only sysctls, is set.
func (s *Sandbox) Tuned(ifname string, of Tuning) (Tuning, error) {
	sysctls, err := s.readSysctls(of.Sysctls)
	if err != nil || !of.changesLink() {
		return Tuning{Sysctls: sysctls}, err
	}
	l, err := s.byName(ifname)
	if err != nil {
		return Tuning{}, err
	}
	now := Tuning{Sysctls: sysctls}
	if of.MAC != nil {
		now.MAC = l.MAC
	}
	if of.MTU != 0 {
		now.MTU = l.MTU
	}
	if of.Promisc != nil {
		now.Promisc = &l.Promisc
	}
	if of.AllMulti != nil {
		now.AllMulti = &l.AllMulti
	}
	if of.TxQLen != nil {
		now.TxQLen = &l.TxQLen
	}
	return now, nil
}

// Tune sets what is set in want: the sysctls, then the interface in one message. Each sysctl is read
// back: the result is want with the values that the kernel has, which may have another form (a tab
// between two numbers) or be rounded. It undoes nothing after an error: the caller has the values before
// from Tuned. Errors of sysctls are *TuneErrors.
func (s *Sandbox) Tune(ifname string, want Tuning) (Tuning, error) {
	has := want
	var err error
	if has.Sysctls, err = s.writeSysctls(want.Sysctls); err != nil || !want.changesLink() {
		return has, err
	}
	return has, s.tuneLink(ifname, want)
}

// Restore sets an interface back to the values that Tuned returned. It continues after an error. An
// interface or a sysctl that no longer exists is no error, and what has its value is not set: it may be
// something that cannot be, for which Tune failed.
func (s *Sandbox) Restore(ifname string, was Tuning) error {
	var failed error
	for _, sysctl := range was.Sysctls {
		now, err := s.readSysctls([]Sysctl{sysctl})
		if err == nil && !slices.Equal(now, []Sysctl{sysctl}) {
			_, err = s.writeSysctls([]Sysctl{sysctl})
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			failed = errors.Join(failed, err)
		}
	}
	ofLink := was
	ofLink.Sysctls = nil
	if !was.changesLink() || s.has(ifname, ofLink) {
		return failed
	}
	err := s.tuneLink(ifname, was)
	if errors.Is(err, ErrNotFound) || errors.Is(err, syscall.ENODEV) {
		err = nil
	}
	return errors.Join(failed, err)
}

// has reports whether an interface certainly has these settings.
func (s *Sandbox) has(ifname string, want Tuning) bool {
	now, err := s.Tuned(ifname, want)
	return err == nil && len(want.Differences(ifname, now)) == 0
}

// tuneLink sets the settings of the interface.
//
// do_setlink applies them in the order MAC, MTU, flags, queue length. A veth takes another
// MAC while it is up (IFF_LIVE_ADDR_CHANGE); a driver that does not returns EBUSY.
func (s *Sandbox) tuneLink(ifname string, want Tuning) error {
	l, err := s.byName(ifname)
	if err != nil {
		return err
	}
	head := linkHeader{index: l.Index}
	for _, flag := range []struct {
		want *bool
		bit  uint32
	}{{want.Promisc, unix.IFF_PROMISC}, {want.AllMulti, unix.IFF_ALLMULTI}} {
		switch {
		case flag.want == nil:
		case *flag.want:
			head.set |= flag.bit
		default:
			head.clear |= flag.bit
		}
	}
	var attrs []*nl.RtAttr
	if want.MAC != nil {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_ADDRESS, want.MAC))
	}
	if want.MTU != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(want.MTU))))
	}
	if want.TxQLen != nil {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_TXQLEN, nl.Uint32Attr(uint32(*want.TxQLen))))
	}
	if err := s.change(head, attrs...); err != nil {
		return fmt.Errorf("change settings of %s in %s: %w", ifname, s.Path, err)
	}
	return nil
}

// Differences returns one clause for each setting in which now differs from want: what Tuned returned
// from what Tune was given. Sysctls are compared as numbers where they are numbers.
func (t Tuning) Differences(ifname string, now Tuning) (found []string) {
	differ := func(what string, want, has any) {
		found = append(found, fmt.Sprintf("%s is %v, not %v", what, has, want))
	}
	for _, want := range t.Sysctls {
		i := slices.IndexFunc(now.Sysctls, func(s Sysctl) bool { return s.Name == want.Name })
		if i >= 0 && !SameValue(want.Value, now.Sysctls[i].Value) {
			differ(want.Dotted(), want.Value, now.Sysctls[i].Value)
		}
	}
	if t.MAC != nil && t.MAC.String() != now.MAC.String() {
		differ("the MAC of "+ifname, t.MAC, now.MAC)
	}
	if t.MTU != 0 && t.MTU != now.MTU {
		differ("the MTU of "+ifname, t.MTU, now.MTU)
	}
	if t.Promisc != nil && now.Promisc != nil && *t.Promisc != *now.Promisc {
		differ("promiscuous mode of "+ifname, *t.Promisc, *now.Promisc)
	}
	if t.AllMulti != nil && now.AllMulti != nil && *t.AllMulti != *now.AllMulti {
		differ("all-multicast mode of "+ifname, *t.AllMulti, *now.AllMulti)
	}
	if t.TxQLen != nil && now.TxQLen != nil && *t.TxQLen != *now.TxQLen {
		differ("the transmit queue length of "+ifname, *t.TxQLen, *now.TxQLen)
	}
	return found
}
