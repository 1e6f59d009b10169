package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legacyTables describes the tables of iptables-legacy of one version of IP, which
// the kernel provides through a socket option and not over netlink. The offsets are
// of struct ipt_entry and ip6t_entry.
type legacyTables struct {
	family        byte
	names         string // file in /proc/thread-self/net, with a line for each table that is in use
	domain, level int    // of the socket, and of the option
	source, size  int    // where the addresses are in the header of IP, and how long one is
	links         int    // names of two links, and their masks, 16 bytes each
	protocol      int
	flags, invert int // a byte each
	isGoto        byte
	offsets       int // of the target, and of the next entry
	length        int
}

// legacy returns the layout for a version of IP.
func legacy(isIPv6 bool) legacyTables {
	if isIPv6 {
		return legacyTables{
			family: unix.NFPROTO_IPV6, names: "ip6_tables_names", domain: unix.AF_INET6, level: unix.SOL_IPV6,
			source: 8, size: 16, links: 64, protocol: 128, flags: 131, invert: 132, isGoto: 4, offsets: 140, length: 168,
		}
	}
	return legacyTables{
		family: unix.NFPROTO_IPV4, names: "ip_tables_names", domain: unix.AF_INET, level: unix.SOL_IP,
		source: 12, size: 4, links: 16, protocol: 80, flags: 82, invert: 83, isGoto: 2, offsets: 88, length: 112,
	}
}

// legacyTable is a table of iptables, and the priority of its chain at prerouting.
type legacyTable struct {
	name     string
	priority int32
}

// legacyChains reads tables of iptables-legacy and ip6tables-legacy, if in use, into the
// view: filter, and with before also those with a chain at prerouting. Their rules are
// translated into expressions of nftables.
func legacyChains(v *view, before bool) (all []chain, err error) {
	tables := []legacyTable{{"filter", 0}}
	if before {
		tables = append(tables, legacyTable{"raw", -300}, legacyTable{"mangle", -150}, legacyTable{"nat", -100})
	}
	for _, isIPv6 := range []bool{false, true} {
		for _, t := range tables {
			chains, err := legacy(isIPv6).readChains(v, t)
			if err != nil {
				return nil, fmt.Errorf("read table %s of iptables-legacy (%s): %w", t.name, familyName(legacy(isIPv6).family), err)
			}
			all = append(all, chains...)
		}
	}
	return all, nil
}

// readChains reads one table, if it is in use.
func (l legacyTables) readChains(v *view, t legacyTable) ([]chain, error) {
	info, entries, err := l.table(t.name)
	if err != nil || entries == nil {
		return nil, err
	}
	return l.chains(v, t, info, entries)
}

// Constants of linux/netfilter_ipv4/ip_tables.h and linux/netfilter/x_tables.h.
const (
	getInfo, getEntries = 64, 65
	tableNameSize       = 32
	infoSize            = 84 // struct ipt_getinfo: name, valid hooks, 5 entries, 5 underflows, number, size
	entriesAt           = 40 // struct ipt_get_entries: name, size, entries
	nameAt, revisionAt  = 2, 31
	dataAt              = 32 // of struct xt_entry_match and xt_entry_target
)

// table reads a table; nil if it is not in use. It reads /proc first, because the
// socket option would create the table.
func (l legacyTables) table(name string) (about, entries info, err error) {
	names, err := os.ReadFile("/proc/thread-self/net/" + l.names)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Contains(strings.Fields(string(names)), name) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.Socket(l.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	const looks = 10
	for range looks {
		about = make(info, infoSize)
		copy(about, name)
		if err := option(fd, l.level, getInfo, about); err != nil {
			return nil, nil, err
		}
		size := about.u32(infoSize - 4)
		entries = make(info, entriesAt+size)
		copy(entries, name)
		binary.NativeEndian.PutUint32(entries[tableNameSize:], size)
		err = option(fd, l.level, getEntries, entries)
		if !errors.Is(err, unix.EAGAIN) { // the table has changed since
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return about, entries[entriesAt:], nil
}

// option is getsockopt(2) with a buffer that also contains the request.
func option(fd, level, name int, buffer []byte) error {
	n := uint32(len(buffer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// entry is an entry of a table: a rule, or the head of a chain.
type entry struct {
	at      int
	data    info // with its matches and target
	matches []info
	target  info
}

// split splits a table into its entries.
func (l legacyTables) split(table info) (all []entry, err error) {
	for at := 0; at < len(table); {
		rest := table[at:]
		target, next := int(rest.u16(l.offsets)), int(rest.u16(l.offsets+2))
		if target < l.length || next < target+dataAt || next > len(rest) {
			return nil, fmt.Errorf("entry at %d is cut short", at)
		}
		e := entry{at: at, data: rest[:next], target: rest[target:next]}
		for m := l.length; m < target; {
			size := int(rest.u16(m))
			if size < dataAt || m+size > target {
				return nil, fmt.Errorf("match of entry at %d is cut short", at)
			}
			e.matches = append(e.matches, rest[m:m+size])
			m += size
		}
		all = append(all, e)
		at += next
	}
	return all, nil
}

// text returns a name in a structure.
func (i info) text(from, to int) string {
	name, _, _ := strings.Cut(string(i[min(from, len(i)):min(to, len(i))]), "\x00")
	return name
}

func (e entry) targetName() string { return e.target.text(nameAt, revisionAt) }

// legacyHooks returns the names of the base chains, by hook.
func legacyHooks() map[int]string {
	return map[int]string{
		unix.NF_INET_PRE_ROUTING: "PREROUTING", unix.NF_INET_LOCAL_IN: "INPUT", unix.NF_INET_FORWARD: "FORWARD", unix.NF_INET_LOCAL_OUT: "OUTPUT", unix.NF_INET_POST_ROUTING: "POSTROUTING",
	}
}

// legacyChain returns a chain of a table, without its policy. Of table mangle only what is before routing is evaluated.
func legacyChain(family byte, t legacyTable, name string) chain {
	c := chain{isLegacy: true, family: family, table: t.name, name: name, priority: t.priority, isNAT: t.name == "nat"}
	switch {
	case name == "PREROUTING":
		c.hook = prerouting
	case name == "FORWARD" && t.name == "filter":
		c.hook = forward
	case name == "INPUT" && t.name == "filter":
		c.hook = input
	}
	return c
}

// chains decodes a table. A chain starts with its head, an entry with target ERROR
// and the chain's name, or at the offset of a hook; a jump has the offset of the
// chain's first rule.
func (l legacyTables) chains(v *view, t legacyTable, about, table info) (all []chain, err error) {
	entries, err := l.split(table)
	if err != nil {
		return nil, err
	}
	names, policies := map[int]string{}, map[int]bool{}
	for hook, name := range legacyHooks() {
		names[int(about.u32(tableNameSize+4+4*hook))] = name
		policies[int(about.u32(tableNameSize+24+4*hook))] = true
	}
	for _, e := range entries {
		if e.targetName() == "ERROR" {
			names[e.at+len(e.data)] = e.target.text(dataAt, len(e.target))
		}
	}
	for _, e := range entries {
		if name, begins := names[e.at]; begins {
			all = append(all, legacyChain(l.family, t, name))
			v.rules[all[len(all)-1].place()] = nil
		}
		if len(all) == 0 || e.targetName() == "ERROR" {
			continue
		}
		c := &all[len(all)-1]
		if policies[e.at] {
			c.isDrop = l.verdict(e, names).kind == drop
			continue
		}
		v.rules[c.place()] = append(v.rules[c.place()], l.rule(e, names))
	}
	return all, nil
}

// verdict decodes a standard target: the offset of a chain, or minus a verdict of
// netfilter minus one (XT_RETURN is -NF_REPEAT-1). The offset of the next entry is a
// rule without target.
func (l legacyTables) verdict(e entry, names map[int]string) verdict {
	code := int(int32(e.target.u32(dataAt)))
	switch {
	case code == -5:
		return verdict{kind: returns}
	case code < 0:
		return standard(int32(-code - 1))
	case code == e.at+len(e.data):
		return verdict{}
	case e.data.u8(l.flags)&l.isGoto != 0:
		return verdict{gotoChain, names[code]}
	default:
		return verdict{jump, names[code]}
	}
}
