package nft

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Sentinel errors; what callers get wraps one of them and names the object.
var (
	ErrUnsupported = errors.New("no nf_tables in this kernel")
	ErrNotBuilt    = errors.New("table or chain missing")             // call Build
	ErrNewer       = errors.New("table built by a newer patchbay")    // ADD must not change it
	ErrForeign     = errors.New("table not built by patchbay")        // one of our name, without a version
	ErrTaken       = errors.New("address used by another attachment") // see TakenError
	ErrPortTaken   = errors.New("host port already published")        // see TakenError
)

// TakenError reports an address on a bridge, or a host port, that another attachment
// uses. It wraps ErrTaken or ErrPortTaken.
type TakenError struct {
	Thing string // "address 10.1.2.3 on bridge cni0", "port 8080/tcp of 192.0.2.1"
	Port  bool   // a host port, not an address
	Owner string // the comment of the existing element: ID and attachment
	Name  string // for Error: the attachment, if a caller that knows the form of comments has set it
}

// Error returns the object and its owner.
func (e *TakenError) Error() string {
	if e.Port {
		return fmt.Sprintf("host %s is already published by %s", e.Thing, e.owner())
	}
	return fmt.Sprintf("%s is used by another attachment: %s", e.Thing, e.owner())
}

// owner returns Name, or the comment in quotes: any program may have written it.
func (e *TakenError) owner() string {
	if e.Name != "" {
		return e.Name
	}
	return strconv.Quote(e.Owner)
}

// Unwrap returns ErrPortTaken for a host port, otherwise ErrTaken.
func (e *TakenError) Unwrap() error {
	if e.Port {
		return ErrPortTaken
	}
	return ErrTaken
}

// taken returns the error for an element of another owner.
func taken(by element) *TakenError {
	e := &TakenError{Owner: by.comment, Port: strings.HasPrefix(by.set, "publish") || strings.HasPrefix(by.set, "mark")}
	parts := strings.Split(by.text(), " . ")
	switch {
	case e.Port && len(parts) == 3:
		e.Thing = fmt.Sprintf("port %s/%s of %s", parts[2], parts[1], parts[0])
	case e.Port && len(parts) == 2:
		e.Thing = fmt.Sprintf("port %s/%s", parts[1], parts[0])
	case len(parts) >= 2:
		e.Thing = fmt.Sprintf("address %s on bridge %s", parts[1], parts[0])
	default:
		e.Thing = by.text()
	}
	return e
}
