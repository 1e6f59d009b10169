package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// prevResult decodes the key "prevResult" in the configuration's version (CNI SPEC
// section 4); nil if there is none.
func (d *decoder) prevResult(top section, cniVersion string) *types100.Result {
	raw, found := top.raw("prevResult")
	if !found || d.err != nil {
		return nil
	}
	result, err := decodeResult(cniVersion, raw)
	if err != nil {
		d.fail(&Error{
			Kind: Undecodable, Msg: "prevResult: cannot be decoded as a result of version " + cniVersion,
			Details: err.Error() + ": pass what ADD, or the plugin before this one, printed",
		})
		return nil
	}
	return result
}

// DecodeResult decodes the result of an IPAM plugin. cniVersion is the version of the
// configuration, for a result without one (CNI SPEC section 5).
func DecodeResult(raw []byte, cniVersion string) (*types100.Result, error) {
	d := &decoder{}
	if own := d.text(section{fields: objectLenient(raw).fields}, "cniVersion"); own != "" {
		cniVersion = own
	}
	return decodeResult(cniVersion, raw)
}

// decodeResult decodes a result and converts it to the current version.
func decodeResult(cniVersion string, raw []byte) (*types100.Result, error) {
	raw, err := completeResult(cniVersion, raw)
	if err != nil {
		return nil, err
	}
	result, err := version.NewResult(cniVersion, raw)
	if err != nil {
		return nil, err
	}
	return types100.NewResultFromResult(result)
}

// completeResult adds the version to a result without one: plugins before 1.0.0 may
// leave it out, and libcni's ParsePrevResult adds it too. It rejects null in lists,
// because libcni's conversions between versions panic on it, and lists that are too long.
func completeResult(cniVersion string, raw []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for key, value := range fields {
		if !isResultList(key) {
			continue
		}
		if holdsNull(value) {
			return nil, errors.New(key + ": a member is null")
		}
		if count := lengthOf(value); count > maxResultEntries {
			return nil, fmt.Errorf("%s: %d entries are too many, %d are allowed", key, count, maxResultEntries)
		}
	}
	if d := (&decoder{}); d.text(section{fields: fields}, "cniVersion") == "" && d.err == nil {
		fields["cniVersion"] = json.RawMessage(strconv.Quote(cniVersion))
	}
	return json.Marshal(fields) // without duplicate keys, so the checked lists are those that are decoded
}

// isResultList reports whether a member of a result is a list.
func isResultList(key string) bool {
	return slices.Contains([]string{"interfaces", "ips", "routes"}, strings.ToLower(key))
}

// lengthOf returns the length of a JSON list; 0 if the value is not a list.
func lengthOf(value json.RawMessage) int {
	var list []json.RawMessage
	_ = json.Unmarshal(value, &list)
	return len(list)
}

// holdsNull reports whether a JSON list contains null.
func holdsNull(value json.RawMessage) bool {
	var list []*json.RawMessage
	return json.Unmarshal(value, &list) == nil && slices.Contains(list, nil)
}

// PrevResultLenient decodes the prevResult of a configuration, whatever else is wrong
// with it; nil if it cannot be decoded. DEL must not delete what only prevResult
// names: it may be older than the last reboot.
func PrevResultLenient(data []byte) *types100.Result {
	top := objectLenient(data)
	return (&decoder{}).prevResult(top, ident(&decoder{}, top, Called{}).CNIVersion)
}

// BridgeLenient returns the bridge of a configuration, whatever else is wrong with it.
func BridgeLenient(data []byte) string {
	bridge := (&decoder{}).text(objectLenient(data), "bridge")
	if ValidateInterfaceName(bridge) != nil {
		return DefaultBridge
	}
	return bridge
}
