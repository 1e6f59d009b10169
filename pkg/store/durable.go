package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// newFile is the complete new content of a file.
type newFile struct{ path, text string }

// replaceDurably replaces files of one directory by complete new ones, in this
// order. When it returns without an error the new ones are on the disk, with their
// names. Files that have their content already are not written.
//
// A file system that delays the allocation of blocks (ext4, xfs, btrfs) may put a
// new name on the disk before the data, so every file is synchronized before the
// first rename. The names are on the disk only when the directory is.
func replaceDurably(dir string, files []newFile) error {
	files = slices.DeleteFunc(files, func(f newFile) bool {
		now, err := readState(f.path)
		return err == nil && string(now) == f.text
	})
	if len(files) == 0 && !isRecent(dir) {
		return nil
	}
	err := writeTemps(files)
	for _, f := range files {
		if err == nil {
			err = os.Rename(f.path+tempSuffix, f.path)
		}
	}
	if err == nil {
		return syncDir(dir)
	}
	for _, f := range files {
		err = errors.Join(err, ignoreAbsent(os.Remove(f.path+tempSuffix)))
	}
	return err
}

// isRecent reports whether the names in a directory changed in the last minute: a
// process that was killed after a rename may not have synchronized them. Older
// changes are on the disk by now (ext4 waits 5 s, xfs and btrfs 30 s).
func isRecent(dir string) bool {
	info, err := os.Stat(dir)
	return err != nil || time.Since(info.ModTime()).Abs() < time.Minute
}

// writeTemps writes the temporary files and then synchronizes them at the same
// time, because a file system commits them together then.
func writeTemps(files []newFile) (err error) {
	var temps []*os.File
	for _, f := range files {
		temp, failed := openState(f.path+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if failed == nil {
			temps = append(temps, temp)
			_, failed = temp.WriteString(f.text)
		}
		err = errors.Join(err, failed)
	}
	errs := make([]error, len(temps))
	var all sync.WaitGroup
	for i, temp := range temps {
		all.Go(func() { errs[i] = errors.Join(temp.Sync(), temp.Close()) })
	}
	all.Wait()
	return errors.Join(append(errs, err)...)
}

// syncDir writes the names in a directory to the disk. EINVAL: the file system has
// no such call, and needs none.
func syncDir(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// makeDirsDurably does what makeDirs does with mode 0700, and synchronizes the
// names of the directories that it creates.
func makeDirsDurably(root, path string) error {
	err := checkDirs(root, path)
	if err == nil || errors.Is(err, ErrIrregular) {
		return err
	}
	made, err := mkdirAll(path)
	for _, dir := range made {
		if err == nil {
			err = syncDir(filepath.Dir(dir))
		}
	}
	return err
}
