package config

import (
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
			Details: err.Error(),
		})
		return nil
	}
	return result
}

func decodeResult(cniVersion string, raw []byte) (*types100.Result, error) {
	result, err := version.NewResult(cniVersion, raw)
	if err != nil {
		return nil, err
	}
	return types100.NewResultFromResult(result)
}

// PrevResultLenient is the prevResult of a configuration whatever else is wrong with it; nil
// when there is none that can be read. It is evidence, never authority: it may be older than
// the host's last reboot.
func PrevResultLenient(data []byte) *types100.Result {
	top := objectLenient(data)
	return (&decoder{}).prevResult(top, ident(&decoder{}, top).CNIVersion)
}
