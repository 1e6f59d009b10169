package config

import (
	"maps"
	"slices"
	"strings"
)

// Unread is a key of a configuration that Parse does not read.
type Unread struct {
	Section string   // "" or with a dot at its end: "ipam."
	Key     string   // as it is written
	Known   []string // the keys that Parse reads in that section, sorted
}

// ParseAll returns what Parse returns, and the keys of the configuration that it does not read, of every object except those in lists,
// sorted; none if it fails. CNI SPEC.md section 1 lets configurations have keys of others, so that none is an error.
func ParseAll(data []byte) (*Config, []Unread, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, nil, bad
	}
	top.read = map[string]bool{}
	c, err := (Called{}).parse(top, "")
	if err != nil {
		return nil, nil, err
	}
	if c.DelegatesIPAM() { // its keys are those of another plugin
		delete(top.fields, "ipam")
	}
	for _, key := range []string{"cniVersions", "disableCheck", "disableGC", "capabilities"} { // of libcni
		top.read[key] = true
	}
	return c, top.unread(), nil
}

// unread returns the keys of a section, and of the objects in it, that were not read.
func (s section) unread() (found []Unread) {
	var known []string
	for key := range s.read {
		if name, inside := strings.CutPrefix(key, s.path); inside && !strings.ContainsAny(name, ".:[") {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	for _, key := range slices.Sorted(maps.Keys(s.fields)) {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
			found = append(found, Unread{s.path, key, known})
			continue
		}
		if inner, bad := object(s.fields[key]); bad == nil && key != "prevResult" && s.reads(key) {
			inner.path, inner.read = s.path+key+".", s.read
			found = append(found, inner.unread()...)
		}
	}
	return found
}

// reads reports whether Parse has read a key of the object that is the value of a key.
func (s section) reads(key string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(s.read)), func(k string) bool { return strings.HasPrefix(k, s.path+key+".") })
}
