package config

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// prevResult decodes the key "prevResult" with the configuration's version, as CNI SPEC.md
// section 4 has it; nil when there is none.
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

// DecodeResult reads the result of an IPAM plugin, which is of the version that it says; one that says none is of the
// configuration's (CNI SPEC.md section 5).
func DecodeResult(raw []byte, cniVersion string) (*types100.Result, error) {
	d := &decoder{}
	if own := d.text(section{fields: objectLenient(raw).fields}, "cniVersion"); own != "" {
		cniVersion = own
	}
	return decodeResult(cniVersion, raw)
}

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

// completeResult adds the version to a result that has none, as plugins before 1.0.0 may leave
// it out and containernetworking/cni's ParsePrevResult does. It refuses null as a member of a
// list, on which the conversions between versions panic.
func completeResult(cniVersion string, raw []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for key, value := range fields {
		if isResultList(key) && holdsNull(value) {
			return nil, errors.New(key + ": a member is null")
		}
	}
	if d := (&decoder{}); d.text(section{fields: fields}, "cniVersion") == "" && d.err == nil {
		fields["cniVersion"] = json.RawMessage(strconv.Quote(cniVersion))
	}
	return json.Marshal(fields) // each key once: what was looked at is what is decoded
}

func isResultList(key string) bool {
	return slices.Contains([]string{"interfaces", "ips", "routes"}, strings.ToLower(key))
}

func holdsNull(value json.RawMessage) bool {
	var list []*json.RawMessage
	return json.Unmarshal(value, &list) == nil && slices.Contains(list, nil)
}

// PrevResultLenient is the prevResult of a configuration whatever else is wrong with it; nil
// when there is none that can be read. It is evidence, never authority: it may be older than
// the host's last reboot.
func PrevResultLenient(data []byte) *types100.Result {
	top := objectLenient(data)
	return (&decoder{}).prevResult(top, ident(&decoder{}, top, Called{}).CNIVersion)
}

// BridgeLenient is the bridge of a configuration whatever else is wrong with it.
func BridgeLenient(data []byte) string {
	bridge := (&decoder{}).text(objectLenient(data), "bridge")
	if ValidateInterfaceName(bridge) != nil {
		return DefaultBridge
	}
	return bridge
}
