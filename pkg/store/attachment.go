package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Dirs says where state is.
type Dirs struct {
	State string // records
	Data  string // address files
}

// Attachment is the locked state of one attachment. Until Close no other verb of this
// attachment gets further than Open.
type Attachment struct {
	Key    Key
	Record *Record // as found or as last saved; nil if there is none that can be read
	Broken error   // wraps ErrUnreadable: why it cannot be read; or ErrNewer alone: Record is what is known of it

	dirs     Dirs
	file     *os.File // the locked record; nil where none can be
	made     []string // directories that Close removes if they are still empty, the deepest first
	readOnly bool
}

// Open locks an attachment, with or without a record. It waits for another verb of the same
// attachment; errors wrap ErrBusy, ctx's error or that of the file system.
func Open(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	if err := a.lockAnew(ctx); err != nil {
		return nil, err
	}
	a.made = nil // they stay
	return a, nil
}

// OpenToRemove is Open for DEL: Close takes the directories away again that it had to make for
// the lock, and where no lock can be made (a full or read-only state directory) it does without.
// So it does where something is in the record's place that cannot be opened, or not be read
// twice, which is Broken.
func OpenToRemove(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	err := a.lockAnew(ctx)
	var file *os.PathError
	if errors.As(err, &file) {
		a, err = OpenExisting(ctx, dirs, key)
	}
	if errors.As(err, &file) {
		a.Broken, err = fmt.Errorf("%w: %w", ErrUnreadable, err), nil
	}
	return a.orBroken(err)
}

// OpenExisting is Open for verbs that must leave no trace: without a record it returns an
// Attachment whose Record is nil and that holds no lock.
func OpenExisting(ctx context.Context, dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs, readOnly: true}
	err := a.lock(ctx, os.O_RDONLY)
	if isAbsent(err) {
		return a, nil
	}
	return a.orBroken(err)
}

// orBroken takes what is in the place of a record, and is none, for one that cannot be read: a
// DEL needs no more, and no lock, because no other verb has one either.
func (a *Attachment) orBroken(err error) (*Attachment, error) {
	if errors.Is(err, ErrIrregular) {
		a.Broken, err = fmt.Errorf("%w: %w", ErrUnreadable, err), nil
	}
	return a, err
}

// isAbsent reports whether a file is not there and cannot be: a name that is too long, a plain
// file where a directory would have to be. What was never made is nothing that DEL could miss.
func isAbsent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.ENOTDIR)
}

// TryOpen is Open without waiting: ErrBusy at once if another verb holds the attachment, and
// os.ErrNotExist if there is no record to hold.
func TryOpen(dirs Dirs, key Key) (*Attachment, error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	a := &Attachment{Key: key, dirs: dirs}
	err := a.lock(now, os.O_RDWR)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %s", ErrBusy, key)
	}
	return a.orBroken(err)
}

func (a *Attachment) path() string {
	return filepath.Join(a.dirs.State, a.Key.Network, a.Key.ContainerID+"@"+a.Key.IfName+".json")
}

// lock opens, locks and reads the record. While it waited the record may have been replaced
// or removed: then it looks again.
func (a *Attachment) lock(ctx context.Context, flags int) error {
	if err := lookAtDirs(a.dirs.State, filepath.Dir(a.path())); err != nil {
		return fmt.Errorf("open record: %w", err)
	}
	for {
		f, err := openOurs(a.path(), flags)
		if err != nil {
			return fmt.Errorf("open record: %w", err)
		}
		if err := lock(ctx, f); err != nil {
			return fmt.Errorf("lock record: %w", err)
		}
		if !a.leadsTo(f) {
			f.Close()
			continue
		}
		a.file = f
		return a.read()
	}
}

func (a *Attachment) leadsTo(f *os.File) bool {
	at, err1 := os.Lstat(a.path())
	is, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(at, is)
}

func (a *Attachment) read() error {
	data, err := io.ReadAll(a.file)
	if err != nil {
		return a.unread(err)
	}
	a.Record, a.Broken = decodeRecordOf(a.Key, data)
	return nil
}

// unread gives a record up that could not be read now: what it says is needed, and another try
// may read it, so it stays. An empty one, which is only the lock, does not.
func (a *Attachment) unread(err error) error {
	if info, look := a.file.Stat(); look != nil || info.Size() > 0 {
		a.Broken = ErrUnreadable
	}
	return fmt.Errorf("read record: %w", errors.Join(err, a.Close()))
}

// Dirs are those given to Open.
func (a *Attachment) Dirs() Dirs { return a.dirs }

// Path is where the record is, or would be.
func (a *Attachment) Path() string { return a.path() }

const tempSuffix = ".tmp"

// Save replaces the record: a temporary file, locked before it takes the record's name, so
// that the lock is never loose. The holder of the lock is alone with the temporary's name.
func (a *Attachment) Save(r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	temp := a.path() + tempSuffix
	f, err := openOurs(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
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

// Close unlocks. Without a record nothing is left, neither lock nor temporary file.
func (a *Attachment) Close() error {
	var err error
	if a.file != nil && a.Record == nil && a.Broken == nil && !a.readOnly {
		err = a.Forget()
	}
	a.unlock()
	a.removeMade()
	return err
}

// Forget removes the record, readable or not, and unlocks: it is the last thing that an
// attachment loses, and the first that the next verb makes again. A record that came after
// this Attachment met none, and locked nothing, is another verb's.
func (a *Attachment) Forget() error {
	if a.unlocked() {
		return nil
	}
	err := lookAtDirs(a.dirs.State, filepath.Dir(a.path()))
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		a.unlock()
		return nil // no directory of ours, no record of ours in it
	}
	for _, path := range []string{a.path() + tempSuffix, a.path()} {
		if err := os.Remove(path); err != nil && !isAbsent(err) {
			return fmt.Errorf("remove record: %w", err)
		}
	}
	a.Record, a.Broken = nil, nil
	a.unlock()
	return nil
}

// unlocked reports whether there was nothing to lock. What is Broken is ours to remove.
func (a *Attachment) unlocked() bool { return a.file == nil && a.Broken == nil }

func (a *Attachment) unlock() {
	if a.file != nil {
		a.file.Close() // gives up the flock
	}
	a.file = nil
}
