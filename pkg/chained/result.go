package chained

import (
	"encoding/json"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// The result of a plugin is prevResult as it came, so that members which this version does not know are not lost. What a part changes,
// it changes in the text and in the decoded form, which is printed if the versions differ.

// addInterface appends an interface of the host to the result.
func (a *adding) addInterface(l *link.Link) error {
	added := &types100.Interface{Name: l.Name, Mac: macOf(l), Mtu: l.MTU}
	a.cfg.PrevResult.Interfaces = append(a.cfg.PrevResult.Interfaces, added)
	return a.editInterfaces(func(all []map[string]json.RawMessage) ([]map[string]json.RawMessage, error) {
		text, err := json.Marshal(map[string]any{"name": added.Name, "mac": added.Mac})
		if err != nil {
			return nil, err
		}
		var one map[string]json.RawMessage
		err = json.Unmarshal(text, &one)
		return append(all, one), err
	})
}

// setMAC sets the MAC of the container interface in the result.
func (a *adding) setMAC(mac string) error {
	for _, i := range a.cfg.PrevResult.Interfaces {
		if i.Name == a.req.IfName && i.Sandbox != "" {
			i.Mac = mac
		}
	}
	return a.editInterfaces(func(all []map[string]json.RawMessage) ([]map[string]json.RawMessage, error) {
		for _, i := range all {
			if textOf(i["name"]) == a.req.IfName && textOf(i["sandbox"]) != "" {
				i["mac"], _ = json.Marshal(mac) // a string has no error
			}
		}
		return all, nil
	})
}

// editInterfaces changes the interfaces in the text of the result.
func (a *adding) editInterfaces(edit func([]map[string]json.RawMessage) ([]map[string]json.RawMessage, error)) error {
	var fields map[string]json.RawMessage
	var all []map[string]json.RawMessage
	err := json.Unmarshal(a.cfg.RawPrevResult, &fields)
	if err == nil && fields["interfaces"] != nil {
		err = json.Unmarshal(fields["interfaces"], &all)
	}
	if err == nil {
		all, err = edit(all)
	}
	if err == nil {
		fields["interfaces"], err = json.Marshal(all)
	}
	if err == nil {
		a.cfg.RawPrevResult, err = json.Marshal(fields)
	}
	if err != nil {
		return fmt.Errorf("change the result: %w", err)
	}
	return nil
}

// textOf decodes a string; "" for anything else.
func textOf(raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text) // another type is no name
	return text
}
