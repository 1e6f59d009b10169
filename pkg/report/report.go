// Package report writes warnings to stderr, and formats errors for one line of a log.
//
//	report.Warn("read records of %s: %s", dir, report.OneLine(err))
//
// It imports no other package of Patchbay but printable, so that every package can warn in the same form.
package report

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// MaxText is the longest text of a warning or an error message in characters: the text of another program may be of any length.
const MaxText = 2000

// Warn writes one line to stderr, which a runtime keeps in its log. It is for what the result of a verb cannot say.
func Warn(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "patchbay:", printable.Text(fmt.Sprintf(format, args...), MaxText))
}

// OneLine returns the text of an error on one line: errors.Join puts each on a line of its own.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// Except returns err, or nil if it is the expected error.
func Except(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
