package config

import (
	"encoding/json"
	"slices"
)

// isZero reports whether a JSON value is null, false, 0, an empty string, list or object,
// or contains only such values.
func isZero(raw json.RawMessage) bool {
	var v any
	return json.Unmarshal(raw, &v) == nil && isNothing(v)
}

// isNothing is isZero for a decoded value.
func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(member any) bool { return !isNothing(member) })
	case map[string]any:
		for _, member := range v {
			if !isNothing(member) {
				return false
			}
		}
		return true
	}
	return false
}
