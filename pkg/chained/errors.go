package chained

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// errDone says that the main plugin of the same list has done the whole work of a plugin.
var errDone = errors.New("done by the main plugin of the list")

// undoneError is the error of an ADD of which not everything could be undone. Code and remedy follow from the first error alone.
type undoneError struct{ err, failed error }

func (e *undoneError) Error() string { return fmt.Sprintf("%v (and undoing it: %v)", e.err, e.failed) }
func (e *undoneError) Unwrap() error { return e.err }

// noHostEnd is the error of a key that needs a host interface.
func noHostEnd(key, ifName string) error {
	return &config.Error{
		Kind: config.Invalid, Msg: key + ": " + ifName + " of the container has no other end on this host",
		Details: "leave the key out, or use a main plugin with a veth pair, such as bridge or ptp",
	}
}

// orDone returns errDone for nil.
func orDone(err error) error {
	if err == nil {
		err = errDone
	}
	return err
}
