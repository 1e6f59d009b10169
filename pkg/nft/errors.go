package nft

import (
	"errors"
	"fmt"
	"strings"
)

// What callers tell apart. Each is wrapped in a sentence that names the thing.
var (
	ErrUnsupported = errors.New("this kernel has no nf_tables")
	ErrNotBuilt    = errors.New("is not built")                  // Build is what helps
	ErrNewer       = errors.New("was built by a newer patchbay") // ADD must not touch it
	ErrForeign     = errors.New("is not one that patchbay made") // a table of our name, without our mark
	ErrTaken       = errors.New("belongs to another attachment") // an address: see TakenError
	ErrPortTaken   = errors.New("belongs to another attachment") // a port of the host
)

// TakenError says whose an address on a bridge or a port of the host is. It wraps ErrTaken or ErrPortTaken.
type TakenError struct {
	Thing string // "address 10.1.2.3 on bridge cni0", "port 8080/tcp of 192.0.2.1"
	Port  bool   // a port of the host, not an address
	Owner string // the comment of the element that is there: mark and key
}

// Error names the thing and the owner.
func (e *TakenError) Error() string { return fmt.Sprintf("%s %v: %q", e.Thing, ErrTaken, e.Owner) }

// Unwrap is ErrPortTaken for a port, else ErrTaken.
func (e *TakenError) Unwrap() error {
	if e.Port {
		return ErrPortTaken
	}
	return ErrTaken
}

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
