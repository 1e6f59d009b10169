package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Attachment is the locked state of one attachment: its record and its reserved
// addresses. Between Open and Close no other verb of the same attachment gets
// past Open, in this process or in another one.
type Attachment struct {
	Key Key

	// Record is the record as read or as last saved; nil if there is none, or it
	// cannot be read.
	Record *Record

	// Broken says why the record cannot be read (wraps ErrUnreadable), or that a newer
	// version wrote it (ErrNewer alone): then Record holds
	// the fields that are known here.
	Broken error

	dirs Dirs
	// the locked record file; nil if no lock could be taken
	file *os.File
	// directories that Close removes if they are still empty, the deepest first
	created  []string
	readOnly bool
}

// Open locks an attachment and reads its record, if it has one. It waits while
// another verb holds the lock (see WithLockBudget). Errors wrap ErrBusy,
// ErrUnsafe or ErrIrregular, or are ctx's or the file system's.
func Open(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	if err := a.openOrCreate(ctx); err != nil {
		return nil, err
	}
	a.created = nil // ADD needs the directories
	return a, nil
}

// OpenToRemove opens an attachment for DEL, which must succeed also where ADD
// could not (CNI SPEC section "DEL"). It differs from Open in three ways:
//
//   - Close removes the directories that it created for the lock.
//   - Where no lock file can be created (a full or read-only state directory)
//     it works without a lock.
//   - A record that cannot be opened or read, and a state directory for which
//     Open returns ErrUnsafe, set Broken instead of failing.
func OpenToRemove(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	err := a.openOrCreate(ctx)
	var file *os.PathError
	if errors.As(err, &file) {
		a, err = OpenExisting(ctx, dirs, key)
	}
	if errors.As(err, &file) {
		a.Broken, err = fmt.Errorf("%w: %w", ErrUnreadable, err), nil
	}
	return a.orUnreadable(err)
}

// OpenExisting opens an attachment for a verb that must not create anything,
// such as CHECK. Without a record it returns an Attachment whose Record is nil
// and that holds no lock.
func OpenExisting(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs, readOnly: true}
	err := a.lock(ctx, os.O_RDONLY)
	if isAbsent(err) {
		return a, nil
	}
	return a.orUnreadable(err)
}

// orUnreadable turns an untrusted record file or directory into a Broken
// record. DEL needs no more, and no lock either: no other verb can lock it.
func (a *Attachment) orUnreadable(err error) (*Attachment, error) {
	if errors.Is(err, ErrIrregular) || errors.Is(err, ErrUnsafe) {
		a.Broken, err = fmt.Errorf("%w: %w", ErrUnreadable, err), nil
	}
	return a, err
}

// isAbsent reports whether a file does not exist and cannot exist: its name is
// too long (ENAMETOOLONG), or a directory of its path is a regular file
// (ENOTDIR). ADD cannot have created such a file, so DEL has nothing to remove.
func isAbsent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.ENOTDIR)
}

// TryOpen opens an attachment without waiting. It returns ErrBusy if another
// verb holds the lock, and os.ErrNotExist if there is no record.
func TryOpen(dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	return a.orUnreadable(a.lock(WithLockBudget(context.Background(), 0, time.Time{}), os.O_RDWR))
}

// path returns the path of the record. "@" separates the container ID from the
// interface name because CNI allows it in neither a network name nor a container
// ID (SPEC section 1).
func (a *Attachment) path() string {
	return filepath.Join(a.dirs.State, a.Key.Network, a.Key.ContainerID+"@"+a.Key.IfName+".json")
}

// lock opens, locks and reads the record. A record is replaced by rename, so
// the file that was opened may have lost its name when flock(2) returns; the
// lock of such a file protects nothing, and lock opens the current one.
func (a *Attachment) lock(ctx context.Context, flags int) error {
	if err := checkSafe(a.dirs.State, filepath.Dir(a.path())); err != nil {
		return fmt.Errorf("open record: %w", err)
	}
	if err := checkDirs(a.dirs.State, filepath.Dir(a.path())); err != nil {
		return fmt.Errorf("open record: %w", err)
	}
	// Another verb can replace or delete the record only while it holds the lock,
	// so the loop ends when no verb of this attachment runs.
	for {
		f, err := openState(a.path(), flags)
		if err != nil {
			return fmt.Errorf("open record: %w", err)
		}
		if err := lock(ctx, f); err != nil {
			return fmt.Errorf("lock record: %w", err)
		}
		if !a.isCurrent(f) {
			f.Close()
			continue
		}
		a.file = f
		return a.read()
	}
}

// isCurrent reports whether the record's path still leads to the open file.
func (a *Attachment) isCurrent(f *os.File) bool {
	at, err1 := os.Lstat(a.path())
	is, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(at, is)
}

// read reads and decodes the locked record.
func (a *Attachment) read() error {
	data, err := readAll(a.file)
	if err != nil {
		return a.readFailed(err)
	}
	a.Record, a.Broken = decodeRecordOf(a.Key, data)
	return nil
}

// readFailed closes an attachment whose record could not be read, for example
// with EIO. A later call may be able to read it, so Close must not delete it;
// an empty file is only a lock and is deleted.
func (a *Attachment) readFailed(err error) error {
	if info, look := a.file.Stat(); look != nil || info.Size() > 0 {
		a.Broken = ErrUnreadable
	}
	return fmt.Errorf("read record: %w", errors.Join(err, a.Close()))
}

// HasRecord reports whether a state directory has a file for the record of an attachment, readable or not.
func HasRecord(stateDir string, key Key) bool {
	_, err := os.Lstat((&Attachment{Key: key, dirs: Dirs{State: stateDir}}).path())
	return err == nil
}

// Dirs returns the directories that were passed to Open.
func (a *Attachment) Dirs() Dirs { return a.dirs }

// Path returns the path of the record, whether it exists or not.
func (a *Attachment) Path() string { return a.path() }

// tempSuffix is the suffix of a record while it is written. List matches only names
// that end in ".json".
const tempSuffix = ".tmp"

// Save replaces the record. It writes a temporary file, locks it, and renames
// it: readers see the old record or the new one, never a part of it, and the
// record is locked at every moment. Only the holder of the record's lock uses
// the name of the temporary file, so the name needs no random part.
// On an error the old record is unchanged.
func (a *Attachment) Save(r *Record) error {
	data, err := r.text()
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	temp := a.path() + tempSuffix
	f, err := openState(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	// Lock the new file before it gets the name. This cannot block: only the holder
	// of the old lock uses the temporary name.
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err == nil {
		err = os.Rename(temp, a.path())
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write record: %w", errors.Join(err, os.Remove(temp)))
	}
	a.unlock()
	a.file, a.Record, a.Broken = f, r, nil
	return nil
}

// Close releases the lock. If there is no record it also deletes the lock file,
// a leftover temporary file, and the directories that were created for them.
func (a *Attachment) Close() error {
	var err error
	if a.file != nil && a.Record == nil && a.Broken == nil && !a.readOnly {
		err = a.Remove()
	}
	a.unlock()
	a.removeCreated()
	return err
}

// Remove deletes the record, readable or not, and releases the lock. DEL calls
// it last, after the interface and the addresses are gone. It deletes nothing
// if this Attachment found no record and took no lock: a record that exists by
// then belongs to a later ADD.
func (a *Attachment) Remove() error {
	if a.unlocked() {
		return nil
	}
	err := checkDirs(a.dirs.State, filepath.Dir(a.path()))
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		a.unlock()
		return nil // no record of this program can be in such a directory
	}
	// The record goes last: until then another call finds it and repeats this one.
	for _, path := range []string{a.path() + tempSuffix, a.path()} {
		if err := os.Remove(path); err != nil && !isAbsent(err) {
			return fmt.Errorf("remove record: %w", err)
		}
	}
	a.Record, a.Broken = nil, nil
	a.unlock()
	return nil
}

// unlocked reports whether Open found nothing to lock. A Broken record counts as
// found, because Remove must delete it.
func (a *Attachment) unlocked() bool { return a.file == nil && a.Broken == nil }

// unlock closes the file, and with its last descriptor the flock(2) is released.
func (a *Attachment) unlock() {
	if a.file != nil {
		a.file.Close()
	}
	a.file = nil
}
