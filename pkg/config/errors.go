package config

import "fmt"

// Kind is the kind of an Error. Package attach derives the CNI error code from it.
type Kind int

// Kinds of errors.
const (
	Invalid     Kind = iota // an invalid value or combination of values
	Undecodable             // not JSON, or not of the type that the specification requires
	Unsupported             // a key of the reference plugins that this version does not support
	Environment             // a CNI_* variable
	Version                 // an unknown cniVersion
)

// Error is an error in the configuration or the environment.
type Error struct {
	Kind    Kind
	Msg     string // one line, beginning with the key: `mtu: want a whole number, got "big"`
	Details string // how to correct it
}

// Error returns the message and the details.
func (e *Error) Error() string {
	if e.Details == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Details
}

// invalid returns an error of kind Invalid about a key.
func invalid(key, details, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Msg: key + ": " + fmt.Sprintf(format, args...), Details: details}
}
