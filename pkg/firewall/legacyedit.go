package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants of linux/netfilter_ipv4/ip_tables.h for setsockopt(2).
const (
	setReplace, setCounters = 64, 65
	counterSize             = 16 // struct xt_counters: packets, bytes
	countersAt              = 40 // struct xt_counters_info: name, number, counters
	replaceCountersAt       = 88 // struct ipt_replace: a pointer, and behind it the entries
)

// removeLegacy is RemoveReference for table nat of iptables-legacy and
// ip6tables-legacy. It reads the table and replaces it in one call, without the
// attachment's chains, as iptables-legacy does, and holds its lock meanwhile. It
// starts no program: none may be installed here, and which variant a program named
// iptables is cannot be known without running it.
func (f *Filters) removeLegacy(r Reference) (removed bool, err error) {
	for _, c := range r.chains() {
		if c.family == unix.NFPROTO_BRIDGE {
			continue
		}
		l := legacy(c.family == unix.NFPROTO_IPV6)
		did, err := f.removeLegacyChain(l, c)
		if err != nil {
			return removed, fmt.Errorf("remove chain %s of table %s nat (iptables-legacy): %w", c.name, familyName(c.family), err)
		}
		removed = removed || did
	}
	return removed, nil
}

func (f *Filters) removeLegacyChain(l legacyTables, c privateChain) (bool, error) {
	e, err := l.editOf(c)
	if errors.Is(err, fs.ErrPermission) { // only root may read which tables are in use, and only root changes them
		return false, nil
	}
	if err != nil || len(e.gone) == 0 {
		return false, err
	}
	unlock, err := lockXtables(f.deadline)
	if err != nil {
		return false, err
	}
	defer unlock()
	if e, err = l.editOf(c); err != nil || len(e.gone) == 0 { // again, under the lock
		return false, err
	}
	return true, e.make()
}

// lockXtables takes the lock of iptables-legacy.
func lockXtables(deadline time.Time) (unlock func(), err error) {
	const path = "/run/xtables.lock" // XT_LOCK_NAME of iptables
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			unix.Close(fd)
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
		time.Sleep(10 * time.Millisecond) // flock(2) has no timeout
	}
}

// edit is a table without some of its entries.
type edit struct {
	l     legacyTables
	about info
	all   []entry
	gone  map[int]bool // by offset
}

// editOf returns the table with the entries of a chain that are to be removed; none
// if the table is not in use.
func (l legacyTables) editOf(c privateChain) (edit, error) {
	about, table, err := l.table("nat")
	if err != nil || table == nil {
		return edit{}, err
	}
	all, err := l.split(table)
	if err != nil {
		return edit{}, err
	}
	e := edit{l, about, all, map[int]bool{}}
	chains, names := e.chains()
	isShared := false
	for i, one := range all {
		v := verdict{}
		if one.targetName() == "" {
			v = l.verdict(one, names)
		}
		leads := (v.kind == jump || v.kind == gotoChain) && v.target == c.name
		switch {
		case leads && chains[i] == c.entry && c.ownsComment(one.comment()):
			e.gone[one.at] = true
		case leads, chains[i] == c.name && !c.ownsComment(one.comment()):
			isShared = true
		}
	}
	for i, one := range all {
		if chains[i] == c.name && (!isShared || one.comment() == c.comment) {
			e.gone[one.at] = true
		}
	}
	return e, nil
}

// chains returns the chain of each entry, and the chain that starts at an offset, as
// jumps name it.
func (e edit) chains() (of []string, names map[int]string) {
	names = map[int]string{}
	for hook, name := range []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"} {
		if e.about.u32(tableNameSize)&(1<<hook) != 0 {
			names[int(e.about.u32(tableNameSize+4+4*hook))] = name
		}
	}
	current := ""
	for _, one := range e.all {
		if name, begins := names[one.at]; begins {
			current = name
		}
		if one.targetName() == "ERROR" {
			current = one.target.text(dataAt, len(one.target))
			names[one.at+len(one.data)] = current
		}
		of = append(of, current)
	}
	return of, names
}

func (e entry) comment() string {
	for _, m := range e.matches {
		if m.text(nameAt, revisionAt) == "comment" {
			return m.text(dataAt, len(m))
		}
	}
	return ""
}

// make replaces the table. The kernel refuses if the number of entries has changed
// meanwhile.
func (e edit) make() error {
	replace, err := e.replacement()
	if err != nil {
		return err
	}
	fd, err := unix.Socket(e.l.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	counters := make([]byte, counterSize*len(e.all))
	var pinned runtime.Pinner // the kernel gets its address within another buffer
	pinned.Pin(&counters[0])
	defer pinned.Unpin()
	*(*uintptr)(unsafe.Pointer(&replace[replaceCountersAt])) = uintptr(unsafe.Pointer(&counters[0]))
	if err := setOption(fd, e.l.level, setReplace, replace); err != nil {
		return err
	}
	return setOption(fd, e.l.level, setCounters, e.counters(counters))
}

// counters returns the counters of the remaining entries, which start at zero in a
// new table.
func (e edit) counters(counted []byte) []byte {
	about := make([]byte, countersAt)
	copy(about, "nat")
	number := uint32(0)
	for i, one := range e.all {
		if !e.gone[one.at] {
			about = append(about, counted[counterSize*i:counterSize*(i+1)]...)
			number++
		}
	}
	binary.NativeEndian.PutUint32(about[tableNameSize:], number)
	return about
}

// replacement returns struct ipt_replace with the remaining entries. Offsets in jumps
// are adjusted.
func (e edit) replacement() ([]byte, error) {
	moved, at, number := map[int]int{}, 0, 0
	for _, one := range e.all {
		moved[one.at] = at
		if !e.gone[one.at] {
			at, number = at+len(one.data), number+1
		}
	}
	head := make([]byte, replaceCountersAt+int(unsafe.Sizeof(uintptr(0))))
	copy(head, "nat")
	put := func(at int, value uint32) { binary.NativeEndian.PutUint32(head[at:], value) }
	put(32, e.about.u32(tableNameSize)) // hooks that are valid
	put(36, uint32(number))
	put(40, uint32(at))
	for hook := range 5 {
		put(44+4*hook, uint32(moved[int(e.about.u32(36+4*hook))]))
		put(64+4*hook, uint32(moved[int(e.about.u32(56+4*hook))]))
	}
	put(84, uint32(len(e.all)))
	for _, one := range e.all {
		if e.gone[one.at] {
			continue
		}
		data, err := e.moved(one, moved)
		if err != nil {
			return nil, err
		}
		head = append(head, data...)
	}
	return head, nil
}

// moved returns an entry with its jump adjusted.
func (e edit) moved(one entry, moved map[int]int) ([]byte, error) {
	data := bytes.Clone(one.data)
	code := int(int32(one.target.u32(dataAt)))
	if one.targetName() != "" || code < 0 {
		return data, nil
	}
	to, known := moved[code]
	if next := one.at + len(one.data); code == next {
		to = moved[one.at] + len(one.data)
	} else if !known { // of a rule that goes, it is the next one of the chain
		return nil, fmt.Errorf("entry at %d jumps to %d, where no entry starts", one.at, code)
	}
	binary.NativeEndian.PutUint32(data[len(data)-len(one.target)+dataAt:], uint32(to))
	return data, nil
}

// setOption is setsockopt(2).
func setOption(fd, level, name int, buffer []byte) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
