package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Names holds the names of one attachment. The machine-id is part of what they are derived from: without it two hosts on one
// LAN would give the same MAC to containers of the same name.
type Names struct {
	HostInterface string           // "veth" and 11 base32 digits: 55 bits of the hash
	IFB           string           // "ifb" and the same digits: the device that limits what the container sends
	Mark          string           // "patchbay:" and 12 hex digits; the first word of Alias
	Alias         string           // Mark, a space, the owner if that is no runtime, and network/containerID/ifname; at most maxAlias bytes
	MAC           net.HardwareAddr // of the container interface
	HostMAC       net.HardwareAddr // of the host interface
}

// Of derives the names of an attachment that a runtime made.
func Of(key store.Key) Names { return On(MachineID(), key) }

// On derives the names for a given machine-id. Callers with many keys read the machine-id once: that takes longer than the
// derivation.
func On(machineID string, key store.Key) Names {
	sum := sha256.Sum256([]byte(strings.Join([]string{machineID, key.Network, key.ContainerID, key.IfName}, "\x00")))
	digits := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:7]))
	mark := markPrefix + hex.EncodeToString(sum[:6])
	tail := sum[:5]
	if machineID == "" {
		tail = make([]byte, 5)
		_, _ = rand.Read(tail)
	}
	return Names{
		HostInterface: hostInterfacePrefix + digits[:hostInterfaceDigits],
		IFB:           ifbPrefix + digits[:hostInterfaceDigits],
		Mark:          mark,
		Alias:         cut(mark+" "+key.String(), maxAlias),
		// 02 is locally administered. The host interface has fe: a bridge without a MAC of its own takes the lowest of its
		// ports, and must not take ours (libvirt does the same).
		MAC:     append(net.HardwareAddr{0x02}, tail...),
		HostMAC: append(net.HardwareAddr{0xfe}, tail...),
	}
}

// OwnedBy returns the names of an attachment with that owner. An owner other than store.OwnerCNI stands in the alias between
// the mark and the key, in a form that no key has, so that a runtime's GC keeps the attachment also without its record.
func (n Names) OwnedBy(owner string) Names {
	if owner != store.OwnerCNI {
		n.Alias = cut(n.Mark+" "+owner+":"+strings.TrimPrefix(n.Alias, n.Mark+" "), maxAlias)
	}
	return n
}

// MachineID returns the content of machine-id(5), "" if there is none or it is not initialized yet.
func MachineID() string {
	id := readMachineID("/etc/machine-id")
	if id == "uninitialized" {
		return ""
	}
	return id
}

// readMachineID uses three system calls, since every verb pays for them; O_NONBLOCK keeps it from waiting for a FIFO.
func readMachineID(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	text := make([]byte, 256)
	n, _ := unix.Read(fd, text)
	return strings.TrimSpace(string(text[:max(n, 0)]))
}

func cut(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}
