package stepper

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Detail is all that is needed to repeat a call on files.
type Detail struct {
	Op     string // as in Call.Text: open, write, truncate, rename, link, symlink, unlink, rmdir, mkdir, fsync ...; "" if it is not known
	Path   string // of the descriptor as it is now, or of the argument
	To     string // rename and link: the new name; symlink: the target
	Flags  int    // open
	Offset int64  // write; truncate: the new size
	Data   []byte // write
}

// detailed fills Call.Detail, and reports fsync.
func (t *tracer) detailed(c *Call, nr uint64, args [6]uint64) *Call {
	if nr == unix.SYS_FSYNC || nr == unix.SYS_FDATASYNC {
		name := t.name(int(int32(args[0])))
		return &Call{Kind: Sync, Text: "fsync " + name, Path: name, Detail: Detail{Op: "fsync", Path: name}}
	}
	if c == nil || c.Kind != File {
		return c
	}
	op, _, _ := strings.Cut(c.Text, " ")
	d := Detail{Op: op, Path: c.Path}
	switch nr {
	case unix.SYS_OPENAT:
		d.Flags = int(args[2])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		d.To = t.path(args[2], args[3])
		if nr == unix.SYS_RENAMEAT2 && args[4]&^unix.RENAME_NOREPLACE != 0 { // an exchange, for example
			d.Op = ""
		}
	case unix.SYS_LINKAT:
		d.Path, d.To = t.path(args[0], args[1]), t.path(args[2], args[3])
	case unix.SYS_SYMLINKAT:
		d.To = t.text(args[0])
	case unix.SYS_FTRUNCATE:
		d.Offset = int64(args[1])
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		t.detailWrite(&d, nr, args)
	case unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_FCHMOD, unix.SYS_FCHOWNAT, unix.SYS_FCHOWN:
	default:
		d.Op = ""
	}
	c.Detail = d
	return c
}

// detailWrite fills data and offset of a write. More than the stepper reads at once is not known.
func (t *tracer) detailWrite(d *Detail, nr uint64, args [6]uint64) {
	data, err := t.read(region{args[1], int(args[2])})
	d.Data, d.Offset = data, int64(args[3])
	if nr == unix.SYS_WRITE {
		var appending bool
		if d.Offset, appending = t.position(int(args[0])); appending {
			if info, failed := os.Stat(d.Path); failed == nil {
				d.Offset = info.Size()
			}
		}
	}
	if err != nil || len(data) != int(args[2]) {
		d.Op = ""
	}
}

// position returns the offset of a descriptor, and whether it appends (proc_pid_fdinfo(5)).
func (t *tracer) position(fd int) (offset int64, appending bool) {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(t.pid) + "/fdinfo/" + strconv.Itoa(fd))
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "pos":
			offset, _ = strconv.ParseInt(value, 10, 64)
		case "flags":
			flags, _ := strconv.ParseInt(value, 8, 64)
			appending = flags&unix.O_APPEND != 0
		}
	}
	return offset, appending
}
