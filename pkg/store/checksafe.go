package store

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// ErrUnsafe is wrapped if a user other than root and the effective user could
// write or replace state. Such state is neither read nor written: a record
// decides which interfaces and rules root deletes.
var ErrUnsafe = errors.New("unsafe state directory")

// CheckSafe reports whether only root and the effective user can change what a
// state directory holds, or which directory its path leads to. The directory and
// all directories above it must belong to one of them, and nobody else may write
// to them; above the directory a sticky bit, as that of /tmp, is sufficient.
// A directory that does not exist is safe. CheckSafe changes nothing. Errors wrap
// ErrUnsafe; other faults of a path are left to the call that opens it.
func CheckSafe(path string) error { return checkSafe(path, path) }

// checkSafe is CheckSafe for root, and for the directories from root down to path.
func checkSafe(root, path string) error {
	err := safefile.CheckDirs(root, path)
	for _, unsafe := range []error{safefile.ErrOwner, safefile.ErrWritable, safefile.ErrSymlink} {
		if errors.Is(err, unsafe) {
			return fmt.Errorf("%w: %w", ErrUnsafe, err)
		}
	}
	return nil
}
