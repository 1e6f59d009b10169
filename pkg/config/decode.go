package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// section is one JSON object of the configuration, its values not yet decoded.
type section struct {
	path   string // "" or "ipam." or "runtimeConfig."
	fields map[string]json.RawMessage
}

// decoder reads values of sections and keeps the first mistake, so that reading a dozen keys
// is a dozen lines.
type decoder struct {
	err *Error
}

func (d *decoder) fail(e *Error) {
	if d.err == nil {
		d.err = e
	}
}

// raw finds a key. JSON null is the same as absent. It prefers the exact spelling and takes
// another case if there is only that, as encoding/json does; of several, the first in the
// alphabet, so that two readings agree.
func (s section) raw(key string) (json.RawMessage, bool) {
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

// value decodes a key into a T; what describes a T in the message. An absent key leaves the
// zero value.
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

func (d *decoder) text(s section, key string) string {
	return value[string](d, s, key, "a text")
}

func (d *decoder) flag(s section, key string) bool {
	return value[bool](d, s, key, "true or false")
}

func (d *decoder) texts(s section, key string) []string {
	return value[[]string](d, s, key, "a list of texts")
}

// number is a whole number from low to high, both inclusive; 0 is always allowed, as absent.
func (d *decoder) number(s section, key string, low, high int) int {
	n := value[int](d, s, key, "a whole number")
	if n != 0 && (n < low || n > high) {
		d.fail(invalid(s.path+key, fmt.Sprintf("give a number from %d to %d, or 0 for the default", low, high), "%d is out of range", n))
	}
	return n
}

// optional is like number, but tells 0 from absent.
func (d *decoder) optional(s section, key string, high int) *int {
	n := value[*int](d, s, key, "a whole number")
	if n != nil && (*n < 0 || *n > high) {
		d.fail(invalid(s.path+key, fmt.Sprintf("give a number from 0 to %d, or leave the key out", high), "%d is out of range", *n))
	}
	return n
}

// inner is a section within a section; empty when absent.
func (d *decoder) inner(s section, key string) section {
	fields := value[map[string]json.RawMessage](d, s, key, "an object")
	return section{path: s.path + key + ".", fields: fields}
}

// inners is a list of objects.
func (d *decoder) inners(s section, key string) []section {
	list := value[[]map[string]json.RawMessage](d, s, key, "a list of objects")
	sections := make([]section, len(list))
	for i, fields := range list {
		sections[i] = section{path: fmt.Sprintf("%s%s[%d].", s.path, key, i), fields: fields}
	}
	return sections
}

// brief is a JSON value as it stands, cut to what fits a message.
func brief(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		b.Reset()
		b.Write(raw)
	}
	const most = 60
	if b.Len() > most {
		return strings.ToValidUTF8(b.String()[:most], "") + "..."
	}
	return b.String()
}

// object decodes the outermost object. Errors are Undecodable and say where reading stopped.
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
		e.Details = fmt.Sprintf("reading stopped at byte %d of %d, after %q: mend it there", syntax.Offset, len(data), tail(data[:min(int(syntax.Offset), len(data))]))
	case errors.As(err, &other):
		e.Msg = "network configuration is not a JSON object: it is of type " + other.Value
	}
	return e
}

func tail(b []byte) string {
	const most = 30
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return strings.ToValidUTF8(string(b), "")
}

// objectLenient reads the members of the outermost object as far as they go.
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
			// The value that was cut off: an inner object is read as far as it goes too.
			s.fields[name] = bytes.TrimLeft(data[dec.InputOffset():], ": \t\r\n")
			return s
		}
		s.fields[name] = raw
	}
	return s
}
