package config

import "fmt"

// Kind says what sort of mistake an Error is; package attach turns it into a CNI error code.
type Kind int

// The kinds of mistakes.
const (
	Invalid     Kind = iota // a value or a combination of values makes no sense
	Undecodable             // not JSON, or not of the shape the specification demands
	Unsupported             // a known key whose work this version does not do
	Environment             // a CNI_* variable
	Version                 // a cniVersion that is not known here
)

// Error is a mistake in the configuration or the environment.
type Error struct {
	Kind    Kind
	Msg     string // one line that begins with the key: `mtu: want a whole number, got "big"`
	Details string // what was found and how to mend it
}

// Error is the message with its details.
func (e *Error) Error() string {
	if e.Details == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Details
}

func invalid(key, details, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Msg: key + ": " + fmt.Sprintf(format, args...), Details: details}
}
