package link

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// tunDevice is the character device by which programs create and open taps.
const tunDevice = "/dev/net/tun"

// ErrNoTun reports that this host has no taps.
var ErrNoTun = errors.New("no tap devices")

// Tap describes a persistent tap device. A virtual machine monitor opens it by name, in the network namespace that it is in.
type Tap struct {
	Name         string
	Alias        string // begins with the mark of the attachment
	Owner, Group *uint32
	MultiQueue   bool
	MTU          int // bytes

	// MAC is that of the interface. No frame has it: those of the guest have the guest's.
	MAC net.HardwareAddr
}

// CheckTun returns an error that wraps ErrNoTun if taps cannot be created.
//
// Opening the device loads the module if its node exists (devname:net/tun). It creates no interface.
func CheckTun() error {
	fd, err := openTun()
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func openTun() (int, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w: %w", tunDevice, ErrNoTun, err)
	}
	return fd, nil
}

// AddTap creates a tap in the container, up, without any address. Errors wrap ErrExists if the name is in use, and ErrNoTun. After an
// error, what is left has the alias.
//
// The device exists as long as its file is open, until it is made persistent: if the process is killed before that, the kernel removes
// it, and after that it has its owner and its alias. It is set up when the file is closed, without carrier, as it then stays until a
// program opens it.
func (s *Sandbox) AddTap(t Tap) error {
	if err := s.addPersistent(t); err != nil {
		return fmt.Errorf("create tap %s in %s: %w", t.Name, s.Path, err)
	}
	l, err := s.byName(t.Name)
	if err == nil {
		err = s.setUp(l.Index)
	}
	if err != nil {
		return fmt.Errorf("set tap %s in %s up: %w", t.Name, s.Path, err)
	}
	return nil
}

func (s *Sandbox) addPersistent(t Tap) error {
	fd := -1
	err := s.visit(func() (err error) { // the interface is in the namespace in which the file was opened
		fd, err = openTun()
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := createTap(fd, t); err != nil {
		return err
	}
	l, err := s.byName(t.Name)
	if err != nil {
		return err
	}
	err = s.changeWithoutIPv6(l.Index,
		nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(t.Alias)), nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(t.MTU))), nl.NewRtAttr(unix.IFLA_ADDRESS, t.MAC))
	if err != nil {
		return fmt.Errorf("set alias: %w", err)
	}
	return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

// createTap creates the interface of an open file, and sets who may open it.
//
// IFF_TUN_EXCL makes the name of another tap an error (EBUSY), which the kernel would attach to. IFF_VNET_HDR is what Firecracker,
// Cloud Hypervisor and qemu open it with; the kernel takes this flag from each program that opens the tap, and refuses only another
// IFF_MULTI_QUEUE (tun_set_iff).
func createTap(fd int, t Tap) error {
	req, err := unix.NewIfreq(t.Name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_TUN_EXCL)
	if t.MultiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	req.SetUint16(flags)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EINVAL) { // EINVAL: it is the name of another kind of interface
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err != nil {
		return err
	}
	for _, one := range []struct {
		ioctl uint
		id    *uint32
	}{{unix.TUNSETOWNER, t.Owner}, {unix.TUNSETGROUP, t.Group}} {
		if one.id == nil {
			continue
		}
		if err := unix.IoctlSetInt(fd, one.ioctl, int(*one.id)); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	return nil
}

// changeWithoutIPv6 sets attributes of a link that is down, and that it gets no IPv6 link-local address when it is set up: the kernel
// would solicit routers, and answer for an address that the guest has too.
//
// Setting it up takes another message: the kernel applies IFLA_AF_SPEC after the flags (do_setlink).
func (s *Sandbox) changeWithoutIPv6(index int, attrs ...*nl.RtAttr) error {
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(nl.IN6_ADDR_GEN_MODE_NONE))
	err := s.change(linkHeader{index: index}, append(attrs, spec)...)
	if errors.Is(err, syscall.EAFNOSUPPORT) { // no IPv6 in this kernel, or the MTU is too small for it
		err = s.change(linkHeader{index: index}, attrs...)
	}
	return err
}

// UpBare sets the container interface up without any address, for a guest that has them. It waits until the link has carrier.
func (s *Sandbox) UpBare(ifname string) (*Link, error) {
	l, err := s.byName(ifname)
	if err != nil {
		return nil, err
	}
	err = s.changeWithoutIPv6(l.Index)
	if err == nil {
		err = s.setUp(l.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("set %s up: %w", ifname, err)
	}
	return l, s.waitCarrier(l.Index)
}

// Enter runs a function on a thread that is in the network namespace.
func (s *Sandbox) Enter(run func() error) error { return s.visit(run) }

// Taps returns the taps whose alias begins with a mark, whatever their names.
func (s *Sandbox) Taps(mark string) (ours []*Link, err error) {
	return s.list(func(l *Link) bool { return l.Kind == "tun" && mark != "" && strings.HasPrefix(l.Alias, mark) })
}

// RemoveTaps deletes the taps whose alias begins with a mark. A program that has one open gets EBADFD from then on.
func (s *Sandbox) RemoveTaps(mark string) error {
	ours, err := s.Taps(mark)
	if err != nil {
		return fmt.Errorf("look for taps in %s: %w", s.Path, err)
	}
	for _, l := range ours {
		if err := s.Delete(l); err != nil {
			return err
		}
	}
	return nil
}

// TapState is what the kernel has of a tap.
type TapState struct {
	Owner, Group *uint32 // nil if not set
	MultiQueue   bool
}

// readTap reads what IFLA_INFO_DATA of a tap says about who may open it (IFLA_TUN_*, linux/if_link.h, Linux 4.17).
func (l *Link) readTap(data []byte) {
	const owner, group, multiQueue = 1, 2, 7
	if l.Kind != "tun" {
		return
	}
	for kind, value := range nlsock.Attributes(data) {
		switch {
		case kind == owner && len(value) == 4:
			l.Tap.Owner = id(value)
		case kind == group && len(value) == 4:
			l.Tap.Group = id(value)
		case kind == multiQueue && len(value) == 1:
			l.Tap.MultiQueue = value[0] != 0
		}
	}
}

func id(value []byte) *uint32 {
	n := uint32(number(value))
	return &n
}
