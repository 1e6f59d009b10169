package safefile

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Attributes are those of a new file.
type Attributes struct {
	UID, GID int
	Mode     uint32 // permission bits
}

// Create creates a file that does not exist yet in an open directory, with its content,
// on the disk. It has mode 0600 until it is complete, so nobody else can open it before.
// After an error an incomplete file may be left.
func Create(dir int, name string, a Attributes, content io.Reader) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	err = fill(file, content)
	if err == nil {
		err = unix.Fchown(fd, a.UID, a.GID) // the directory may have the set-group-ID bit
	}
	if err == nil {
		err = unix.Fchmod(fd, a.Mode)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// fill writes the content of a file. From another file it shares the blocks (ioctl
// FICLONE) where the file system can.
func fill(file *os.File, content io.Reader) error {
	if from, ok := content.(*os.File); ok && unix.IoctlFileClone(int(file.Fd()), int(from.Fd())) == nil {
		return nil
	}
	return CopyAll(file, content)
}

// CopyAll copies with a buffer of 1 MiB: io.Copy would choose one of 32 KiB.
func CopyAll(to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 1<<20))
	return err
}
