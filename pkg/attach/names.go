package attach

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"net"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// names are what follows from (machine-id, network, container ID, interface name) alone, so
// that DEL finds an attachment of which nothing else is known. The machine-id keeps two hosts
// on one LAN from giving the same MAC to containers of the same name.
type names struct {
	hostLink string // "veth" and 11 base32 digits: 55 bits of the hash
	mark     string // "patchbay:" and 12 hex digits; what the alias of the host link begins with
	alias    string // the mark, then network/containerID/ifname for people
	mac      net.HardwareAddr
	hostMAC  net.HardwareAddr
}

// What names are made of.
const (
	markPrefix   = "patchbay:"
	hexDigits    = "0123456789abcdef"
	base32Digits = "abcdefghijklmnopqrstuvwxyz234567"
)

// maxAlias is IFALIASZ of Linux less the terminating zero.
const maxAlias = 255

func namesOf(key store.Key) names { return namesOn(machineID(), key) }

// namesOn is for who asks for many: reading the machine-id takes longer than all the rest.
func namesOn(machine string, key store.Key) names {
	sum := sha256.Sum256([]byte(strings.Join([]string{machine, key.Network, key.ContainerID, key.IfName}, "\x00")))
	digits := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:7]))
	mark := markPrefix + hex.EncodeToString(sum[:6])
	tail := sum[:5]
	if machine == "" {
		tail = make([]byte, 5)
		_, _ = rand.Read(tail)
	}
	return names{
		hostLink: "veth" + digits[:11],
		mark:     mark,
		alias:    cut(mark+" "+key.String(), maxAlias),
		// 02 is locally administered; fe too, and it is never the lowest of a bridge's ports,
		// so that a bridge without a MAC of its own does not take ours (as libvirt does).
		mac:     append(net.HardwareAddr{0x02}, tail...),
		hostMAC: append(net.HardwareAddr{0xfe}, tail...),
	}
}

// by are the names of an attachment that is not a runtime's: behind the mark the alias tells whose
// it is, in a form that is no key's, so that a runtime's GC leaves it alone even without its record.
func (n names) by(owner string) names {
	if owner != store.OwnerCNI {
		n.alias = cut(n.mark+" "+owner+":"+strings.TrimPrefix(n.alias, n.mark+" "), maxAlias)
	}
	return n
}

// ParseAlias reads the alias of a host link: whose attachment it is, and who made it. What stands
// behind the mark may have been cut; ok is whether there is a mark.
func ParseAlias(alias string) (key store.Key, owner string, ok bool) {
	mark, words, _ := strings.Cut(alias, " ")
	if !formed(mark, markPrefix, hexDigits, 12) {
		return store.Key{}, "", false
	}
	key, owner, _ = store.ParseKey(words)
	return key, owner, true
}

// machineID is that of machine-id(5), "" where there is none.
func machineID() string {
	text, _ := os.ReadFile("/etc/machine-id")
	id := strings.TrimSpace(string(text))
	if id == "uninitialized" {
		return ""
	}
	return id
}

func cut(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}
