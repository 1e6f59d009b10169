package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// section is a JSON object of the configuration. Its values are not decoded yet.
type section struct {
	path   string // "" or "ipam." or "runtimeConfig."
	fields map[string]json.RawMessage
	read   map[string]bool // the paths of keys that were asked for, of this section and those in it; nil to keep none
}

// decoder decodes values of sections and keeps the first error, so that each key
// takes one line.
type decoder struct {
	err *Error
}

// fail keeps an error unless there is an earlier one.
func (d *decoder) fail(e *Error) {
	if d.err == nil {
		d.err = e
	}
}

// raw returns the value of a key; false if it is absent or null. As encoding/json
// it prefers the exact spelling and accepts another case. If several spellings
// exist it uses the first in alphabetical order, because the order of a map varies.
func (s section) raw(key string) (json.RawMessage, bool) {
	if s.read != nil {
		s.read[s.path+key] = true
	}
	value, found := s.fields[key]
	if !found {
		first := ""
		for k, v := range s.fields {
			if strings.EqualFold(k, key) && (!found || k < first) {
				first, value, found = k, v, true
			}
		}
	}
	return value, found && string(value) != "null"
}

// value decodes a key into a T; what is the name of T in error messages. An absent
// key is the zero value.
func value[T any](d *decoder, s section, key, what string) (out T) {
	raw, found := s.raw(key)
	if !found {
		return out
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		d.fail(invalid(s.path+key, "give "+what+", or leave the key out", "want %s, got %s", what, brief(raw)))
	}
	return out
}

// text decodes a string; "" if the key is absent.
func (d *decoder) text(s section, key string) string {
	return value[string](d, s, key, "a string")
}

// flag decodes a boolean; false if the key is absent.
func (d *decoder) flag(s section, key string) bool {
	return value[bool](d, s, key, "true or false")
}

// optionalFlag decodes a boolean; nil if the key is absent.
func (d *decoder) optionalFlag(s section, key string) *bool {
	return value[*bool](d, s, key, "true or false")
}

// texts decodes a list of strings.
func (d *decoder) texts(s section, key string) []string {
	return value[[]string](d, s, key, "a list of strings")
}

// number decodes an integer from low to high. 0 is always allowed, as absent.
func (d *decoder) number(s section, key string, low, high int) int {
	n := value[int](d, s, key, "a whole number")
	if n != 0 && (n < low || n > high) {
		d.fail(invalid(s.path+key, fmt.Sprintf("give a number from %d to %d, or 0 for the default", low, high), "%d is out of range", n))
	}
	return n
}

// optional decodes an integer from 0 to high; nil if the key is absent.
func (d *decoder) optional(s section, key string, high int) *int {
	n := value[*int](d, s, key, "a whole number")
	if n != nil && (*n < 0 || *n > high) {
		d.fail(invalid(s.path+key, fmt.Sprintf("give a number from 0 to %d, or leave the key out", high), "%d is out of range", *n))
	}
	return n
}

// inner returns the object that is the value of a key; empty if the key is absent.
func (d *decoder) inner(s section, key string) section {
	fields := value[map[string]json.RawMessage](d, s, key, "an object")
	return section{path: s.path + key + ".", fields: fields, read: s.read}
}

// onlyMembers rejects members of the object of a key that are not known.
func (d *decoder) onlyMembers(s section, key string, known ...string) {
	for _, member := range slices.Sorted(maps.Keys(s.fields)) {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, member) }) {
			last := len(known) - 1
			give := `give "` + strings.Join(known[:last], `", "`) + `" and "` + known[last] + `"`
			d.fail(invalid(key, give, "%q is not known", member))
		}
	}
}

// inners returns the objects of a list with at most most entries.
func (d *decoder) inners(s section, key string, most int) []section {
	list := value[[]map[string]json.RawMessage](d, s, key, "a list of objects")
	if !d.atMost(s.path+key, len(list), most) {
		return nil
	}
	sections := make([]section, len(list))
	for i, fields := range list {
		sections[i] = section{path: fmt.Sprintf("%s%s[%d].", s.path, key, i), fields: fields}
	}
	return sections
}

// brief returns a JSON value for a message, printable and cut to 60 bytes.
func brief(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		b.Reset()
		b.Write(raw)
	}
	const most = 60
	if b.Len() > most {
		return printable.Text(strings.ToValidUTF8(b.String()[:most], ""), 0) + "..."
	}
	return printable.Text(b.String(), 0)
}

// object decodes the outermost object. Errors are of kind Undecodable and name the
// position.
func object(data []byte) (section, *Error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(data, &fields)
	if err == nil && fields == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return section{}, undecodable(data, err)
	}
	return section{fields: fields}, nil
}

// IsObject reports whether data is a JSON object, whole and alone.
func IsObject(data []byte) bool {
	_, err := object(data)
	return err == nil
}

// undecodable returns an error that says why data is not a JSON object.
func undecodable(data []byte, err error) *Error {
	e := &Error{
		Kind: Undecodable, Msg: "network configuration is not a JSON object: " + err.Error(),
		Details: "pass one object, the plugin's configuration, on stdin",
	}
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		e.Msg, e.Details = "network configuration is empty", "pass the plugin's configuration on stdin"
	case errors.As(err, &syntax):
		e.Details = fmt.Sprintf("reading stopped at byte %d of %d, after %q: correct it there", syntax.Offset, len(data), tail(data[:min(int(syntax.Offset), len(data))]))
	case errors.As(err, &other):
		e.Msg = "network configuration is not a JSON object: it is of type " + other.Value
	}
	return e
}

// tail returns the last 30 bytes of b.
func tail(b []byte) string {
	const most = 30
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return strings.ToValidUTF8(string(b), "")
}

// objectLenient decodes the members of the outermost object up to the first error.
func objectLenient(data []byte) section {
	s := section{fields: map[string]json.RawMessage{}}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return s
	}
	for dec.More() {
		key, err := dec.Token()
		name, isText := key.(string)
		if err != nil || !isText {
			return s
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			// The value is cut off. If it is an object, its members can be read too.
			s.fields[name] = bytes.TrimLeft(data[dec.InputOffset():], ": \t\r\n")
			return s
		}
		s.fields[name] = raw
	}
	return s
}
